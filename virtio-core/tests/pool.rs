//! Bouncing through a pool, and what a guest that does not trust its host refuses.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]
#![expect(unsafe_code, reason = "calls the Hal as the core does")]

mod common;

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::time::Duration;
use std::thread;

use common::{Bytes, ID, LIMIT, Room, device, echo, hold};
use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::regs::NativeRegs;
use virtio_core::{
    BouncePool, DeviceAddr, Direction, DmaMemory, Error, Features, Hal, HalError, Incompatible, MmioKind,
    PhysAddr, Status, Trust,
};
use virtio_testkit::{Call, Event, FakeDevice, FakeTransport, Reply, Reset, TestHal};

type Pair = (Bytes, Room);
type Pool = BouncePool<TestHal>;
type Live<H> = Device<FakeTransport, H>;

const SLOT: usize = 1024;

fn up<H: Hal + Clone>(device: &FakeDevice, hal: &H) -> Result<Live<H>, Error> {
    let init = Init::start(device.transport(), hal.clone(), ID)?.negotiate(&Wanted::default())?;
    init.queues(&[QueueSpec::new::<Pair>(0, 16).header(4)])?.live()
}

/// A pool, and where it lies for the device.
fn pool(hal: &TestHal, bytes: usize) -> (Pool, DeviceAddr) {
    hal.clear_trace();
    let pool = BouncePool::new(hal.clone(), bytes).unwrap();
    let at = hal.trace().into_iter().find_map(|event| match event {
        Event::DmaAlloc { device, .. } => Some(device),
        _ => None,
    });
    (pool, at.unwrap())
}

fn contents(hal: &TestHal, at: DeviceAddr, pool: &Pool) -> Vec<u8> {
    hal.memory().read_vec(at, pool.bytes()).unwrap()
}

fn assert_clean(hal: &TestHal, at: DeviceAddr, pool: &Pool) {
    assert_eq!(pool.free(), pool.bytes());
    assert!(contents(hal, at, pool).iter().all(|byte| *byte == 0), "a free slot holds nothing");
}

#[test]
fn any_alignment_and_length_goes_out_and_comes_back() {
    let lengths: &[usize] = if cfg!(miri) {
        &[1, 1025, 4097]
    } else {
        &[
            1, 2, 3, 7, 8, 15, 16, 31, 63, 255, 511, 512, 1000, 1023, 1024, 1025, 2047, 2048, 2049, 3000,
            4095, 4096, 4097, 4999, 5000,
        ]
    };
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 32 << 10);
    let device = device(16, echo).build(&hal);
    let mut live = up(&device, &pool).unwrap();
    for align in if cfg!(miri) { 1..2 } else { 0..17 } {
        for &len in lengths {
            let bytes: Vec<u8> = (0..align + len).map(|at| (at * 7 + len).to_le_bytes()[0] | 1).collect();
            let mut back = vec![0xee; align + len + 1];
            let sent = &bytes[align..];
            let written = live.call(0, &[sent], &mut [&mut back[align..align + len]], LIMIT).unwrap();
            assert_eq!(usize::try_from(written), Ok(len));
            assert!(back[align..align + len] == *sent, "{align} {len}");
            assert!(back[..align].iter().all(|byte| *byte == 0xee) && back[align + len] == 0xee);
        }
    }
    assert_eq!(hal.calls(Call::Share), 0);
    assert_clean(&hal, at, &pool);
}

#[test]
#[cfg_attr(miri, ignore = "too long for it; the lengths above are not")]
fn every_length_up_to_5000() {
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 16 << 10);
    let device = device(16, echo).build(&hal);
    let mut live = up(&device, &pool).unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(5100).collect();
    let mut back = vec![0; 5100];
    for len in 1..=5000 {
        let align = len % 17;
        hal.clear_trace();
        back[align..align + len].fill(0);
        live.call(0, &[&bytes[align..align + len]], &mut [&mut back[align..align + len]], LIMIT).unwrap();
        assert!(back[align..align + len] == bytes[align..align + len], "{len}");
    }
    assert_clean(&hal, at, &pool);
}

