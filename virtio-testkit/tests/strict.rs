//! The kit sees what it promises to see: each rule is broken here, and each is noticed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use core::num::NonZeroUsize;
use core::panic::AssertUnwindSafe;
use core::ptr::NonNull;
use std::panic::catch_unwind;

use virtio_core::regs::Registers;
use virtio_core::transport::{Doorbell, DoorbellWidth, Rings, Transport};
use virtio_core::{
    DeviceAddr, DeviceId, Direction, Features, Hal, HalError, Leaked, MmioKind, PhysAddr, QueueIndex,
    Segment, Status,
};
use virtio_testkit::{Call, FakeDevice, FakeTransport, Reply, TestHal};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// Asserts that exactly one violation was recorded, and that it says `what`.
#[track_caller]
fn assert_fault(hal: &TestHal, what: &str) {
    let faults = hal.take_faults();
    assert!(faults.len() == 1 && faults[0].contains(what), "{what}: {faults:?}");
}

/// Asserts that the test would fail at its end, with `what`.
#[track_caller]
fn assert_fails(hal: &TestHal, what: &str) {
    let panic = catch_unwind(AssertUnwindSafe(|| hal.finish())).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains(what), "{message}");
}

fn share(hal: &TestHal, buffer: &mut [u8], direction: Direction) -> Result<Segment, HalError> {
    // SAFETY: the tests keep their buffers for as long as they are shared, and do not use them meanwhile.
    unsafe { hal.share(NonNull::from(buffer), direction) }
}

fn unshare(hal: &TestHal, segment: Segment, buffer: &mut [u8], direction: Direction, written: usize) {
    // SAFETY: no device uses the segment. The Hal checks the rest, which is what is tested.
    unsafe { hal.unshare(segment, NonNull::from(buffer).cast(), direction, written) };
}

#[test]
fn memory_that_is_kept_fails_the_test() {
    let hal = TestHal::new();
    let _kept = hal.dma_alloc(ONE, Direction::Both).unwrap();
    assert_fails(&hal, "dma: 1");
    let hal = TestHal::new();
    let _kept = hal.private_alloc(ONE).unwrap();
    assert_fails(&hal, "private: 1");
    let hal = TestHal::new();
    let _kept = share(&hal, &mut [1], Direction::ToDevice).unwrap();
    assert_fails(&hal, "shares: 1");
}

#[test]
fn dropping_the_last_handle_fails_the_test_as_well() {
    let hal = TestHal::new();
    let _kept = hal.dma_alloc(ONE, Direction::Both).unwrap();
    let clone = hal.clone();
    drop(hal);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(clone))).is_err());
}

#[test]
fn the_first_handle_notices_what_leaked_together_with_its_handle() {
    let hal = TestHal::new();
    let clone = hal.clone();
    let _kept = clone.dma_alloc(ONE, Direction::Both).unwrap();
    core::mem::forget(clone);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(hal))).is_err());
}

#[test]
fn leaks_fail_the_test_unless_it_expects_them() {
    for expected in [false, true] {
        let hal = TestHal::new();
        let memory = hal.dma_alloc(ONE, Direction::Both).unwrap();
        hal.leaked(Leaked { device: memory.device, pages: 1 });
        assert!(hal.outstanding().is_none());
        if expected {
            hal.allow_leaks();
            hal.finish();
        } else {
            assert_fails(&hal, "leaked");
        }
    }
}

#[test]
fn pages_are_aligned_and_full_of_rubbish() {
    for page in [4096, 65536] {
        let hal = TestHal::with_page_size(page);
        let memory = hal.dma_alloc(ONE, Direction::Both).unwrap();
        assert!(memory.device.is_aligned_to(page) && memory.ptr.addr().get() % page == 0);
        let mut bytes = vec![0; page];
        hal.memory().read(memory.device, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte != 0));
        // SAFETY: allocated above, used by nobody.
        unsafe { hal.dma_dealloc(memory, ONE) };
    }
}

