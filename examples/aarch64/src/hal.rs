//! What the drivers ask of this kernel: page frames, and where physical addresses are mapped.

use core::num::NonZeroUsize;
use virtio::pci::IoRange;
use virtio::regs::Mapped;
use virtio::{HalError, MmioKind, OffsetHal, PhysAddr};

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

/// The drivers' side of the kernel. It bounds waits by the generic timer.
pub fn hal() -> OffsetHal<Ram> {
    // SAFETY: `paging` maps every address to itself, RAM cacheable, and what is below it and above 256 GiB as device memory.
    unsafe { OffsetHal::new(0, Ram, &[0..0x4000_0000, 0x40_0000_0000..0x100_0000_0000]) }
}

/// The registers of a PCI device in I/O space: the host bridge shows ports as memory.
pub fn io_registers(range: IoRange) -> Result<Mapped<OffsetHal<Ram>>, HalError> {
    Mapped::new(hal(), range.cpu.ok_or(HalError::CannotMap)?, range.len, MmioKind::Registers)
}