/// A device is shown what it may read, then zeros, and never what lay in a slot before.
#[test]
fn no_secret_is_shown_and_no_surplus_comes_back() {
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 4096);
    let device = device(16, |request| {
        let memory = request.memory.hostile();
        if request.writable == 0 {
            // All of the slot, as a host sees it.
            let buffer = request.buffers[0];
            let slot = memory.read_vec(buffer.address, SLOT).unwrap();
            let (given, rest) = slot.split_at(request.readable.len());
            assert!(given.iter().all(|byte| *byte == b's') && rest.iter().all(|byte| *byte == 0));
            // A host may write there all the same, and before the slot is used again.
            memory.write(buffer.address.checked_add(900).unwrap(), &[0x66; 100]).unwrap();
            return Reply::Write(Vec::new());
        }
        let buffer = request.buffers[0];
        assert_eq!(memory.read_vec(buffer.address, SLOT).unwrap(), vec![0; SLOT]);
        // It writes more than it says: all of the buffer, and what lies behind it in the slot.
        memory.write(buffer.address, &[0x77; SLOT]).unwrap();
        Reply::Claim { bytes: vec![1; 8], len: 3 }
    })
    .build(&hal);
    let mut live = up(&device, &pool).unwrap();
    for _ in 0..6 {
        live.call(0, &[&[b's'; 700]], &mut [], LIMIT).unwrap();
        assert_clean(&hal, at, &pool);
        // Into a slot that is free.
        hal.memory().hostile().write(at, &[0x66; SLOT]).unwrap();
        let mut bytes = [9; 300];
        assert_eq!(live.call(0, &[], &mut [&mut bytes], LIMIT), Ok(3));
        assert_eq!(bytes[..3], [1, 1, 1]);
        assert!(bytes[3..].iter().all(|byte| *byte == 9), "what was not reported does not reach the caller");
        assert_clean(&hal, at, &pool);
    }
    drop(live);
}

