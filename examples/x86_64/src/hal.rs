//! What the drivers ask of this kernel: page frames, and where physical addresses are mapped.

use crate::paging;
use core::num::NonZeroUsize;
use core::ops::Range;
use virtio::hal::clock;
use virtio::{OffsetHal, PhysAddr};

/// RAM that nobody uses yet.
pub static FRAMES: demo::Frames = demo::Frames::new();

/// [`FRAMES`], for the drivers.
#[derive(Clone, Copy, Debug)]
pub struct Ram;

// SAFETY: `FRAMES` hands out each frame once until it is back, and `kernel_main` gave it RAM that is free.
unsafe impl virtio::Frames for Ram {
    fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
        FRAMES.alloc(count.get()).map(PhysAddr::new)
    }

    unsafe fn free(&self, first: PhysAddr, count: NonZeroUsize) {
        // A refused free would be a driver's mistake; the frames stay taken then, and `off` says so.
        let _ = FRAMES.free(first.get(), count.get());
    }
}

/// Where devices are: below the interrupt controllers, and in the window for PCI devices above.
static REGISTERS: [Range<u64>; 2] = [0xb000_0000..0xfec0_0000, paging::HIGH_WINDOW];

/// The drivers' side of the kernel. It bounds waits by the time-stamp counter.
pub fn hal() -> OffsetHal<Ram> {
    // SAFETY: `paging` maps physical memory at this offset, RAM cacheable and the devices' windows uncached.
    unsafe { OffsetHal::new(paging::OFFSET as u64, Ram, &REGISTERS) }
        .with_clock(|| clock::tsc(crate::clock::hertz()))
}
