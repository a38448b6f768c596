//! The default way to share a buffer: a copy in DMA pages (a room of unsafe code).
#![expect(unsafe_code, reason = "copies between a buffer and its bounce pages")]

use core::num::NonZeroUsize;
use core::ptr::NonNull;

use super::{Direction, DmaMemory, Hal, HalError, Segment};

/// Pages needed for `len` bytes; at least one.
fn pages_for(len: usize, page_size: usize) -> NonZeroUsize {
    NonZeroUsize::new(len.div_ceil(page_size.max(1))).unwrap_or(NonZeroUsize::MIN)
}

/// # Safety
/// As for [`Hal::share`].
pub(super) unsafe fn share<H: Hal + ?Sized>(
    hal: &H,
    buffer: NonNull<[u8]>,
    direction: Direction,
) -> Result<Segment, HalError> {
    let page_size = hal.page_size();
    let pages = pages_for(buffer.len(), page_size);
    // Contiguous pages may be rare: one page at a time always makes progress.
    let (memory, pages) = match hal.dma_alloc(pages, direction) {
        Ok(memory) => (memory, pages),
        Err(error) if pages == NonZeroUsize::MIN => return Err(error),
        Err(_) => (hal.dma_alloc(NonZeroUsize::MIN, direction)?, NonZeroUsize::MIN),
    };
    let room = pages.get().saturating_mul(page_size);
    let len = buffer.len().min(room);
    // Fresh pages may hold another's secrets, and the device sees whole pages.
    // SAFETY: the pages are `room` bytes long and writable by the Hal's promise.
    unsafe { memory.ptr.write_bytes(0, room) };
    if direction.device_reads() {
        // SAFETY: `len` does not exceed the buffer (readable, by the caller's promise) nor the pages; pages used by nobody
        // else do not overlap the buffer.
        unsafe { memory.ptr.copy_from_nonoverlapping(buffer.cast(), len) };
    }
    Ok(Segment { device: memory.device, len, bounce: Some(memory.ptr), direct: false })
}

/// # Safety
/// As for [`Hal::unshare`].
pub(super) unsafe fn unshare<H: Hal + ?Sized>(
    hal: &H,
    segment: Segment,
    buffer: NonNull<u8>,
    direction: Direction,
    written: usize,
) {
    let Some(bounce) = segment.bounce else { return };
    if direction.device_writes() {
        let len = written.min(segment.len);
        // SAFETY: `len` does not exceed the segment, and so neither buffer (writable, by the caller's promise) nor pages.
        unsafe { buffer.copy_from_nonoverlapping(bounce, len) };
    }
    let memory = DmaMemory { device: segment.device, ptr: bounce };
    // SAFETY: `share` took exactly these pages: their number follows from the segment's length, and the caller promises
    // that the device is done.
    unsafe { hal.dma_dealloc(memory, pages_for(segment.len, hal.page_size())) };
}

/// # Safety
/// As for [`Hal::sync_to_device`].
pub(super) unsafe fn sync_to_device(segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
    let Some(bounce) = segment.bounce else { return };
    // SAFETY: `offset + len` lies within the segment, by the caller's promise, and so within the buffer.
    let from = unsafe { buffer.add(offset) };
    // SAFETY: likewise within the bounce pages.
    let to = unsafe { bounce.add(offset) };
    // SAFETY: both ranges were just shown valid; bounce pages overlap no buffer.
    unsafe { to.copy_from_nonoverlapping(from, len) };
}

/// # Safety
/// As for [`Hal::sync_to_cpu`].
pub(super) unsafe fn sync_to_cpu(segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
    let Some(bounce) = segment.bounce else { return };
    // SAFETY: `offset + len` lies within the segment, by the caller's promise, and so within the bounce pages.
    let from = unsafe { bounce.add(offset) };
    // SAFETY: likewise within the buffer.
    let to = unsafe { buffer.add(offset) };
    // SAFETY: both ranges were just shown valid; bounce pages overlap no buffer.
    unsafe { to.copy_from_nonoverlapping(from, len) };
}