/// A length that the device claims beyond what was posted is cut; what it did not write reads as zeros.
#[test]
fn a_claim_brings_back_nothing_of_others() {
    let hal = TestHal::new();
    let (pool, _) = pool(&hal, 4096);
    let device = device(16, |_| Reply::Claim { bytes: vec![1; 2], len: u32::MAX }).build(&hal);
    let mut live = up(&device, &pool).unwrap();
    let mut bytes = [9; 10];
    assert_eq!(live.call(0, &[&[5; 3000]], &mut [&mut bytes], LIMIT), Ok(10));
    assert_eq!(bytes, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn an_exhausted_pool_says_so_leaves_nothing_and_recovers() {
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 8 << 10);
    assert_eq!((pool.bytes(), pool.free()), (8 << 10, 8 << 10));
    let device = device(16, hold).build(&hal);
    let mut live = up(&device, &pool).unwrap();
    let request = |len| Request::new((Readable(vec![1_u8; len]), Writable(vec![0_u8; len])));
    for round in 0..3 {
        let mut port = live.port::<Pair>(0).unwrap();
        let first = port.submit(request(2048)).unwrap();
        assert_eq!(pool.free(), 4 << 10);
        // The first half of a request fits, the second does not; and none of it stays.
        let rejected = port.submit(request(3000)).unwrap_err();
        assert_eq!(rejected.error, HalError::OutOfMemory.into());
        assert_eq!(rejected.payload.0.0, vec![1; 3000]);
        assert_eq!(pool.free(), 4 << 10, "round {round}");
        let second = port.submit(request(100)).unwrap();
        assert_eq!(pool.free(), 2 << 10);
        device.complete(0, 0, &[3; 5]);
        device.complete(0, 0, &[4; 5]);
        for (token, byte) in [(first, 3), (second, 4)] {
            let mut done = port.poll_for(token).unwrap().unwrap();
            let (_, Writable(bytes)) = done.take_payload().unwrap();
            assert_eq!(bytes[..6], [byte, byte, byte, byte, byte, 0]);
        }
        assert_clean(&hal, at, &pool);
    }
}

#[test]
fn a_large_buffer_is_spread_over_what_is_free() {
    let hal = TestHal::new();
    let (pool, _) = pool(&hal, 256 << 10);
    let device = device(16, echo).build(&hal);
    let mut live = up(&device, &pool).unwrap();
    let sent: Vec<u8> = (0..=252).cycle().take(if cfg!(miri) { 10_000 } else { 100_000 }).collect();
    let mut back = vec![0; sent.len()];
    assert_eq!(live.call(0, &[&sent], &mut [&mut back], LIMIT).map(usize::try_from), Ok(Ok(sent.len())));
    assert!(sent == back);
    assert_eq!(pool.free(), pool.bytes());
}

/// What is attached has to reach from page to page: the table of its entries is sized for that.
#[test]
fn attachments_go_through_a_pool_in_pieces_of_pages() {
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 64 << 10);
    let device = device(16, hold).build(&hal);
    let init =
        Init::start(device.transport(), pool.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let mut live = init.queues(&[QueueSpec::new::<()>(0, 8).header(4)]).unwrap().live().unwrap();
    // Single slots are taken here and there.
    let mut crumbs = [1_u8; 40];
    let share = |byte: &mut u8| {
        let buffer = NonNull::slice_from_raw_parts(NonNull::from(byte), 1);
        // SAFETY: a buffer of its own, which stays until it is unshared below.
        unsafe { pool.share(buffer, Direction::ToDevice) }.unwrap()
    };
    let taken: Vec<_> = crumbs.iter_mut().map(share).collect();
    for (nth, segment) in taken.iter().enumerate().filter(|(nth, _)| nth % 8 != 0) {
        // SAFETY: shared above, for this byte, and used by no device.
        unsafe { pool.unshare(*segment, NonNull::from(&mut crumbs[nth]), Direction::ToDevice, 0) };
    }
    let attachment = live.attach(vec![1_u8; 30_000]).unwrap();
    let entries = live.attachment_entries(&attachment).unwrap();
    assert!((1..=9).contains(&entries), "{entries}");
    live.port::<()>(0).unwrap().add_attaching(Request::new(()).header(&[0; 4]), &attachment).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    port.publish();
    port.kick();
    live.attachment_bytes(&attachment).unwrap().fill(2);
    live.sync_attachment(&attachment, 4000, 200).unwrap();
    let table = &device.held_readable(0)[0][4..];
    let seen: Vec<Vec<u8>> = table
        .chunks_exact(16)
        .map(|entry| {
            let address = u64::from_le_bytes(entry[..8].try_into().unwrap());
            let len = usize::try_from(u32::from_le_bytes(entry[8..12].try_into().unwrap())).unwrap();
            device.memory().read_vec(DeviceAddr::new(address), len).unwrap()
        })
        .collect();
    let mut expected = vec![1; 30_000];
    expected[4000..4200].fill(2);
    assert!(seen.concat() == expected);
    drop(live);
    for (nth, segment) in taken.iter().enumerate().filter(|(nth, _)| nth % 8 == 0) {
        // SAFETY: shared above, for this byte, and used by no device.
        unsafe { pool.unshare(*segment, NonNull::from(&mut crumbs[nth]), Direction::ToDevice, 0) };
    }
    assert_clean(&hal, at, &pool);
}

/// A segment is right in all its fields, and reaches to the next multiple of 4096 at least.
#[test]
fn segments_say_what_they_are() {
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 64 << 10);
    let mut bytes = vec![7_u8; 20_000];
    for offset in [0, 1, 500, 4000, 4095] {
        let buffer = NonNull::from(&mut bytes[offset..]);
        // SAFETY: the buffer is ours, and nobody writes it.
        let segment = unsafe { pool.share(buffer, Direction::Both) }.unwrap();
        assert!(!segment.direct && segment.len <= buffer.len());
        let to_page = 4096 - buffer.cast::<u8>().addr().get() % 4096;
        assert!(segment.len >= to_page.min(buffer.len()));
        let from = segment.device.get() - at.get();
        assert!(usize::try_from(from).unwrap() + segment.len <= pool.bytes());
        assert!(segment.bounce.is_some());
        assert_eq!(hal.memory().read_vec(segment.device, segment.len).unwrap(), vec![7; segment.len]);
        hal.memory().write(segment.device, &[8; 3]).unwrap();
        // SAFETY: shared just now; the range lies inside.
        unsafe { pool.sync_to_cpu(&segment, buffer.cast(), 1, 1) };
        assert_eq!(bytes[offset..offset + 3], [7, 8, 7]);
        let buffer = NonNull::from(&mut bytes[offset..]);
        // SAFETY: shared just now, and the device is done.
        unsafe { pool.unshare(segment, buffer.cast(), Direction::Both, 1) };
        assert_eq!(bytes[offset..offset + 3], [8, 8, 7]);
        bytes[offset..offset + 3].fill(7);
    }
    assert_clean(&hal, at, &pool);
}

