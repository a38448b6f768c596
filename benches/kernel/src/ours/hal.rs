//! A kernel in which every address is what it is, on a coherent machine: buffers are shared as they are.

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::time::Duration;

use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceAddr, Direction, DmaMemory, Hal, HalError, MmioKind, PhysAddr, Segment};

use crate::memory;

/// The Hal.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

// SAFETY: pages are fresh, aligned, coherent, and stay; a segment is the buffer itself, in memory that is mapped where it is; what
// is mapped lies below or above RAM, where `paging` has devices. Nothing unwinds. Values go to the drivers that are measured.
unsafe impl Hal for Kernel {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let ptr = memory::pages(pages.get());
        Ok(DmaMemory { device: DeviceAddr::new(ptr.addr().get() as u64), ptr })
    }

    unsafe fn dma_dealloc(&self, _memory: DmaMemory, _pages: NonZeroUsize) {}

    fn map_mmio(&self, address: PhysAddr, len: usize, _kind: MmioKind) -> Result<NativeRegs, HalError> {
        let start = address.get();
        let end = start.checked_add(len as u64).ok_or(HalError::CannotMap)?;
        let low = end <= 0x4000_0000;
        let high = start >= 0x40_0000_0000 && end <= 0x100_0000_0000;
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut(start as usize));
        match base {
            // SAFETY: device memory, mapped where it is, for good.
            Some(base) if low || high => Ok(unsafe { NativeRegs::new(base, len) }),
            _ => Err(HalError::CannotMap),
        }
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    #[inline]
    unsafe fn share(&self, buffer: NonNull<[u8]>, _direction: Direction) -> Result<Segment, HalError> {
        let address = buffer.cast::<u8>().expose_provenance().get() as u64;
        Ok(Segment::direct(DeviceAddr::new(address), buffer.len()))
    }

    fn now(&self) -> Option<Duration> {
        virtio_core::hal::clock::cntvct()
    }
}
