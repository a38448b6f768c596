//! Adding requests (VIRTIO 1.4 §2.7.13.1–2, §2.8.21.1) (a room of unsafe code).
//!
//! **Typed Once**: a [`Typed`] is made only of a queue that carries payloads of its type, and lends that queue alone.
#![expect(unsafe_code, reason = "parks payloads of a type that was checked once")]

use core::marker::PhantomData;

use super::area::RequestArea;
use super::build::Builder;
use super::format::{Counts, Format};
use super::quick::Quick;
use super::request::Copied;
use super::ring::on;
use super::slots::{Marks, Parked, Shape, Slot, Slots};
use super::virtqueue::{Queue, Token};
use crate::dma::{Entries, Lend, SharedPart};
use crate::hal::Direction;
use crate::{Error, Hal, HalError, Misuse};

/// A queue whose payload type was checked (Typed Once).
#[derive(Debug)]
pub(crate) struct Typed<'q, P, H: Hal> {
    pub(super) queue: &'q mut Queue<H>,
    /// Invariant: a port of one type must not become one of another, however alike, for the check was made with this one.
    payload: PhantomData<fn(P) -> P>,
}

impl<'q, P: Lend, H: Hal> Typed<'q, P, H> {
    pub(crate) fn new(queue: &'q mut Queue<H>) -> Result<Self, Misuse> {
        if queue.carries::<P>() {
            Ok(Self { queue, payload: PhantomData })
        } else {
            Err(Misuse::WrongPayload)
        }
    }
}

impl<P: 'static, H: Hal> Typed<'_, P, H> {
    pub(super) fn reborrow(&mut self) -> Typed<'_, P, H> {
        Typed { queue: self.queue, payload: PhantomData }
    }

    /// Takes the payload of a completion out, whose head has these marks.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take_payload(&mut self, slot: Slot, marks: Marks) -> Option<P> {
        // SAFETY: Typed Once; State Honest: only called for a completion, so the device is done with it, and all sharing has
        // ended.
        marks.contains(Marks::PARKED).then(|| unsafe { self.queue.slots.unpark_marked(slot, marks) })
    }
}

impl<P: Lend, H: Hal> Typed<'_, P, H> {
    /// Adds a request with an owned payload. The device does not see it before `publish`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn add(
        &mut self,
        hal: &H,
        copied: Copied<'_>,
        entries: Option<Entries>,
        payload: P,
        response: usize,
    ) -> Result<Token, (Error, P)> {
        let Queue { slots, counts, .. } = &mut *self.queue;
        // Nothing is free while the queue is closed.
        if slots.free_count <= 0 {
            return Err((self.queue.no_room(), payload));
        }
        let parts =
            Parts { copied, entries, response, readable: payload.readable(), writable: payload.writable() };
        let order = counts.added;
        // SAFETY: Typed Once; a descriptor of the free list heads no request, and so nothing is parked there.
        let parked = unsafe { slots.park(slots.free_first, payload) };
        match self.add_quickly(hal, &parts, &parked) {
            Ok(slot) => Ok(self.queue.token(slot, order)),
            Err(None) => self.add_carefully(hal, &parts, parked),
            Err(Some(error)) => Err((error.into(), self.queue.slots.take_back(parked))),
        }
    }

    /// Adds a request whose payload is parked already in the quick way, if there is room for it, or not at all: then with the
    /// error, if there was one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn add_quickly(
        &mut self,
        hal: &H,
        parts: &Parts<'_>,
        parked: &Parked<P>,
    ) -> Result<Slot, Option<HalError>> {
        let Queue { ring, slots, counts, cold, .. } = &mut *self.queue;
        let segments = parts.least_segments();
        let area = &mut cold.area;
        on!(ring, ring => {
            if segments > 1 && segments <= usize::from(slots.table_room()) {
                parts.quickly::<_, _, _, true>(ring, slots, area, hal, parked, counts)
            } else if (segments <= 1 || slots.table_room() == 0) && i32::try_from(segments).is_ok_and(|n| n <= slots.free_count) {
                parts.quickly::<_, _, _, false>(ring, slots, area, hal, parked, counts)
            } else {
                Err(None)
            }
        })
    }

    /// The same for a request whose payload is parked already, whatever it looks like.
    #[inline(never)]
    fn add_carefully(&mut self, hal: &H, parts: &Parts<'_>, parked: Parked<P>) -> Result<Token, (Error, P)> {
        let Queue { ring, slots, counts, cold, .. } = &mut *self.queue;
        let order = counts.added;
        let area = &mut cold.area;
        match on!(ring, ring => parts.carefully(ring, slots, area, hal, parked, counts)) {
            Ok(slot) => Ok(self.queue.token(slot, order)),
            Err(rejected) => Err(rejected),
        }
    }
}