#[test]
fn freeing_twice_or_wrongly_is_noticed() {
    let hal = TestHal::new();
    let memory = hal.dma_alloc(ONE, Direction::Both).unwrap();
    // SAFETY: of these calls only the third is right; the Hal refuses the others, which is what is tested.
    unsafe { hal.private_dealloc(memory, ONE) };
    assert_fault(&hal, "another method");
    // SAFETY: as above.
    unsafe { hal.dma_dealloc(memory, NonZeroUsize::new(2).unwrap()) };
    assert_fault(&hal, "another length");
    // SAFETY: allocated above, used by nobody.
    unsafe { hal.dma_dealloc(memory, ONE) };
    assert_eq!(hal.faults(), [""; 0]);
    // SAFETY: as above.
    unsafe { hal.dma_dealloc(memory, ONE) };
    assert_fault(&hal, "freed before");
}

#[test]
fn writing_freed_memory_or_past_its_end_is_noticed() {
    let hal = TestHal::new();
    let memory = hal.dma_alloc(ONE, Direction::Both).unwrap();
    // SAFETY: allocated above, used by nobody.
    unsafe { hal.dma_dealloc(memory, ONE) };
    // SAFETY: wrong for a driver. Here quarantine keeps the page allocated, which is what is tested.
    unsafe { memory.ptr.write(0) };
    assert_fails(&hal, "after it was freed");

    let hal = TestHal::new();
    let memory = hal.dma_alloc(ONE, Direction::Both).unwrap();
    // SAFETY: wrong for a driver. Here a fence lies behind the page, which is what is tested.
    let behind = unsafe { memory.ptr.add(4096) };
    // SAFETY: as above.
    unsafe { behind.write(0) };
    // SAFETY: allocated above, used by nobody.
    unsafe { hal.dma_dealloc(memory, ONE) };
    assert_fault(&hal, "around the block");
}

#[test]
fn a_device_that_touches_what_is_not_its_own_is_noticed() {
    let hal = TestHal::new();
    let device = hal.memory();
    let mut buffer = [5; 8];
    let segment = share(&hal, &mut buffer, Direction::ToDevice).unwrap();
    assert_eq!(device.read_vec(segment.device, 8).unwrap(), [5; 8]);
    device.write(segment.device, &[1]).unwrap_err();
    assert_fault(&hal, "memory for ToDevice");
    device.read_vec(segment.device, 9).unwrap_err();
    assert_fault(&hal, "past its block");
    device.read_vec(DeviceAddr::new(4096), 1).unwrap_err();
    assert_fault(&hal, "nothing is there");
    unshare(&hal, segment, &mut buffer, Direction::ToDevice, 0);
    device.read_vec(segment.device, 8).unwrap_err();
    assert_fault(&hal, "was unshared");
    let private = hal.private_alloc(ONE).unwrap();
    device.read_vec(private.device, 1).unwrap_err();
    assert_fault(&hal, "private");
    // SAFETY: allocated above, used by nobody.
    unsafe { hal.private_dealloc(private, ONE) };
    // A device that is known to be hostile is stopped, and that is all.
    device.clone().hostile().read_vec(segment.device, 8).unwrap_err();
    assert_eq!(hal.faults(), [""; 0]);
}

#[test]
fn sharing_has_to_end_as_it_began() {
    let hal = TestHal::new();
    let (mut buffer, mut other) = ([0; 8], [0; 8]);
    let segment = share(&hal, &mut buffer, Direction::FromDevice).unwrap();
    hal.memory().write(segment.device, &[9; 8]).unwrap();
    unshare(&hal, segment, &mut other, Direction::FromDevice, 8);
    assert_fault(&hal, "another buffer");
    unshare(&hal, Segment { len: 4, ..segment }, &mut buffer, Direction::FromDevice, 4);
    assert_fault(&hal, "another length");
    unshare(&hal, segment, &mut buffer, Direction::Both, 4);
    assert_fault(&hal, "another direction");
    unshare(&hal, segment, &mut buffer, Direction::FromDevice, 9);
    assert_fault(&hal, "shorter");
    unshare(&hal, segment, &mut buffer, Direction::FromDevice, 3);
    assert_eq!((buffer, other), ([9, 9, 9, 0, 0, 0, 0, 0], [0; 8]));
    unshare(&hal, segment, &mut buffer, Direction::FromDevice, 3);
    assert_fault(&hal, "unshared before");
}

