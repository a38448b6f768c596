//! What a kernel gives both sides: memory that stays, and the counted pages as registers.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceAddr, Direction, DmaMemory, Hal, HalError, MmioKind, PhysAddr, Segment};
use virtio_drivers::BufferDirection;

use crate::trap;

/// Bytes in a page.
const PAGE: usize = 4096;

/// A kernel with an identity map, on a coherent machine.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

/// Zeroed pages that stay, where a legacy device's 32-bit page numbers reach: below 2 GiB.
fn low(pages: usize) -> NonNull<u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), pages * PAGE, rights, flags, -1, 0) };
    assert!(memory != libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    NonNull::new(memory.cast()).expect("no mapping is at address 0")
}

/// The address by which a device knows memory.
fn address<T: ?Sized>(memory: NonNull<T>) -> u64 {
    memory.cast::<u8>().as_ptr().expose_provenance() as u64
}

/// The counted pages, or a part of them.
fn registers(address: u64, len: usize) -> Option<NonNull<u8>> {
    let base = trap::base();
    let offset = usize::try_from(address).ok()?.checked_sub(base.addr().get())?;
    // SAFETY: inside the pages, which are one mapping.
    (offset.checked_add(len)? <= trap::LEN).then(|| unsafe { base.add(offset) })
}

// SAFETY: pages are fresh, aligned, coherent and stay; a segment is the buffer itself; what is mapped are the counted pages
// and nothing else, which stay too. Values go to this program only.
unsafe impl Hal for Kernel {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let ptr = low(pages.get());
        Ok(DmaMemory { device: DeviceAddr::new(address(ptr)), ptr })
    }

    unsafe fn dma_dealloc(&self, _memory: DmaMemory, _pages: NonZeroUsize) {}

    fn map_mmio(&self, address: PhysAddr, len: usize, _kind: MmioKind) -> Result<NativeRegs, HalError> {
        let base = registers(address.get(), len).ok_or(HalError::CannotMap)?;
        // SAFETY: so many bytes are there, for good; each access is stepped over (Stepped).
        Ok(unsafe { NativeRegs::new(base, len) })
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    unsafe fn share(&self, buffer: NonNull<[u8]>, _direction: Direction) -> Result<Segment, HalError> {
        Ok(Segment::direct(DeviceAddr::new(address(buffer)), buffer.len()))
    }

    fn spin_budget(&self) -> Option<u64> {
        Some(1000)
    }
}

// SAFETY: pages are fresh, zeroed, aligned and stay; sharing is the identity; what is mapped are the counted pages.
unsafe impl virtio_drivers::Hal for Kernel {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (u64, NonNull<u8>) {
        let memory = low(pages);
        (address(memory), memory)
    }
    unsafe fn dma_dealloc(_paddr: u64, _vaddr: NonNull<u8>, _pages: usize) -> i32 {
        0
    }
    unsafe fn mmio_phys_to_virt(paddr: u64, size: usize) -> NonNull<u8> {
        registers(paddr, size).expect("the BAR is the counted pages")
    }
    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> u64 {
        address(buffer)
    }
    unsafe fn unshare(_paddr: u64, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