/// What a request is made of, in the order of its chain.
#[derive(Clone, Copy)]
struct Parts<'a> {
    copied: Copied<'a>,
    entries: Option<Entries>,
    readable: usize,
    writable: usize,
    response: usize,
}

impl Parts<'_> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn least_segments(&self) -> usize {
        let one = |is: bool| usize::from(is);
        let single = one(!self.copied.is_empty()) + one(self.entries.is_some()) + one(self.response > 0);
        self.readable.saturating_add(self.writable).saturating_add(single)
    }

    /// What its table looks like, if that is usual.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn shape(&self) -> Shape {
        if self.entries.is_none() && self.readable.saturating_add(self.writable) == 1 {
            self.copied.shape(self.response)
        } else {
            Shape::NONE
        }
    }

    /// The number of the attachment whose entries are part of it, or 0.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn attachment(&self) -> u64 {
        self.entries.map_or(0, |entries| entries.id)
    }

    /// Adds it in the quick way, or not at all: then with the error, if there was one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn quickly<R: Format, H: Hal, P: Lend, const TABLE: bool>(
        &self,
        ring: &mut R,
        slots: &mut Slots,
        area: &mut RequestArea<H>,
        hal: &H,
        parked: &Parked<P>,
        counts: &mut Counts,
    ) -> Result<Slot, Option<HalError>> {
        let expected = u16::try_from(self.least_segments()).map_err(|_| None)?;
        let mut quick =
            Quick::<R, H, TABLE>::new(ring, slots, area, hal, expected, Marks::PARKED, self.shape());
        let entries = self.entries.map(|part| SharedPart::own(part.device, part.bytes, Direction::ToDevice));
        let usual = quick.push_header(self.copied)
            && entries.is_none_or(|part| quick.push_own(&part))
            && quick.push_payload(parked, self.readable, Direction::ToDevice)
            && quick.push_payload(parked, self.writable, Direction::FromDevice)
            && quick.push_response(self.response)
            && quick.is_complete();
        if usual { Ok(quick.finish(self.attachment(), counts)) } else { Err(quick.abandon()) }
    }

    /// Adds it whatever it looks like, or gives its payload back.
    fn carefully<R: Format, H: Hal, P: Lend>(
        &self,
        ring: &mut R,
        slots: &mut Slots,
        area: &mut RequestArea<H>,
        hal: &H,
        parked: Parked<P>,
        counts: &mut Counts,
    ) -> Result<Slot, (Error, P)> {
        let mut builder = Builder::new(ring, slots, area, hal, self.least_segments(), counts.added);
        loop {
            match self.push(&mut builder, &parked) {
                Ok(()) => break builder.finish(self.attachment(), counts),
                Err(_) if builder.plan_again() => {}
                Err(error) => break Err(error),
            }
        }
        .map_err(|error| (error, builder.reject(parked)))
    }

    fn push<R: Format, H: Hal, P: Lend>(
        &self,
        builder: &mut Builder<'_, R, H>,
        parked: &Parked<P>,
    ) -> Result<(), Error> {
        builder.push_header(self.copied)?;
        if let Some(entries) = self.entries {
            builder.push_own(SharedPart::own(entries.device, entries.bytes, Direction::ToDevice))?;
        }
        builder.push_payload(parked, self.readable, Direction::ToDevice)?;
        builder.push_payload(parked, self.writable, Direction::FromDevice)?;
        builder.push_response(self.response)
    }
}
