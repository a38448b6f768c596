//! Requests over borrowed slices (a room of unsafe code). Used by one caller, the loan of `device`.
#![expect(unsafe_code, reason = "lends borrowed slices")]

use core::ptr::NonNull;

use super::area::RequestArea;
use super::build::Builder;
use super::format::{Counts, Format};
use super::quick::Quick;
use super::request::Request;
use super::ring::on;
use super::slots::{Marks, Shape, Slot, Slots};
use super::virtqueue::Queue;
use crate::dma::Stretch;
use crate::hal::Direction;
use crate::{Error, Hal, HalError};

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
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) unsafe fn add_borrowed(
        &mut self,
        hal: &H,
        request: &mut Request<'_, Slices<'_, '_>>,
    ) -> Result<Slot, Error> {
        let Self { ring, slots, counts, cold, .. } = &mut *self;
        let free = slots.free_count;
        if free <= 0 {
            return Err(self.no_room());
        }
        let segments = least_segments(request);
        let area = &mut cold.area;
        let quickly = on!(ring, ring => {
            if segments > 1 && segments <= usize::from(slots.table_room()) {
                // SAFETY: the caller's promise.
                unsafe { quickly::<_, _, true>(ring, slots, area, hal, request, counts) }
            } else if (segments <= 1 || slots.table_room() == 0) && i32::try_from(segments).is_ok_and(|n| n <= free) {
                // SAFETY: likewise.
                unsafe { quickly::<_, _, false>(ring, slots, area, hal, request, counts) }
            } else {
                Err(None)
            }
        });
        match quickly {
            Ok(slot) => Ok(slot),
            // SAFETY: the caller's promise.
            Err(None) => unsafe { self.add_borrowed_carefully(hal, request) },
            Err(Some(error)) => Err(error.into()),
        }
    }

    /// The same, whatever the request looks like.
    ///
    /// # Safety
    /// As for [`Queue::add_borrowed`].
    #[inline(never)]
    unsafe fn add_borrowed_carefully(
        &mut self,
        hal: &H,
        request: &mut Request<'_, Slices<'_, '_>>,
    ) -> Result<Slot, Error> {
        let Self { ring, slots, counts, cold, .. } = &mut *self;
        let order = counts.added;
        on!(ring, ring => {
            let mut builder = Builder::new(ring, slots, &mut cold.area, hal, least_segments(request), order);
            loop {
                // SAFETY: the caller's promise.
                match unsafe { push(&mut builder, request) } {
                    Ok(()) => break builder.finish(0, counts),
                    Err(_) if builder.plan_again() => {}
                    // Dropping the builder gives the request up.
                    Err(error) => break Err(error),
                }
            }
        })
    }

    /// What was written for the request of `slot`, which was added and not taken yet, if it was used; it is over then. The
    /// response is copied.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn poll_transferred(
        &mut self,
        hal: &H,
        slot: Slot,
        response: &mut [u8],
    ) -> Result<Option<Transferred>, Error> {
        let Some(settled) = self.take(hal, slot)? else { return Ok(None) };
        let behind_payload = settled.marks.contains(Marks::RESPONSE);
        let room = if behind_payload { self.slots.head(slot).payload_room } else { u32::MAX };
        let payload = settled.written.min(room);
        let len = usize::try_from(settled.written.saturating_sub(room)).unwrap_or(usize::MAX);
        let response = self.cold.area.read_response(slot, len, 0, response);
        self.finish(slot, settled.marks);
        Ok(Some(Transferred { payload, response }))
    }
}

/// How many segments it has, if no slice is scattered, and none empty.
fn least_segments(request: &Request<'_, Slices<'_, '_>>) -> usize {
    let Slices { readable, writable } = &request.payload;
    let single = usize::from(!request.copied.is_empty()).saturating_add(usize::from(request.response > 0));
    readable.len().saturating_add(writable.len()).saturating_add(single)
}

/// Adds it in the quick way, or not at all: then with the error, if there was one.
///
/// # Safety
/// As for [`Queue::add_borrowed`].
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn quickly<R: Format, H: Hal, const TABLE: bool>(
    ring: &mut R,
    slots: &mut Slots,
    area: &mut RequestArea<H>,
    hal: &H,
    request: &mut Request<'_, Slices<'_, '_>>,
    counts: &mut Counts,
) -> Result<Slot, Option<HalError>> {
    let expected = u16::try_from(least_segments(request)).map_err(|_| None)?;
    let Request { copied, payload: Slices { readable, writable }, response } = request;
    let one = readable.len().saturating_add(writable.len()) == 1;
    let shape = if one { copied.shape(*response) } else { Shape::NONE };
    let mut quick = Quick::<R, H, TABLE>::new(ring, slots, area, hal, expected, Marks::empty(), shape);
    let mut usual = quick.push_header(*copied);
    for slice in *readable {
        let stretch = Stretch { memory: NonNull::from(*slice), device: None };
        // SAFETY: the caller's promise; a shared slice is readable, which is all the direction needs.
        usual = usual && unsafe { quick.push_stretch(stretch, Direction::ToDevice) };
    }
    for slice in writable.iter_mut() {
        let stretch = Stretch { memory: NonNull::from(&mut **slice), device: None };
        // SAFETY: the caller's promise; an exclusive slice is writable.
        usual = usual && unsafe { quick.push_stretch(stretch, Direction::FromDevice) };
    }
    usual = usual && quick.push_response(*response) && quick.is_complete();
    if usual { Ok(quick.finish(0, counts)) } else { Err(quick.abandon()) }
}

/// # Safety
/// As for [`Queue::add_borrowed`].
unsafe fn push<R: Format, H: Hal>(
    builder: &mut Builder<'_, R, H>,
    request: &mut Request<'_, Slices<'_, '_>>,
) -> Result<(), Error> {
    let Request { copied, payload: Slices { readable, writable }, response } = request;
    builder.push_header(*copied)?;
    for slice in *readable {
        let stretch = Stretch { memory: NonNull::from(*slice), device: None };
        // SAFETY: the caller's promise; a shared slice is readable, which is all the direction needs.
        unsafe { builder.push_stretch(stretch, Direction::ToDevice) }?;
    }
    for slice in writable.iter_mut() {
        let stretch = Stretch { memory: NonNull::from(&mut **slice), device: None };
        // SAFETY: the caller's promise; an exclusive slice is writable.
        unsafe { builder.push_stretch(stretch, Direction::FromDevice) }?;
    }
    builder.push_response(*response)
}
