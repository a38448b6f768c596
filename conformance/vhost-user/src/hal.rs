//! The kernel's side of a driver, over shared memory (a place of unsafe code).

use std::alloc::{self, Layout};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::time::Duration;

use virtio_core::regs::NativeRegs;
use virtio_core::{Direction, DmaMemory, Hal, HalError, MmioKind, PhysAddr, Segment};

use crate::memory::{Memory, PAGE};

/// A Hal whose pages are the shared memory's. Buffers of the process are bounced, as core does it by default; private pages
/// lie on the process's heap, where no back-end comes.
#[derive(Clone, Copy, Debug)]
pub struct Bouncing(&'static Memory);

/// The same, but buffers that lie in the shared memory are not bounced.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    memory: &'static Memory,
    bouncing: Bouncing,
}

impl Bouncing {
    /// Over this memory.
    #[must_use]
    pub const fn new(memory: &'static Memory) -> Self {
        Self(memory)
    }
}

impl Direct {
    /// Over this memory.
    #[must_use]
    pub const fn new(memory: &'static Memory) -> Self {
        Self { memory, bouncing: Bouncing(memory) }
    }

    /// Bytes of the shared memory, for good: zeroed, page-aligned, and reachable for the back-end where they are.
    #[must_use]
    pub fn buffer(&self, len: usize) -> Option<&'static mut [u8]> {
        let (_, start) = self.memory.take(len.div_ceil(PAGE))?;
        // SAFETY: Memfd Mapped, Page Out Once: the pages are nobody else's, and are not given back.
        unsafe { start.write_bytes(0, len) };
        // SAFETY: as above; a back-end writes there only while the buffer is lent.
        Some(unsafe { NonNull::slice_from_raw_parts(start, len).as_mut() })
    }
}

fn layout(pages: NonZeroUsize) -> Result<Layout, HalError> {
    let bytes = pages.get().checked_mul(PAGE).ok_or(HalError::OutOfMemory)?;
    Layout::from_size_align(bytes, PAGE).map_err(|_| HalError::OutOfMemory)
}

// SAFETY: `Memory` hands out pages of a mapping that stays, each to one at a time (Memfd Mapped, Page Out Once); private pages
// are the process's own heap. Sharing is core's default. No registers are mapped. What gives memory back notes faults and does
// not unwind.
unsafe impl Hal for Bouncing {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let (device, ptr) = self.0.take(pages.get()).ok_or(HalError::OutOfMemory)?;
        Ok(DmaMemory { device, ptr })
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        self.0.give(memory.device, pages.get());
    }

    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        // SAFETY: the layout is not empty.
        let pointer = unsafe { alloc::alloc(layout(pages)?) };
        let ptr = NonNull::new(pointer).ok_or(HalError::OutOfMemory)?;
        Ok(DmaMemory { device: virtio_core::DeviceAddr::new(0), ptr })
    }

    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        if let Ok(layout) = layout(pages) {
            // SAFETY: the caller promises that this came from `private_alloc` for as many pages, so of this layout.
            unsafe { alloc::dealloc(memory.ptr.as_ptr(), layout) };
        }
    }

    fn keeps_private(&self) -> bool {
        true
    }

    /// There are no registers: the transport is a socket.
    fn map_mmio(&self, _: PhysAddr, _: usize, _: MmioKind) -> Result<NativeRegs, HalError> {
        Err(HalError::CannotMap)
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    fn now(&self) -> Option<Duration> {
        Some(self.0.age())
    }

    /// The back-end may need this processor.
    fn relax(&self) {
        std::thread::yield_now();
    }
}

// SAFETY: as for `Bouncing`, which does everything but one: what lies in the shared memory is reachable for the back-end where it
// is (Memfd Mapped), for as long as it is valid.
unsafe impl Hal for Direct {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        self.bouncing.dma_alloc(pages, direction)
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.bouncing.dma_dealloc(memory, pages) }
    }

    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        self.bouncing.private_alloc(pages)
    }

    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.bouncing.private_dealloc(memory, pages) }
    }

    fn keeps_private(&self) -> bool {
        self.bouncing.keeps_private()
    }

    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.bouncing.map_mmio(address, len, kind)
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    #[inline]
    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        match self.memory.device_address(buffer.cast(), buffer.len()) {
            Some(address) => Ok(Segment::direct(address, buffer.len())),
            // SAFETY: the caller's promises are passed on unchanged.
            None => unsafe { self.bouncing.share(buffer, direction) },
        }
    }

    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        // SAFETY: the segment is not a direct one, so `bouncing` has made it; the rest is the caller's promise.
        unsafe { self.bouncing.unshare(segment, buffer, direction, written) }
    }

    unsafe fn sync_to_device(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: as for `unshare`.
        unsafe { self.bouncing.sync_to_device(segment, buffer, offset, len) }
    }

    unsafe fn sync_to_cpu(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: as for `unshare`.
        unsafe { self.bouncing.sync_to_cpu(segment, buffer, offset, len) }
    }

    fn now(&self) -> Option<Duration> {
        self.bouncing.now()
    }

    fn relax(&self) {
        self.bouncing.relax();
    }
}
