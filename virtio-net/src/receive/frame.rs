//! A frame that came in.

use core::fmt;
use core::iter;

use virtio_core::dma::Part;

use super::inlet::{Filled, Inbound, Inlet, Judged, Seen};
use crate::error::Rejected;
use crate::offload::RxOffload;
use crate::payload::Buffer;

/// A frame that came in, in the buffers that it came in with. They go back to the device when this is dropped, but for those
/// that were [taken](Frame::take).
pub struct Frame<'r, B: Buffer> {
    queue: &'r mut dyn Inbound<B>,
    inlet: &'r mut Inlet<B>,
    first: Option<Filled<B>>,
    offload: RxOffload,
    len: usize,
    /// Whether it has buffers behind its first.
    merged: bool,
}

impl<B: Buffer> fmt::Debug for Frame<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("len", &self.len)
            .field("offload", &self.offload)
            .finish_non_exhaustive()
    }
}

impl<'r, B: Buffer> Frame<'r, B> {
    #[inline]
    pub(crate) fn new(queue: &'r mut dyn Inbound<B>, inlet: &'r mut Inlet<B>, judged: Judged<B>) -> Self {
        let Judged { first, seen: Seen { offload, len, merged } } = judged;
        Self { queue, inlet, first: Some(first), offload, len, merged }
    }

    /// Bytes of the frame, without virtio's header.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// What the device has done to it, or left to do.
    #[must_use]
    pub fn offload(&self) -> RxOffload {
        self.offload
    }

    /// Its bytes, buffer by buffer: those that were not taken. One, unless the device [merges](crate::abi::F_MRG_RXBUF).
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let header = self.inlet.wire.header;
        let first = self.first.iter().map(move |filled| (header, filled));
        let behind = if self.merged { self.inlet.behind.as_slice() } else { &[] };
        let behind = behind.iter().flatten().map(|filled| (0, filled));
        first
            .chain(behind)
            .map(|(start, Filled { buffer, end })| buffer.as_ref().get(start..*end).unwrap_or_default())
    }

    /// Its bytes, if they lie in one buffer.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        let Filled { buffer, end } = self.first.as_ref()?;
        let bytes = buffer.as_ref().get(self.inlet.wire.header..*end)?;
        (!self.merged).then_some(bytes)
    }

    /// Its bytes, to be changed, if they lie in one buffer.
    #[must_use]
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let Filled { buffer, end } = self.first.as_mut()?;
        let bytes = buffer.as_mut().get_mut(self.inlet.wire.header..*end)?;
        (!self.merged).then_some(bytes)
    }

    /// Copies it to the start of `bytes`, as far as they go. Answers how many bytes were copied.
    pub fn copy_to(&self, bytes: &mut [u8]) -> usize {
        let mut copied = 0_usize;
        for piece in self.pieces() {
            let Some(room) = bytes.get_mut(copied..) else { break };
            let len = piece.len().min(room.len());
            if let (Some(to), Some(from)) = (room.get_mut(..len), piece.get(..len)) {
                to.copy_from_slice(from);
            }
            copied = copied.saturating_add(len);
        }
        copied
    }

    /// Takes the next buffer out of it, in order. [Post](Frame::post) another for it, or the same, some time.
    pub fn take(&mut self) -> Option<Piece<B>> {
        if let Some(Filled { buffer, end }) = self.first.take() {
            return Some(Piece { buffer, start: self.inlet.wire.header, end });
        }
        if !self.merged {
            return None;
        }
        let Filled { buffer, end } = self.inlet.behind.iter_mut().find_map(Option::take)?;
        Some(Piece { buffer, start: 0, end })
    }

    /// Adds an empty buffer to the queue, in the place of one that was taken: see [`Receiver::post`](crate::Receiver::post).
    ///
    /// # Errors
    /// As for [`Receiver::post`](crate::Receiver::post).
    pub fn post(&mut self, buffer: B) -> Result<(), Rejected<B>> {
        self.inlet.post(self.queue, buffer)
    }

    /// Takes all of them, in order.
    pub fn take_all(&mut self) -> impl Iterator<Item = Piece<B>> {
        iter::from_fn(|| self.take())
    }
}

impl<B: Buffer> Drop for Frame<'_, B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Filled { buffer, .. }) = self.first.take() {
            self.inlet.give_back(self.queue, buffer);
        }
        if self.merged {
            self.inlet.give_back_behind(self.queue);
        }
    }
}

/// A buffer that was taken out of a [`Frame`], with its bytes of it.
#[derive(Debug)]
pub struct Piece<B> {
    buffer: B,
    start: usize,
    end: usize,
}

impl<B: Buffer> Piece<B> {
    /// The bytes of the frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes of the frame, to be changed.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.as_mut().get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The buffer as that part of it: to be sent on without a copy, as `Readable(part)`.
    ///
    /// # Errors
    /// The buffer comes back if it has become shorter meanwhile: no buffer of `virtio-core` does.
    pub fn into_part(self) -> Result<Part<B>, B> {
        Part::new(self.buffer, self.start..self.end)
    }

    /// The buffer.
    #[must_use]
    pub fn into_buffer(self) -> B {
        self.buffer
    }
}
