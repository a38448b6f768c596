//! One virtqueue, split or packed: what it is made of, how it is shown to the device and how the two notify each other.
//!
//! Adding is in `add`, `raw` and `borrowed`, taking back in `take`; ring memory is reached through `ring`, requests through
//! `slots`.

use core::fmt;

use super::cold::{Closed, ColdBox};
use super::format::Counts;
use super::kind::PayloadKind;
use super::ring::Ring;
use super::slots::{DONE, Slot, Slots};
use crate::abi::features::Features;
use crate::dma::Lend;
use crate::transport::{Doorbell, Rings, Transport};
use crate::{DeviceAddr, Error, Hal, Misbehaved, Misuse, QueueIndex, QueueSize};

/// What a closed queue's free descriptors fall short by: then nothing fits, and nothing else has to be asked.
const CLOSED: i32 = 1 << 20;

/// Ends the list of used requests.
pub(super) const NONE: u16 = u16::MAX;

/// What a queue is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) index: QueueIndex,
    pub(crate) size: QueueSize,
    pub(crate) header_room: usize,
    pub(crate) response_room: usize,
    /// Whether that room is zeroed before each request.
    pub(crate) wipes_responses: bool,
    /// What its last byte, a status, is set to before each request.
    pub(crate) status: Option<u8>,
    pub(crate) ignores_legacy_lengths: bool,
    /// Segments of a chain that has scattered buffers, at most.
    pub(crate) longest: u16,
    /// Header, data and status have descriptors of their own.
    pub(crate) framed: bool,
    /// Entries of an indirect table.
    pub(crate) table_room: u16,
    /// Whether chains may end in a table that did not begin in one.
    pub(crate) mixed: bool,
    pub(crate) drains_on_reset: bool,
    pub(crate) payload: PayloadKind,
    pub(crate) legacy: bool,
    pub(crate) features: Features,
}

impl Setup {
    /// Entries of an indirect table, as far as they are of use: a chain may not be longer than the queue, tables included
    /// (VIRTIO 1.4 §2.7.5.3.1).
    pub(super) fn table_entries(&self) -> u16 {
        let indirect = self.features.contains(Features::INDIRECT_DESC);
        if indirect { self.table_room.min(self.size.get()) } else { 0 }
    }
}

/// Names a request: its head, and a serial number that tells it from earlier requests with the same head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Token {
    pub(super) head: u16,
    pub(super) serial: u64,
    /// Where the queue's descriptors lie: what tells it from the same token of another queue.
    pub(super) queue: DeviceAddr,
}

/// One virtqueue. The hot half; `cold` has the rest, and owns the memory of both.
pub(crate) struct Queue<H: Hal> {
    pub(super) ring: Ring,
    pub(super) slots: Slots,
    pub(super) counts: Counts,
    /// Requests that were added before the queue was last started.
    pub(super) base: u64,
    /// Requests that were used, but that nobody has asked for yet, oldest first.
    pub(super) used_first: u16,
    pub(super) used_last: u16,
    /// With `IN_ORDER`: the last request of the run that is being taken, and what the device says it wrote there.
    pub(super) run_last: u16,
    pub(super) run_len: u32,
    pub(super) in_order: bool,
    pub(super) notification_data: bool,
    /// Neither broken nor stopped.
    pub(super) open: bool,
    /// Open, without `IN_ORDER`, and with nothing used that waits to be taken: used requests are taken as they come.
    pub(super) plain: bool,
    pub(super) cold: ColdBox<H>,
}

// Queues may be built on small stacks.
const _: () = assert!(size_of::<Queue<&dyn Hal>>() < 200);

impl<H: Hal> fmt::Debug for Queue<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("index", &self.index())
            .field("counts", &self.counts)
            .field("closed", &self.cold.closed)
            .finish_non_exhaustive()
    }
}

impl<H: Hal + Clone> Queue<H> {
    pub(crate) fn new(hal: &H, setup: &Setup) -> Result<Self, Error> {
        let (slots, mut cold) = Slots::new(hal, setup)?;
        cold.area.allocate(hal, setup)?;
        cold.drains_on_reset = setup.drains_on_reset;
        Self::assemble(hal, setup, slots, cold)
    }

    /// The second half of `new`, apart from the first so that neither takes much of a small stack.
    fn assemble(hal: &H, setup: &Setup, slots: Slots, mut cold: ColdBox<H>) -> Result<Self, Error> {
        let mut ring = Ring::new(hal, &mut cold.regions, setup)?;
        let counts = Counts::default();
        ring.disable_interrupts(hal, &counts);
        let in_order = setup.features.contains(Features::IN_ORDER);
        Ok(Self {
            ring,
            slots,
            counts,
            base: 0,
            used_first: NONE,
            used_last: NONE,
            run_last: NONE,
            run_len: 0,
            in_order,
            notification_data: setup.features.contains(Features::NOTIFICATION_DATA),
            open: true,
            plain: !in_order,
            cold,
        })
    }
}

