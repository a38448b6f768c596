//! Requests over borrowed slices (a room of unsafe code). Used by one caller, the loan of `device`.
#![expect(unsafe_code, reason = "lends borrowed slices")]

use core::ptr::NonNull;

use super::build::Builder;
use super::format::Format;
use super::ring::on;
use super::virtqueue::{Queue, Token};
use crate::dma::Stretch;
use crate::hal::Direction;
use crate::{Error, Hal};

impl<H: Hal> Queue<H> {
    /// Adds a request over slices.
    ///
    /// # Safety
    /// The slices stay valid, and are used by nobody else, until the request is settled, or the queue released after a
    /// confirmed reset (I-LOAN).
    pub(crate) unsafe fn add_borrowed(
        &mut self,
        hal: &H,
        readable: &[&[u8]],
        writable: &mut [&mut [u8]],
    ) -> Result<Token, Error> {
        let Self { ring, slots, counts, cold, .. } = &mut *self;
        if slots.free_count <= 0 {
            return Err(self.no_room());
        }
        let order = counts.added;
        let least = readable.len().saturating_add(writable.len());
        let slot = on!(ring, ring => {
            let mut builder = Builder::new(ring, slots, &mut cold.area, hal, least, order);
            loop {
                // SAFETY: the caller's promise.
                match unsafe { push(&mut builder, readable, writable) } {
                    Ok(()) => break builder.finish(0, counts),
                    Err(_) if builder.plan_again() => {}
                    // Dropping the builder gives the request up.
                    Err(error) => break Err(error),
                }
            }
        })?;
        Ok(self.token(slot, order))
    }

    /// How many bytes were written for the request of `token`, if it was used; it is over then.
    pub(crate) fn poll_written(&mut self, hal: &H, token: Token) -> Result<Option<u32>, Error> {
        Ok(self.poll_for(hal, token)?.map(|(slot, settled)| {
            self.finish(slot, settled.marks);
            settled.written
        }))
    }
}

/// # Safety
/// As for [`Queue::add_borrowed`].
unsafe fn push<R: Format, H: Hal>(
    builder: &mut Builder<'_, R, H>,
    readable: &[&[u8]],
    writable: &mut [&mut [u8]],
) -> Result<(), Error> {
    for slice in readable {
        let stretch = Stretch { memory: NonNull::from(*slice), device: None };
        // SAFETY: the caller's promise; a shared slice is readable, which is all the direction needs.
        unsafe { builder.push_stretch(stretch, Direction::ToDevice) }?;
    }
    for slice in writable.iter_mut() {
        let stretch = Stretch { memory: NonNull::from(&mut **slice), device: None };
        // SAFETY: the caller's promise; an exclusive slice is writable.
        unsafe { builder.push_stretch(stretch, Direction::FromDevice) }?;
    }
    Ok(())
}
