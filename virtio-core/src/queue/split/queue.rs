//! The state machine of a split virtqueue (VIRTIO 1.4 §2.7.13, §2.7.14).
//!
//! Ring memory is reached through `rings`, requests through `slots`; this file decides what is written when.

use super::rings::SplitRings;
use crate::abi::features::Features;
use crate::abi::split::{AVAIL_F_NO_INTERRUPT, DESC_F_NEXT, DESC_F_WRITE, USED_F_NO_NOTIFY};
use crate::dma::{Entries, Lend, SharedPart};
use crate::hal::Direction;
use crate::queue::area::RequestArea;
use crate::queue::chain::Settled;
use crate::queue::event;
use crate::queue::slots::{PayloadKind, Slots, State};
use crate::regs::BarrierClass;
use crate::transport::{Doorbell, Rings};
use crate::{DeviceAddr, Error, Hal, Misbehaved, Misuse, QueueIndex, QueueSize};

/// Ends the list of used requests.
const NONE: u16 = u16::MAX;

/// What a queue is built from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) index: QueueIndex,
    pub(crate) size: QueueSize,
    pub(crate) header_room: usize,
    pub(crate) response_room: usize,
    pub(crate) payload: PayloadKind,
    pub(crate) legacy: bool,
    pub(crate) features: Features,
}

/// Names a request: its head, and a serial number that tells it from earlier requests with the same head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Token {
    pub(in crate::queue) head: u16,
    pub(in crate::queue) serial: u32,
    /// Where the queue's descriptors lie: what tells it from the same token of another queue.
    queue: DeviceAddr,
}

/// The free-running ring index of a count.
const fn index(count: u64) -> u16 {
    let [low, high, ..] = count.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// A request that is being built. Dropped only by a panic of the Hal, on which it gives the request up.
struct Build<'q, H: Hal> {
    queue: &'q mut SplitQueue<H>,
    hal: &'q H,
    head: u16,
}

impl<H: Hal> Drop for Build<'_, H> {
    fn drop(&mut self) {
        self.queue.slots.abandon_parked(self.hal, self.head);
    }
}

/// One split virtqueue.
#[derive(Debug)]
pub(crate) struct SplitQueue<H: Hal> {
    rings: SplitRings<H>,
    pub(in crate::queue) slots: Slots<H>,
    pub(in crate::queue) area: RequestArea<H>,
    index: QueueIndex,
    event_idx: bool,
    broken: Option<Misbehaved>,
    doorbell: Option<Doorbell>,
    serial: u32,
    in_flight: u16,
    /// Requests ever added; shown to the device; covered by a notification. Their low 16 bits are the ring's indices.
    added: u64,
    shown: u64,
    notified: u64,
    /// Up to where used elements were read.
    used: u16,
    /// Requests that were used, but that nobody has asked for yet, oldest first.
    used_first: u16,
    used_last: u16,
}

impl<H: Hal + Clone> SplitQueue<H> {
    pub(crate) fn new(hal: &H, setup: &Setup) -> Result<Self, Error> {
        let class = BarrierClass::for_features(setup.features);
        let rings = SplitRings::new(hal, setup.size, setup.legacy, class)?;
        let area = RequestArea::new(hal, setup.size, setup.header_room, setup.response_room)?;
        let slots = Slots::new(hal.clone(), setup.size, setup.payload)?;
        let mut queue = Self {
            rings,
            slots,
            area,
            index: setup.index,
            event_idx: setup.features.contains(Features::EVENT_IDX),
            broken: None,
            doorbell: None,
            serial: 0,
            in_flight: 0,
            added: 0,
            shown: 0,
            notified: 0,
            used: 0,
            used_first: NONE,
            used_last: NONE,
        };
        queue.disable_interrupts();
        Ok(queue)
    }
}