impl<H: Hal> Queue<H> {
    pub(crate) fn index(&self) -> QueueIndex {
        self.cold.index
    }
    pub(crate) fn size(&self) -> QueueSize {
        self.slots.size()
    }
    /// Descriptors that are free.
    pub(crate) fn free(&self) -> u16 {
        let closed = if self.open { 0 } else { CLOSED };
        u16::try_from(self.slots.free_count.wrapping_add(closed)).unwrap_or(0)
    }
    /// Requests that were added and not used yet.
    pub(crate) fn in_flight(&self) -> u16 {
        u16::try_from(self.counts.added.wrapping_sub(self.counts.completed)).unwrap_or(u16::MAX)
    }
    pub(crate) fn addresses(&self) -> Rings {
        self.ring.addresses(&self.cold.regions)
    }
    /// Whether the device can let go of the queue as it is now: nothing is in flight, or the device is known to end it.
    pub(crate) fn can_be_reset(&self) -> bool {
        self.in_flight() == 0 || self.cold.drains_on_reset
    }
    pub(crate) fn set_doorbell(&mut self, doorbell: Doorbell) {
        self.cold.doorbell = Some(doorbell);
    }
    pub(crate) fn carries<P: Lend>(&self) -> bool {
        self.slots.kind_is::<P>()
    }

    pub(super) fn token(&self, slot: Slot, order: u64) -> Token {
        Token { head: slot.get(), serial: (order & !DONE).wrapping_add(self.base), queue: self.ring.device() }
    }

    /// An error if the queue has seen a violated invariant, or was stopped.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.open { Ok(()) } else { Err(self.why_closed()) }
    }

    /// Why nothing can be added.
    #[cold]
    pub(super) fn no_room(&self) -> Error {
        if self.open { Misuse::QueueFull.into() } else { self.why_closed() }
    }

    /// Why a request of so many buffers cannot be added.
    #[cold]
    pub(super) fn no_room_for(&self, buffers: usize) -> Error {
        match buffers {
            0 if self.open => Misuse::EmptyRequest.into(),
            _ if self.open && buffers > self.size().as_usize() => Misuse::TooManySegments.into(),
            _ => self.no_room(),
        }
    }

    #[cold]
    fn why_closed(&self) -> Error {
        match self.cold.closed {
            Some(Closed::Broken(why)) => why.into(),
            Some(Closed::Stopped) | None => Misuse::QueueStopped.into(),
        }
    }

    /// The queue saw a violated invariant.
    #[cold]
    pub(super) fn fail(&mut self, why: Misbehaved) -> Error {
        self.close(Closed::Broken(why));
        why.into()
    }

    pub(super) fn close(&mut self, why: Closed) {
        if self.open {
            self.slots.free_count = self.slots.free_count.wrapping_sub(CLOSED);
        }
        (self.open, self.plain) = (false, false);
        self.cold.closed = Some(why);
    }

    /// Shows the device everything added so far: one store.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn publish(&mut self, hal: &H) {
        if self.counts.shown != self.counts.added && self.open {
            self.ring.publish(hal, &self.counts);
            self.counts.shown = self.counts.added;
        }
    }

    /// The doorbell to ring, if the device wants to be notified of what was published since the last call
    /// (VIRTIO 1.4 §2.7.13.4, §2.8.21.3). A full barrier lies between the publication and the suppression field (I-ORDER).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn wants_notification(&mut self, hal: &H) -> Option<Doorbell> {
        if self.open && self.ring.wants_notification(hal, &self.counts) { self.doorbell() } else { None }
    }

    #[inline]
    fn doorbell(&self) -> Option<Doorbell> {
        let doorbell = self.cold.doorbell?;
        let data = self.notification_data;
        Some(if data { doorbell.at(self.ring.position(&self.counts)) } else { doorbell })
    }

    /// Notifies the device if it wants to be; answers whether it did.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn kick<T: Transport + ?Sized>(&mut self, transport: &T, hal: &H) -> bool {
        let doorbell = self.wants_notification(hal);
        if let Some(doorbell) = doorbell {
            transport.notify(doorbell);
        }
        doorbell.is_some()
    }

    /// Asks for an interrupt once `after` requests more are used; 1 is the next one. Answers whether there is something to
    /// take already, for which there may be no interrupt (VIRTIO 1.4 §2.7.14, §2.8.22).
    #[must_use]
    pub(crate) fn enable_interrupts(&mut self, hal: &H, after: u16) -> bool {
        // Never behind what is in flight: nothing more might ever be added.
        let in_flight = self.counts.shown.wrapping_sub(self.counts.completed);
        let in_flight = u16::try_from(in_flight).unwrap_or(u16::MAX);
        let ahead = after.min(in_flight).saturating_sub(1);
        let ready = self.ring.enable_interrupts(hal, &self.counts, ahead);
        ready || !self.plain && (self.used_first != NONE || self.run_last != NONE)
    }

    /// Asks for no interrupts. A hint: some may still come (VIRTIO 1.4 §2.7.7).
    pub(crate) fn disable_interrupts(&mut self, hal: &H) {
        self.ring.disable_interrupts(hal, &self.counts);
    }
}