/// In a pool of crumbs, a segment still reaches to the next multiple of 4096, or there is none.
#[test]
fn too_short_a_prefix_is_no_segment() {
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 16 << 10);
    let mut crumbs = [1_u8; 16];
    let first = NonNull::from(&mut crumbs).cast::<u8>();
    // SAFETY: inside the array.
    let byte = |nth: usize| NonNull::slice_from_raw_parts(unsafe { first.add(nth) }, 1);
    // SAFETY: a byte of its own, which stays until it is unshared below.
    let share = |nth| unsafe { pool.share(byte(nth), Direction::ToDevice) }.unwrap();
    let taken: Vec<_> = (0..16).map(share).collect();
    // SAFETY: shared above, and used by no device.
    let unshare = |nth| unsafe { pool.unshare(taken[nth], byte(nth).cast(), Direction::ToDevice, 0) };
    (0..16).filter(|nth| nth % 4 != 0).for_each(unshare);
    assert_eq!(pool.free(), 12 * SLOT);
    let mut bytes = vec![1_u8; 16_384];
    let start = bytes.as_ptr().align_offset(4096);
    for (offset, len, expected) in [
        (0, 8192, Err(HalError::OutOfMemory)),
        (0, 4096, Err(HalError::OutOfMemory)),
        (0, 3 * SLOT, Ok(3 * SLOT)),
        (SLOT, 8000, Ok(3 * SLOT)),
        (4096 - 100, 4000, Ok(3 * SLOT)),
        (100, 2000, Ok(2000)),
    ] {
        let buffer = NonNull::from(&mut bytes[start + offset..start + offset + len]);
        // SAFETY: a buffer of ours, which stays until it is unshared.
        let outcome = unsafe { pool.share(buffer, Direction::ToDevice) };
        assert_eq!(outcome.map(|segment| segment.len), expected, "{len} bytes at {offset}");
        if let Ok(segment) = outcome {
            // SAFETY: shared just now, and used by no device.
            unsafe { pool.unshare(segment, buffer.cast(), Direction::ToDevice, 0) };
        }
    }
    (0..16).filter(|nth| nth % 4 == 0).for_each(unshare);
    assert_clean(&hal, at, &pool);
}

/// Threads race for slots: each finds what it has put in, and in the end all is free. Some find the pool exhausted.
#[test]
fn threads_share_a_pool_without_meeting() {
    let rounds = if cfg!(miri) { 6 } else { 5_000_usize };
    let hal = TestHal::new();
    let (pool, at) = pool(&hal, 8 << 10);
    let worker = |id: u8, pool: Pool| {
        move || {
            let mut refused = 0;
            for round in 0..rounds {
                let len = 1 + (round * 37 + usize::from(id) * 611) % 3000;
                let mut bytes = vec![id; len];
                let buffer = NonNull::from(&mut bytes[..]);
                // SAFETY: the buffer is this thread's.
                match unsafe { pool.share(buffer, Direction::Both) } {
                    Ok(segment) => {
                        let slots = segment.bounce.unwrap();
                        // SAFETY: the slots of a segment are its owner's; no device is there.
                        let seen = unsafe { NonNull::slice_from_raw_parts(slots, segment.len).as_ref() };
                        assert!(seen.iter().all(|byte| *byte == id));
                        // SAFETY: likewise.
                        unsafe { slots.write_bytes(!id, segment.len) };
                        // SAFETY: shared above, and the device is done.
                        unsafe { pool.unshare(segment, buffer.cast(), Direction::Both, segment.len) };
                        assert!(bytes[..segment.len].iter().all(|byte| *byte == !id));
                    }
                    Err(error) => {
                        assert_eq!(error, HalError::OutOfMemory);
                        refused += 1;
                    }
                }
            }
            refused
        }
    };
    let threads: Vec<_> = (1..=4).map(|id| thread::spawn(worker(id, pool.clone()))).collect();
    let refused: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(refused < 4 * rounds, "some got through");
    assert_clean(&hal, at, &pool);
}