#[test]
fn scattered_segments_run_backwards_and_end_at_pages() {
    let hal = TestHal::new();
    hal.scatter();
    let mut buffer = vec![1; 10_000];
    let (mut done, mut last) = (0, DeviceAddr::new(u64::MAX));
    let mut segments = Vec::new();
    while done < buffer.len() {
        let start = buffer[done..].as_ptr().addr();
        let segment = share(&hal, &mut buffer[done..], Direction::ToDevice).unwrap();
        assert!(segment.device < last && segment.len <= 4096 - start % 4096);
        last = segment.device;
        segments.push((done, segment));
        done += segment.len;
    }
    assert!(segments.len() >= 3);
    for (at, segment) in segments {
        unshare(&hal, segment, &mut buffer[at..], Direction::ToDevice, 0);
    }
    assert_eq!(hal.faults(), [""; 0]);
}

#[test]
fn calls_fail_and_panic_on_demand() {
    let hal = TestHal::new();
    hal.fail_nth(2);
    let memory = hal.dma_alloc(ONE, Direction::Both).unwrap();
    assert!(!hal.has_failed());
    assert_eq!(share(&hal, &mut [1], Direction::ToDevice), Err(HalError::CannotShare));
    assert!(hal.has_failed());
    hal.fail_nth_of(Call::PrivateAlloc, 1);
    assert_eq!(hal.private_alloc(ONE), Err(HalError::OutOfMemory));
    hal.panic_nth(Call::Relax, 1);
    assert!(catch_unwind(AssertUnwindSafe(|| hal.relax())).is_err());
    hal.relax();
    assert!(catch_unwind(AssertUnwindSafe(|| hal.stuck())).is_err());
    // SAFETY: allocated above, used by nobody.
    unsafe { hal.dma_dealloc(memory, ONE) };
}

#[test]
fn registers_are_mapped_where_they_are() {
    let hal = TestHal::new();
    let registers = hal.add_registers(PhysAddr::new(0x1000_0000), 0x200);
    registers.write32(0x104, 0x1234_5678);
    let mapped = hal.map_mmio(PhysAddr::new(0x1000_0100), 0x100, MmioKind::Registers).unwrap();
    assert_eq!((mapped.read32(4), mapped.read8(4)), (0x1234_5678, 0x78));
    mapped.write32(8, 7);
    assert_eq!(registers.read32(0x108), 7);
    assert_eq!(hal.outstanding().mappings, 1);
    // SAFETY: mapped above, not used any more.
    unsafe { hal.unmap_mmio(mapped) };
    let outside = hal.map_mmio(PhysAddr::new(0x1000_0100), 0x101, MmioKind::Registers);
    assert_eq!(outside.map(drop), Err(HalError::CannotMap));
}

fn started(hal: &TestHal) -> (FakeDevice, FakeTransport) {
    let device = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Hold).build(hal);
    let mut transport = device.transport();
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
    (device, transport)
}

fn rings(at: u64) -> Rings {
    let [descriptor, driver, device] = [at, at + 4096, at + 8192].map(DeviceAddr::new);
    Rings { size: 8, descriptor, driver, device, notification_data: false, notif_config_data: false }
}

#[test]
fn a_driver_that_breaks_the_order_of_bring_up_is_noticed() {
    let hal = TestHal::new();
    let bell = Doorbell { offset: 0, value: 0, width: DoorbellWidth::Bits32 };
    let (_device, mut transport) = started(&hal);
    transport.set_status(Status::DRIVER);
    assert_fault(&hal, "without a reset");
    transport.enable_queue(QueueIndex::new(0), &rings(0x10_0000)).unwrap();
    assert_fault(&hal, "before Status(FEATURES_OK)");
    transport.notify(bell);
    assert_fault(&hal, "before DRIVER_OK");

    let (_device, mut transport) = started(&hal);
    transport.set_driver_features(0, 1);
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK);
    assert_fault(&hal, "not offered");
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::DRIVER_OK);
    assert_fault(&hal, "DRIVER_OK without FEATURES_OK");
    transport.notify(bell);
    assert_fault(&hal, "not enabled");

    let (device, mut transport) = started(&hal);
    transport.set_driver_features(1, Features::VERSION_1.window(1));
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK);
    assert!(device.status().contains(Status::FEATURES_OK));
    transport.set_driver_features(1, 0);
    assert_fault(&hal, "after FEATURES_OK");
    transport.enable_queue(QueueIndex::new(0), &rings(0x10_0008)).unwrap();
    assert_fault(&hal, "not aligned");
}
