//! Adding requests (VIRTIO 1.4 §2.7.13.1–2, §2.8.21.1) (a room of unsafe code).
//!
//! **Typed Once**: a [`Typed`] is made only of a queue that carries payloads of its type, and lends that queue alone.
#![expect(unsafe_code, reason = "parks payloads of a type that was checked once")]

use core::marker::PhantomData;

use super::build::{Builder, plan};
use super::format::Format;
use super::virtqueue::{Queue, Token};
use super::ring::on;
use super::slots::{Parked, Slot, Slots, State};
use crate::dma::{Entries, Lend, SharedPart};
use crate::hal::Direction;
use crate::{Error, Hal, Misuse};

/// A queue whose payload type was checked (Typed Once).
#[derive(Debug)]
pub(crate) struct Typed<'q, P, H: Hal> {
    pub(super) queue: &'q mut Queue<H>,
    payload: PhantomData<P>,
}

impl<'q, P: 'static, H: Hal> Typed<'q, P, H> {
    pub(crate) fn new(queue: &'q mut Queue<H>) -> Result<Self, Misuse> {
        if queue.carries::<P>() {
            Ok(Self { queue, payload: PhantomData })
        } else {
            Err(Misuse::WrongPayload)
        }
    }

    pub(super) fn reborrow(&mut self) -> Typed<'_, P, H> {
        Typed { queue: self.queue, payload: PhantomData }
    }

    /// Takes the payload of a settled request out.
    pub(super) fn take_payload(&mut self, slot: Slot) -> Option<P> {
        if self.queue.slots.head(slot).state != State::Taken {
            return None;
        }
        // SAFETY: Typed Once; State Honest: the device is done with it, and all sharing has ended.
        unsafe { self.queue.slots.unpark(slot) }
    }
}

impl<P: Lend, H: Hal> Typed<'_, P, H> {
    /// Adds a request with an owned payload. The device does not see it before `publish`.
    pub(super) fn add(
        &mut self,
        hal: &H,
        header: &[u8],
        entries: Option<Entries>,
        payload: P,
        response: usize,
    ) -> Result<Token, (Error, P)> {
        let Queue { ring, slots, counts, cold, open, .. } = &mut *self.queue;
        if !*open || slots.free_count == 0 {
            return Err((self.queue.no_room(), payload));
        }
        let parts =
            Parts { header, entries, response, readable: payload.readable(), writable: payload.writable() };
        let order = counts.added;
        // SAFETY: Typed Once; a descriptor of the free list heads no request, and so nothing is parked there.
        let parked = unsafe { slots.park(slots.free_first, payload) };
        let built = on!(ring, ring => {
            let direct = plan_for(ring, &parts, slots);
            let mut builder = Builder::new(ring, slots, &mut cold.area, hal, direct, order);
            loop {
                match parts.push(&mut builder, &parked) {
                    Ok(()) => break builder.finish(entries.map_or(0, |entries| entries.id), counts),
                    Err(_) if builder.plan_again() => {}
                    Err(error) => break Err(error),
                }
            }
            .map_err(|error| (error, builder.reject(parked)))
        });
        match built {
            Ok(slot) => Ok(self.queue.token(slot, order)),
            Err(rejected) => Err(rejected),
        }
    }
}

fn plan_for<R: Format>(_ring: &R, parts: &Parts<'_>, slots: &Slots) -> u16 {
    plan::<R>(parts.least_segments(), slots.table_room(), slots.free_count)
}

/// What a request is made of, in the order of its chain.
struct Parts<'a> {
    header: &'a [u8],
    entries: Option<Entries>,
    readable: usize,
    writable: usize,
    response: usize,
}

impl Parts<'_> {
    fn least_segments(&self) -> usize {
        let single = [!self.header.is_empty(), self.entries.is_some(), self.response > 0];
        let single = single.into_iter().map(usize::from).sum::<usize>();
        self.readable.saturating_add(self.writable).saturating_add(single)
    }

    fn push<R: Format, H: Hal, P: Lend>(
        &self,
        builder: &mut Builder<'_, R, H>,
        parked: &Parked<P>,
    ) -> Result<(), Error> {
        builder.push_header(self.header)?;
        if let Some(entries) = self.entries {
            builder.push_own(SharedPart::own(entries.device, entries.bytes, Direction::ToDevice))?;
        }
        builder.push_payload(parked, self.readable, Direction::ToDevice)?;
        builder.push_payload(parked, self.writable, Direction::FromDevice)?;
        builder.push_response(self.response)
    }
}