/// Handles are clones or references; the pool goes with the last one.
#[test]
fn the_last_handle_gives_the_pool_back() {
    let hal = TestHal::new();
    let (pool, _) = pool(&hal, 4096);
    let other = pool.clone();
    {
        let fake = device(16, echo).build(&hal);
        let by_dyn: &dyn Hal = &other;
        let mut live = up(&fake, &by_dyn).unwrap();
        let mut bytes = [0; 3];
        assert_eq!(live.call(0, &[&[1, 2, 3]], &mut [&mut bytes], LIMIT), Ok(3));
        assert_eq!(bytes, [1, 2, 3]);
    }
    let before = hal.outstanding();
    drop(pool);
    assert_eq!(hal.outstanding(), before);
    drop(other);
    assert!(hal.outstanding().is_none());
}

#[test]
fn a_static_pool_serves_without_clones() {
    let hal = TestHal::new();
    // Not freed: that is what static means.
    hal.allow_outstanding();
    let raw = Box::into_raw(Box::new(BouncePool::new(hal.clone(), 4096).unwrap()));
    // SAFETY: a box that is not dropped before the end of the test.
    let pool: &'static Pool = unsafe { &*raw };
    let device = device(16, echo).build(&hal);
    let mut live = up(&device, &pool).unwrap();
    let mut bytes = [0; 3];
    assert_eq!(live.call(0, &[&[1, 2, 3]], &mut [&mut bytes], LIMIT), Ok(3));
    drop(live);
    assert_eq!(pool.free(), pool.bytes());
    // SAFETY: from a box, and nobody uses it any more; leak checkers are content.
    drop(unsafe { Box::from_raw(raw) });
    assert!(hal.outstanding().is_none());
}

/// A device that does not confirm its reset may still write to its slots: they are never free again, and the pool stays.
#[test]
fn lost_segments_are_reported_and_the_pool_stays() {
    let hal = TestHal::new();
    // The queue that is leaked keeps its handle.
    hal.allow_outstanding();
    let (pool, at) = pool(&hal, 8192);
    let fake = device(16, hold).reset(Reset::AtOnce).build(&hal);
    let mut live = up(&fake, &pool).unwrap();
    let request = Request::new((Readable(vec![1_u8; 10]), Writable(vec![0_u8; 10])));
    live.port::<Pair>(0).unwrap().submit(request).unwrap();
    fake.set_reset(Reset::Never);
    drop(live);
    assert_eq!(pool.free(), pool.bytes() - 2 * SLOT);
    assert_eq!(hal.leaks().iter().filter(|leak| leak.pages == 0).count(), 2, "each segment was reported");
    // Another device goes on with the rest.
    let other = device(16, echo).build(&hal);
    let mut live = up(&other, &pool).unwrap();
    let mut bytes = [0; 3];
    assert_eq!(live.call(0, &[&[1, 2, 3]], &mut [&mut bytes], LIMIT), Ok(3));
    drop(live);
    drop(pool);
    // The device may still come at its slots: the pages are where they were.
    hal.memory().hostile().write(at, &[1]).unwrap();
    common::keep(&fake);
}

/// A sharing that is never ended takes the pool with it.
#[test]
fn a_pool_that_is_dropped_in_use_is_leaked_and_reported() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let (pool, at) = pool(&hal, 8192);
    let bytes: &'static mut [u8] = Box::leak(Box::new([1; 10]));
    // SAFETY: the buffer stays for good.
    let segment = unsafe { pool.share(NonNull::from(&mut *bytes), Direction::Both) }.unwrap();
    drop(pool.clone());
    assert!(hal.leaks().is_empty());
    drop(pool);
    let leaks: Vec<_> = hal.leaks().iter().map(|leak| (leak.device, leak.pages)).collect();
    assert_eq!(leaks, [(at, 2)]);
    assert!(hal.outstanding().is_none(), "the accounts went back");
    hal.memory().hostile().write(segment.device, &[1; 10]).unwrap();
    // SAFETY: leaked above, and the pool that knew of it is gone.
    drop(unsafe { Box::from_raw(core::ptr::from_mut(bytes)) });
}

#[test]
fn whichever_allocation_fails_no_pool_is_left() {
    for n in 1..=2 {
        let hal = TestHal::new();
        hal.fail_nth(n);
        assert_eq!(BouncePool::new(hal.clone(), 1 << 16).unwrap_err(), HalError::OutOfMemory);
        assert!(hal.outstanding().is_none(), "{n}");
    }
    let hal = TestHal::new();
    assert_eq!(BouncePool::new(hal.clone(), usize::MAX).unwrap_err(), HalError::OutOfMemory);
    // None is one page.
    assert_eq!(BouncePool::new(hal.clone(), 0).unwrap().bytes(), 4096);
}

