//! A part of a buffer (a room of unsafe code).
#![expect(unsafe_code, reason = "narrows the memory of a buffer")]

use core::ops::Range;
use core::ptr::NonNull;

use super::lend::{ReadBuffer, Stretch, WriteBuffer};

/// A part of a buffer, to be lent in place of the whole: a frame that is shorter than its buffer, a sector of a page.
///
/// ```
/// use virtio_core::dma::{Part, Readable};
/// let frame = Part::new(vec![0_u8; 2048], 0..60).unwrap();
/// let payload = Readable(frame); // the device reads 60 bytes
/// assert_eq!(payload.0.into_inner().len(), 2048);
/// assert!(Part::new([0; 4].to_vec(), 2..5).is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<B> {
    buffer: B,
    /// In bytes of the buffer, as long as it was when this was made.
    range: Range<usize>,
}

impl<B: AsRef<[u8]>> Part<B> {
    /// Bytes `range` of `buffer`.
    ///
    /// # Errors
    /// The buffer comes back if it does not have them.
    pub fn new(buffer: B, range: Range<usize>) -> Result<Self, B> {
        if buffer.as_ref().get(range.clone()).is_some() { Ok(Self { buffer, range }) } else { Err(buffer) }
    }

    /// The bytes of the part.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(self.range.clone()).unwrap_or_default()
    }
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Part<B> {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl<B> Part<B> {
    /// Which bytes of the buffer it is.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The buffer.
    pub fn into_inner(self) -> B {
        self.buffer
    }
}

// SAFETY: the buffer's memory is still where `ReadBuffer` promises it, and the part lies inside of it: it is cut to that here,
// whatever `as_ref` said when it was made.
unsafe impl<B: ReadBuffer> ReadBuffer for Part<B> {
    #[inline]
    unsafe fn region(this: NonNull<Self>) -> Stretch {
        let whole_part = this.as_ptr();
        // SAFETY: `this` points to a live value that nobody refers to.
        let buffer = unsafe { &raw mut (*whole_part).buffer };
        // SAFETY: likewise.
        let range = unsafe { (*whole_part).range.clone() };
        // SAFETY: a field of a live value is not at null.
        let buffer = unsafe { NonNull::new_unchecked(buffer) };
        // SAFETY: the caller's promises hold for the field as they do for the whole.
        let whole = unsafe { B::region(buffer) };
        let end = range.end.min(whole.memory.len());
        let start = range.start.min(end);
        // SAFETY: `start` is no more than the length of that memory.
        let first = unsafe { whole.memory.cast::<u8>().add(start) };
        let memory = NonNull::slice_from_raw_parts(first, end.wrapping_sub(start));
        let offset = |(address, domain): (crate::DeviceAddr, u64)| {
            // A DMA region does not wrap around the end of the address space.
            address.checked_add(start).map(|address| (address, domain))
        };
        match whole.device.map(offset) {
            Some(None) => Stretch { memory: NonNull::slice_from_raw_parts(first, 0), device: None },
            device => Stretch { memory, device: device.flatten() },
        }
    }
}

// SAFETY: a part of memory that may be written may be.
unsafe impl<B: WriteBuffer> WriteBuffer for Part<B> {}
