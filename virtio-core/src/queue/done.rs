//! A completed request.

use zerocopy::{FromBytes, IntoBytes};

use super::add::Typed;
use super::slots::{Marks, Slot};
use super::take::Settled;
use super::virtqueue::Token;
use crate::{Error, Hal, Misbehaved};

/// A request that the device has used. Its place in the queue is free again when this is dropped.
#[derive(Debug)]
pub struct Done<'q, P: 'static, H: Hal> {
    typed: Typed<'q, P, H>,
    slot: Slot,
    settled: Settled,
}

impl<'q, P: 'static, H: Hal> Done<'q, P, H> {
    #[inline(always)]
    pub(super) fn new(typed: Typed<'q, P, H>, slot: Slot, settled: Settled) -> Self {
        Self { typed, slot, settled }
    }

    /// Which request this was.
    #[must_use]
    pub fn token(&self) -> Token {
        let queue = &self.typed.queue;
        queue.token(self.slot, queue.slots.head(self.slot).order)
    }

    /// How many bytes the device wrote, payload and response together, in that order. Never more than was posted.
    ///
    /// A device may have written more than it says (VIRTIO 1.4 §2.7.8.2); nothing beyond may be relied on.
    #[must_use]
    pub fn written(&self) -> u32 {
        self.settled.written
    }

    /// How many bytes the device *says* it wrote. Larger than [`Done::written`] if it lies, or is a legacy device, whose
    /// lengths mean nothing on some queues.
    #[must_use]
    pub fn claimed(&self) -> u32 {
        self.settled.claimed
    }

    /// How much of what was written fell behind the payload: into the response.
    fn response_len(&self) -> u32 {
        let response = self.settled.marks.contains(Marks::RESPONSE);
        let before = if response { self.typed.queue.slots.head(self.slot).payload_room } else { u32::MAX };
        self.settled.written.saturating_sub(before)
    }

    /// Copies the start of the response into `bytes`; answers how many bytes were copied.
    pub fn copy_response(&self, bytes: &mut [u8]) -> usize {
        self.copy_response_at(0, bytes)
    }

    /// Copies the response from byte `from` on into `bytes`; answers how many bytes were copied.
    pub fn copy_response_at(&self, from: usize, bytes: &mut [u8]) -> usize {
        let len = usize::try_from(self.response_len()).unwrap_or(usize::MAX);
        self.typed.queue.cold.area.read_response(self.slot, len, from, bytes)
    }

    /// The start of the response as a wire structure.
    ///
    /// # Errors
    /// [`Misbehaved::ShortAnswer`] if the device wrote less.
    pub fn response<R: FromBytes + IntoBytes>(&self) -> Result<R, Error> {
        let mut response = R::new_zeroed();
        let needed = size_of::<R>();
        if self.copy_response(response.as_mut_bytes()) < needed {
            let needed = u32::try_from(needed).unwrap_or(u32::MAX);
            return Err(Misbehaved::ShortAnswer { written: self.response_len(), needed }.into());
        }
        Ok(response)
    }

    /// The payload, back from the device. `None` if it was taken already.
    #[inline(always)]
    pub fn take_payload(&mut self) -> Option<P> {
        let marks = self.settled.marks;
        self.settled.marks = marks.difference(Marks::PARKED);
        self.typed.take_payload(self.slot, marks)
    }
}

impl<P: 'static, H: Hal> Drop for Done<'_, P, H> {
    #[inline(always)]
    fn drop(&mut self) {
        self.typed.queue.finish(self.slot, self.settled.marks);
    }
}