/// A kernel that does not trust its host: with a pool, or by itself; with private memory, or without.
#[derive(Clone)]
struct Guest {
    kit: TestHal,
    private: bool,
}

// SAFETY: every promise is kept by the Hal within.
unsafe impl Hal for Guest {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        self.kit.dma_alloc(pages, direction)
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.kit.dma_dealloc(memory, pages) }
    }
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.kit.map_mmio(address, len, kind)
    }
    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.kit.unmap_mmio(regs) }
    }
    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        self.kit.private_alloc(pages)
    }
    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.kit.private_dealloc(memory, pages) }
    }
    fn keeps_private(&self) -> bool {
        self.private
    }
    fn trust(&self) -> Trust {
        Trust::Confidential
    }
    fn now(&self) -> Option<Duration> {
        self.kit.now()
    }
    fn relax(&self) {
        self.kit.relax();
    }
}

/// What bringing up a device that offers this comes to.
fn refused<H: Hal + Clone>(
    kit: &TestHal,
    hal: &H,
    features: Features,
    legacy: bool,
) -> (Result<Features, Error>, bool) {
    kit.clear_trace();
    let mut builder = device(16, hold).features(features);
    if legacy {
        builder = builder.legacy();
    }
    let device = builder.build(kit);
    let outcome = up(&device, hal).map(|live| live.features());
    let told = kit.trace().iter().any(|event| {
        matches!(event, Event::QueueEnabled { .. } | Event::FeaturesWrite { .. })
            || matches!(event, Event::StatusWrite(status) if status.contains(Status::FEATURES_OK))
    });
    (outcome, told)
}

#[test]
fn a_confidential_guest_refuses_what_goes_around_its_protection() {
    let kit = TestHal::new();
    let pool = BouncePool::confidential(kit.clone(), 8192).unwrap();
    assert_eq!(pool.trust(), Trust::Confidential);
    assert_eq!((&pool as &dyn Hal).trust(), Trust::Confidential);
    let guest = Guest { kit: kit.clone(), private: true };
    let inherited = BouncePool::new(guest.clone(), 4096).unwrap();
    assert_eq!(inherited.trust(), Trust::Confidential);
    let (modern, platform) = (Features::VERSION_1, Features::ACCESS_PLATFORM);
    let check = |hal: &dyn Fn(Features, bool) -> (Result<Features, Error>, bool)| {
        for (offered, legacy, lacks) in [
            (modern, false, platform),
            (platform, false, modern),
            (Features::empty(), false, modern | platform),
            (Features::EVENT_IDX, true, modern | platform),
        ] {
            let refusal = Err(Incompatible::UnfitForConfidential(lacks).into());
            assert_eq!(hal(offered, legacy), (refusal, false), "{offered:?}");
        }
        assert_eq!(hal(modern | platform, false), (Ok(modern | platform), true));
    };
    check(&|features, legacy| refused(&kit, &pool, features, legacy));
    check(&|features, legacy| refused(&kit, &&pool, features, legacy));
    check(&|features, legacy| refused(&kit, &guest, features, legacy));
    check(&|features, legacy| refused(&kit, &inherited, features, legacy));
}

#[test]
fn a_confidential_guest_has_memory_of_its_own() {
    let kit = TestHal::new();
    let guest = Guest { kit: kit.clone(), private: false };
    assert_eq!(BouncePool::confidential(guest.clone(), 4096).unwrap_err(), HalError::NoPrivateMemory);
    let both = Features::VERSION_1 | Features::ACCESS_PLATFORM;
    assert_eq!(refused(&kit, &guest, both, false), (Err(HalError::NoPrivateMemory.into()), false));
    // Who trusts the host needs none of it.
    assert_eq!(refused(&kit, &kit, Features::VERSION_1, false).0, Ok(Features::VERSION_1));
}

#[test]
fn the_accounts_of_a_pool_are_kept_from_a_host_that_is_not_trusted() {
    let kit = TestHal::new();
    let guest = Guest { kit: kit.clone(), private: false };
    // Pointers that every handle follows would lie where the host can change them.
    assert_eq!(BouncePool::new(guest, 4096).unwrap_err(), HalError::NoPrivateMemory);
}
