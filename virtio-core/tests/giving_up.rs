//! A Hal that panics while the sharing of a request that was given up is being ended: what was ended is not ended again.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests fail by panicking; not every file uses every helper; the unsafe code is the test's own"
)]

mod common;

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Bytes, ID, LIMIT, device, hold};
use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::Readable;
use virtio_core::hal::{Direction, DmaMemory, HalError, MmioKind, Segment};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::regs::NativeRegs;
use virtio_core::{Error, Features, Hal, PhysAddr};
use virtio_testkit::{Call, FakeTransport, TestHal};

/// Panics in one of the next calls of `unshare`, and does nothing else in it.
#[derive(Clone)]
struct Trembling {
    hal: TestHal,
    panics_in: Arc<AtomicUsize>,
}

unsafe impl Hal for Trembling {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        self.hal.dma_alloc(pages, direction)
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        unsafe { self.hal.dma_dealloc(memory, pages) };
    }
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.hal.map_mmio(address, len, kind)
    }
    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        unsafe { self.hal.unmap_mmio(regs) };
    }
    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        unsafe { self.hal.share(buffer, direction) }
    }
    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        let before = self.panics_in.load(Ordering::Relaxed);
        self.panics_in.store(before.saturating_sub(1), Ordering::Relaxed);
        assert!(before != 1, "unshare panics");
        unsafe { self.hal.unshare(segment, buffer, direction, written) };
    }
    fn page_size(&self) -> usize {
        self.hal.page_size()
    }
    fn now(&self) -> Option<Duration> {
        self.hal.now()
    }
    fn relax(&self) {
        self.hal.relax();
    }
}

type Four = [Bytes; 4];

fn up(hal: &TestHal, rings: Features) -> (Device<FakeTransport, Trembling>, Arc<AtomicUsize>) {
    let fake = device(8, hold).features(rings | Features::VERSION_1).build(hal);
    let panics_in = Arc::<AtomicUsize>::default();
    let trembling = Trembling { hal: hal.clone(), panics_in: panics_in.clone() };
    let init = Init::start(fake.transport(), trembling, ID).unwrap();
    let init = init.negotiate(&Wanted { optional: rings, ..Wanted::default() }).unwrap();
    let init = init.queues(&[QueueSpec::new::<Four>(0, 8).indirect(4)]).unwrap();
    (init.live().unwrap(), panics_in)
}

/// Two buffers are shared and the third is refused; ending the second panics. The first is ended once, and the memory of the
/// second is nobody's until the device is gone.
#[test]
fn nothing_is_ended_twice() {
    for rings in [Features::empty(), Features::INDIRECT_DESC, Features::RING_PACKED] {
        // In the quick way, and, with an empty buffer, in the careful one.
        for first in [8, 0] {
            for borrowed in [false, true] {
                let hal = TestHal::new();
                hal.allow_outstanding();
                let (mut live, panics_in) = up(&hal, rings);
                let buffers = [vec![1; first], vec![2; 8], vec![3; 8], vec![4; 8]];
                hal.fail_nth_of(Call::Share, 3);
                panics_in.store(2, Ordering::Relaxed);
                let add = || {
                    if borrowed {
                        let [a, b, c, d] = &buffers;
                        live.call(0, &[a, b, c, d], &mut [], LIMIT).map(drop)
                    } else {
                        let request = Request::new(buffers.clone().map(Readable));
                        live.port::<Four>(0)?.add(request).map(drop).map_err(Into::into)
                    }
                };
                let outcome: Result<Result<(), Error>, _> = catch_unwind(AssertUnwindSafe(add));
                let what = format!("{rings:?}, first {first}, borrowed {borrowed}");
                assert!(outcome.is_err(), "{what}: {outcome:?}");
                assert_eq!(panics_in.load(Ordering::Relaxed), 0, "{what}");
                drop(live);
                assert_eq!(hal.take_faults(), Vec::<String>::new(), "{what}");
            }
        }
    }
}