impl<H: Hal> SplitQueue<H> {
    pub(crate) fn index(&self) -> QueueIndex {
        self.index
    }
    pub(crate) fn size(&self) -> QueueSize {
        self.slots.size
    }
    pub(crate) fn free(&self) -> u16 {
        self.slots.free_count
    }
    pub(crate) fn in_flight(&self) -> u16 {
        self.in_flight
    }
    pub(crate) fn addresses(&self) -> Rings {
        self.rings.addresses()
    }
    pub(crate) fn doorbell(&self) -> Option<Doorbell> {
        self.doorbell
    }
    pub(crate) fn set_doorbell(&mut self, doorbell: Doorbell) {
        self.doorbell = Some(doorbell);
    }
    pub(crate) fn carries<P: 'static>(&self) -> bool {
        self.slots.kind_is::<P>()
    }

    fn token(&self, head: u16, serial: u32) -> Token {
        Token { head, serial, queue: self.rings.addresses().descriptor }
    }

    /// An error if the queue has seen a violated invariant.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.broken.map_or(Ok(()), |why| Err(why.into()))
    }

    fn fail(&mut self, why: Misbehaved) -> Error {
        self.broken = Some(why);
        why.into()
    }

    /// Adds a request with an owned payload. The device does not see it before `publish`.
    pub(crate) fn add<P: Lend>(
        &mut self,
        hal: &H,
        header: &[u8],
        entries: Option<Entries>,
        payload: P,
        response: usize,
    ) -> Result<Token, (Error, P)> {
        let head = match self.begin() {
            Ok(head) => head,
            Err(error) => return Err((error, payload)),
        };
        let (readable, writable) = (payload.readable(), payload.writable());
        let parked = match self.slots.park(head, payload) {
            Ok(parked) => parked,
            Err(payload) => {
                self.slots.abandon(hal, head);
                return Err((Misuse::WrongPayload.into(), payload));
            }
        };
        let built = {
            let build = Build { queue: self, hal, head };
            let built = build.queue.push_front(head, header, entries).and_then(|()| {
                build.queue.slots.push_payload::<P>(hal, head, readable, Direction::ToDevice)?;
                build.queue.slots.push_payload::<P>(hal, head, writable, Direction::FromDevice)?;
                build.queue.push_back(head, response)
            });
            core::mem::forget(build);
            built
        };
        match built {
            Ok(()) => Ok(self.commit(head, entries.map_or(0, |entries| entries.id))),
            Err(error) => Err((error, self.slots.reject(hal, head, parked))),
        }
    }

    /// Takes a head for a new request.
    pub(in crate::queue) fn begin(&mut self) -> Result<u16, Error> {
        self.check()?;
        self.serial = self.serial.wrapping_add(1);
        Ok(self.slots.begin(self.serial)?)
    }

    /// The device-readable parts that come before any payload: header, then table of entries.
    pub(in crate::queue) fn push_front(
        &mut self,
        head: u16,
        header: &[u8],
        entries: Option<Entries>,
    ) -> Result<(), Error> {
        if !header.is_empty() {
            let part = self.area.put_header(head, header)?;
            self.slots.push(head, part)?;
        }
        if let Some(entries) = entries {
            self.slots.push(head, SharedPart::own(entries.device, entries.bytes, Direction::ToDevice))?;
        }
        Ok(())
    }

    /// The device-writable part that comes after any payload: the response.
    pub(in crate::queue) fn push_back(&mut self, head: u16, response: usize) -> Result<(), Error> {
        if response > 0 {
            let part = self.area.response(head, response)?;
            self.slots.push_response(head, part)?;
        }
        match self.slots.head(head) {
            Some(record) if record.count > 0 => Ok(()),
            _ => Err(Misuse::EmptyRequest.into()),
        }
    }

    /// Writes the chain into the descriptor table and its head into the available ring (VIRTIO 1.4 §2.7.13.1–2).
    pub(in crate::queue) fn commit(&mut self, head: u16, entries: u64) -> Token {
        let (count, serial) = self.slots.head(head).map_or((0, 0), |record| (record.count, record.serial));
        let mut at = head;
        for left in (0..count).rev() {
            let Some(shadow) = self.slots.descriptor(at) else { break };
            let next = if left > 0 { DESC_F_NEXT } else { 0 };
            let write = if shadow.shared.direction.device_writes() { DESC_F_WRITE } else { 0 };
            let segment = shadow.shared.segment;
            // `push` has checked that the length fits.
            let len = u32::try_from(segment.len).unwrap_or(u32::MAX);
            let follower = if left > 0 { shadow.next } else { 0 };
            self.rings.write_descriptor(at, segment.device.get(), len, next | write, follower);
            at = shadow.next;
        }
        self.slots.commit(head, entries, self.added);
        self.rings.write_available(index(self.added), head);
        self.added = self.added.wrapping_add(1);
        self.in_flight = self.in_flight.saturating_add(1);
        self.token(head, serial)
    }

    /// Shows the device everything added so far: one store of `avail.idx`.
    pub(crate) fn publish(&mut self) {
        if self.shown != self.added {
            self.rings.publish(index(self.added));
            self.shown = self.added;
        }
    }

    /// Whether the device wants to be notified of what was published since the last call (VIRTIO 1.4 §2.7.13.4). A full
    /// barrier lies between the index and the suppression field (I-ORDER).
    pub(crate) fn wants_notification(&mut self) -> bool {
        let (old, new) = (self.notified, self.shown);
        if old == new {
            return false;
        }
        self.notified = new;
        self.rings.full_barrier();
        if self.event_idx {
            // Once around the index, every event was passed.
            let around = new.wrapping_sub(old) > u64::from(u16::MAX);
            around || event::passes(self.rings.available_event(), index(old), index(new))
        } else {
            self.rings.used_flags() & USED_F_NO_NOTIFY == 0
        }
    }

    /// Asks for an interrupt at the next used buffer. Answers whether one is waiting already: then there may be no
    /// interrupt for it (VIRTIO 1.4 §2.7.14).
    #[must_use]
    pub(crate) fn enable_interrupts(&mut self) -> bool {
        if self.event_idx {
            self.rings.set_used_event(self.used);
        } else {
            self.rings.set_available_flags(0);
        }
        self.rings.full_barrier();
        self.used_first != NONE || self.rings.used_index() != self.used
    }

    /// Asks for no interrupts. A hint: some may still come (VIRTIO 1.4 §2.7.7).
    pub(crate) fn disable_interrupts(&mut self) {
        if self.event_idx {
            // An event just passed is the farthest away.
            self.rings.set_used_event(self.used.wrapping_sub(1));
        } else {
            self.rings.set_available_flags(AVAIL_F_NO_INTERRUPT);
        }
    }

    /// The oldest used request, settled.
    pub(crate) fn poll(&mut self, hal: &H) -> Result<Option<(Token, Settled)>, Error> {
        if let Some(head) = self.pop_used() {
            return Ok(Some(self.settle(hal, head)));
        }
        match self.accept_one()? {
            Some(head) => Ok(Some(self.settle(hal, head))),
            None => Ok(None),
        }
    }

    /// The request of `token`, settled, if it was used. Others that were used meanwhile stay for `poll`.
    pub(crate) fn poll_for(&mut self, hal: &H, token: Token) -> Result<Option<Settled>, Error> {
        if token.queue != self.rings.addresses().descriptor {
            return Err(Misuse::NoSuchRequest.into());
        }
        match self.slots.head(token.head) {
            Some(record) if record.serial == token.serial && record.state == State::Used => {
                self.remove_used(token.head);
                return Ok(Some(self.settle(hal, token.head).1));
            }
            Some(record) if record.serial == token.serial && record.state == State::InFlight => {}
            _ => return Err(Misuse::NoSuchRequest.into()),
        }
        while let Some(head) = self.accept_one()? {
            if head == token.head {
                return Ok(Some(self.settle(hal, head).1));
            }
            self.push_used(head);
        }
        Ok(None)
    }

    fn settle(&mut self, hal: &H, head: u16) -> (Token, Settled) {
        let serial = self.slots.head(head).map_or(0, |record| record.serial);
        (self.token(head, serial), self.slots.settle(hal, head))
    }

    /// Reads one used element and takes it, or breaks the queue (I-ALLEGE).
    fn accept_one(&mut self) -> Result<Option<u16>, Error> {
        self.check()?;
        let advance = self.rings.used_index().wrapping_sub(self.used);
        if advance == 0 {
            return Ok(None);
        }
        let queue = self.index;
        // What was not published cannot have been used.
        let hidden = u16::try_from(self.added.wrapping_sub(self.shown)).unwrap_or(u16::MAX);
        let published = self.in_flight.saturating_sub(hidden);
        if advance > published {
            return Err(self.fail(Misbehaved::UsedIndexJump { queue, advance, in_flight: published }));
        }
        let element = self.rings.used_element(self.used);
        match self.slots.accept(queue, element.id, element.len, self.shown) {
            Ok(head) => {
                self.used = self.used.wrapping_add(1);
                self.in_flight = self.in_flight.saturating_sub(1);
                Ok(Some(head))
            }
            Err(why) => Err(self.fail(why)),
        }
    }

    fn push_used(&mut self, head: u16) {
        if let Some(record) = self.slots.head_mut(head) {
            record.next_used = NONE;
        }
        match self.slots.head_mut(self.used_last) {
            Some(last) => last.next_used = head,
            None => self.used_first = head,
        }
        self.used_last = head;
    }

    fn pop_used(&mut self) -> Option<u16> {
        let head = self.used_first;
        self.used_first = self.slots.head(head)?.next_used;
        if self.used_first == NONE {
            self.used_last = NONE;
        }
        Some(head)
    }

    fn remove_used(&mut self, head: u16) {
        let mut before = NONE;
        let mut at = self.used_first;
        // Bounded: the list is no longer than the queue.
        for _ in 0..self.slots.size.get() {
            let Some(next) = self.slots.head(at).map(|record| record.next_used) else { return };
            if at == head {
                match self.slots.head_mut(before) {
                    Some(before) => before.next_used = next,
                    None => self.used_first = next,
                }
                if self.used_last == head {
                    self.used_last = before;
                }
                return;
            }
            before = at;
            at = next;
        }
    }

    /// Frees a settled request.
    pub(crate) fn finish(&mut self, token: Token) {
        self.slots.finish(token.head);
    }

    /// Gives up all memory that the device may still use: it was not reset.
    pub(crate) fn leak(self) {
        // First of all: a report that unwinds must not free anything.
        let this = core::mem::ManuallyDrop::new(self);
        this.slots.report_leaks(this.rings.hal());
        this.rings.report_leak();
        this.area.report_leak();
        this.slots.report_leak();
    }
}
