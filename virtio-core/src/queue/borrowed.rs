//! Requests over borrowed slices (a room of unsafe code). Used by one caller, the loan of `device`.
#![expect(unsafe_code, reason = "lends borrowed slices")]

use core::ptr::NonNull;

use super::build::Builder;
use super::format::Format;
use super::request::{Copied, Request};
use super::ring::on;
use super::slots::Marks;
use super::virtqueue::{Queue, Token};
use crate::dma::Stretch;
use crate::hal::Direction;
use crate::{Error, Hal};

/// What a device wrote for a request over slices; never more than there was room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transferred {
    /// Bytes of the slices.
    pub payload: u32,
    /// Bytes of the response that follows them.
    pub response: usize,
}

/// Slices for one request: what the device reads, then what it writes. The payload of
/// [`Device::transfer`](crate::device::Device::transfer).
#[derive(Debug)]
pub struct Slices<'s, 'b> {
    pub(crate) readable: &'s [&'s [u8]],
    pub(crate) writable: &'s mut [&'b mut [u8]],
}

impl<'s, 'b> Slices<'s, 'b> {
    /// Memory that the device reads.
    #[must_use]
    pub fn to_read(readable: &'s [&'s [u8]]) -> Self {
        Self { readable, writable: &mut [] }
    }

    /// Memory that the device writes.
    #[must_use]
    pub fn to_write(writable: &'s mut [&'b mut [u8]]) -> Self {
        Self { readable: &[], writable }
    }

    /// Both.
    #[must_use]
    pub fn new(readable: &'s [&'s [u8]], writable: &'s mut [&'b mut [u8]]) -> Self {
        Self { readable, writable }
    }
}

impl<H: Hal> Queue<H> {
    /// Adds a request over slices.
    ///
    /// # Safety
    /// The slices stay valid, and are used by nobody else, until the request is settled, or the queue released after a
    /// confirmed reset (I-LOAN).
    pub(crate) unsafe fn add_borrowed(
        &mut self,
        hal: &H,
        request: &mut Request<'_, Slices<'_, '_>>,
    ) -> Result<Token, Error> {
        let Request { copied, payload: Slices { readable, writable }, response } = request;
        let Self { ring, slots, counts, cold, .. } = &mut *self;
        if slots.free_count <= 0 {
            return Err(self.no_room());
        }
        let order = counts.added;
        let single = usize::from(!copied.is_empty()).saturating_add(usize::from(*response > 0));
        let least = readable.len().saturating_add(writable.len()).saturating_add(single);
        let slot = on!(ring, ring => {
            let mut builder = Builder::new(ring, slots, &mut cold.area, hal, least, order);
            loop {
                // SAFETY: the caller's promise.
                match unsafe { push(&mut builder, *copied, readable, writable, *response) } {
                    Ok(()) => break builder.finish(0, counts),
                    Err(_) if builder.plan_again() => {}
                    // Dropping the builder gives the request up.
                    Err(error) => break Err(error),
                }
            }
        })?;
        Ok(self.token(slot, order))
    }

    /// What was written for the request of `token`, if it was used; it is over then. The response is copied.
    pub(crate) fn poll_transferred(
        &mut self,
        hal: &H,
        token: Token,
        response: &mut [u8],
    ) -> Result<Option<Transferred>, Error> {
        Ok(self.poll_for(hal, token)?.map(|(slot, settled)| {
            let behind_payload = settled.marks.contains(Marks::RESPONSE);
            let room = if behind_payload { self.slots.head(slot).payload_room } else { u32::MAX };
            let payload = settled.written.min(room);
            let len = usize::try_from(settled.written.saturating_sub(room)).unwrap_or(usize::MAX);
            let response = self.cold.area.read_response(slot, len, 0, response);
            self.finish(slot, settled.marks);
            Transferred { payload, response }
        }))
    }
}

/// # Safety
/// As for [`Queue::add_borrowed`].
unsafe fn push<R: Format, H: Hal>(
    builder: &mut Builder<'_, R, H>,
    copied: Copied<'_>,
    readable: &[&[u8]],
    writable: &mut [&mut [u8]],
    response: usize,
) -> Result<(), Error> {
    builder.push_header(copied)?;
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
    builder.push_response(response)
}
