//! The default way to share a buffer, under a Hal that implements what is required and no more.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::num::NonZeroUsize;
use core::time::Duration;

use common::{Bytes, ID, LIMIT, Room, device, echo, hold};
use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::regs::NativeRegs;
use virtio_core::{Direction, DmaMemory, Error, Hal, HalError, MmioKind, PhysAddr};
use virtio_testkit::{Event, FakeDevice, FakeTransport, Reply, TestHal};

type Pair = (Bytes, Room);

/// A kernel with fragmented memory: at most so many contiguous pages.
#[derive(Clone)]
struct Plain {
    kit: TestHal,
    most: usize,
}

// SAFETY: every promise is kept by the Hal within; fewer allocations succeed.
unsafe impl Hal for Plain {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        if pages.get() > self.most {
            return Err(HalError::OutOfMemory);
        }
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
    fn now(&self) -> Option<Duration> {
        self.kit.now()
    }
    fn relax(&self) {
        self.kit.relax();
    }
}

fn up(device: &FakeDevice, hal: &Plain) -> Result<Device<FakeTransport, Plain>, Error> {
    let init = Init::start(device.transport(), hal.clone(), ID)?.negotiate(&Wanted::default())?;
    init.queues(&[QueueSpec::new::<Pair>(0, 16)])?.live()
}

fn plain(most: usize) -> (TestHal, Plain) {
    let kit = TestHal::new();
    (kit.clone(), Plain { kit, most })
}

#[test]
fn buffers_bounce_whole_or_page_by_page() {
    for most in [1, 2, 100] {
        let (kit, hal) = plain(most);
        let device = device(16, echo).build(&kit);
        let mut live = up(&device, &hal).unwrap();
        let sent = (0..=249).collect::<Vec<u8>>().repeat(36);
        let mut received = vec![0; 9500];
        let before = kit.outstanding();
        assert_eq!(live.call(0, &[&sent], &mut [&mut received], LIMIT), Ok(9500), "{most}");
        assert!(received[..9000] == sent && received[9000..].iter().all(|byte| *byte == 7));
        assert_eq!(kit.outstanding(), before);
    }
}

#[test]
fn bounce_pages_carry_no_secrets_and_bring_back_what_was_written() {
    let (kit, hal) = plain(100);
    let device = device(16, |request| {
        let buffer = request.buffers[0];
        let fresh = request.memory.hostile().read_vec(buffer.address, 8).unwrap();
        assert_eq!(fresh, [0; 8]);
        Reply::Claim { bytes: vec![1; 8], len: 3 }
    })
    .build(&kit);
    let mut live = up(&device, &hal).unwrap();
    let mut bytes = [9; 8];
    assert_eq!(live.call(0, &[], &mut [&mut bytes], LIMIT), Ok(3));
    assert_eq!(bytes, [1, 1, 1, 9, 9, 9, 9, 9]);
}

#[test]
fn whichever_page_fails_nothing_is_left() {
    for most in [1, 100] {
        for n in 1.. {
            let (kit, hal) = plain(most);
            let device = device(16, hold).build(&kit);
            let mut live = up(&device, &hal).unwrap();
            kit.fail_nth(n);
            let request = Request::new((Readable(vec![1; 9000]), Writable(vec![0; 9000])));
            let outcome = live.port::<Pair>(0).unwrap().submit(request);
            // A page that cannot be had once may be had at the second try.
            assert!(outcome.is_ok() || kit.has_failed(), "{n}");
            if let Err(rejected) = &outcome {
                assert_eq!(rejected.error, Error::Platform(HalError::OutOfMemory));
                assert_eq!(live.port::<Pair>(0).unwrap().free(), 16);
            }
            drop(live);
            assert!(kit.outstanding().is_none(), "{n}");
            if !kit.has_failed() {
                assert!(n > if most == 1 { 6 } else { 2 });
                break;
            }
        }
    }
}

#[test]
fn attachments_are_synced_through_their_bounce_pages() {
    let (kit, hal) = plain(1);
    let device = device(16, hold).build(&kit);
    let init = Init::start(device.transport(), hal, ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let mut live = init.queues(&[QueueSpec::new::<()>(0, 8).header(4)]).unwrap().live().unwrap();
    let attachment = live.attach(vec![1_u8; 10_000]).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    port.add_attaching(Request::new(()).header(&[0; 4]), &attachment).unwrap();
    port.publish();
    port.kick();
    assert_eq!(live.attachment_entries(&attachment), Ok(3));
    live.attachment_bytes(&attachment).unwrap().fill(2);
    live.sync_attachment(&attachment, 4000, 200).unwrap();
    let table = &device.held_readable(0)[0][4..];
    let seen: Vec<Vec<u8>> = table
        .chunks_exact(16)
        .map(|entry| {
            let address = u64::from_le_bytes(entry[..8].try_into().unwrap());
            let len = u32::from_le_bytes(entry[8..12].try_into().unwrap());
            let len = usize::try_from(len).unwrap();
            device.memory().read_vec(virtio_core::DeviceAddr::new(address), len).unwrap()
        })
        .collect();
    let mut expected = vec![1; 10_000];
    expected[4000..4200].fill(2);
    assert_eq!(seen.concat(), expected);
    assert!(!kit.trace().iter().any(|event| matches!(event, Event::Share { .. })));
}
