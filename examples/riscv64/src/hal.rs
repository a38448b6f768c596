//! What the drivers ask of this kernel: page frames, and where physical addresses are mapped.

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU32, Ordering};
use virtio::hal::clock;
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

/// Ticks of the time counter in a second: what QEMU has, until the device tree says otherwise.
pub static TIMEBASE: AtomicU32 = AtomicU32::new(10_000_000);

/// The drivers' side of the kernel. It bounds waits by the time counter.
pub fn hal() -> OffsetHal<Ram> {
    // SAFETY: translation is off, so every address is physical; RAM starts at 2 GiB, and from 16 GiB on there is the window
    // for PCI devices.
    unsafe { OffsetHal::new(0, Ram, &[0..0x8000_0000, 0x4_0000_0000..0x8_0000_0000]) }
        .with_clock(|| clock::rdtime(TIMEBASE.load(Ordering::Relaxed).into()))
}

/// The registers of a PCI device in I/O space: the host bridge shows ports as memory.
pub fn io_registers(range: IoRange) -> Result<Mapped<OffsetHal<Ram>>, HalError> {
    Mapped::new(hal(), range.cpu.ok_or(HalError::CannotMap)?, range.len, MmioKind::Registers)
}
