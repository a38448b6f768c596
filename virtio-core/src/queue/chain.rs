//! A request's descriptors, from free to in flight to free again (a room of unsafe code).
//!
//! **State Honest**: a head's `state` tells who may use its memory, and changes only here.
//! `Free → Building` (`begin`) `→ InFlight` (`commit`) `→ Used` (`accept`, on its used element) `→ Taken` (`settle`)
//! `→ Free` (`finish`), or back to `Free` from `Building` (`abandon`), or from anywhere after a confirmed reset
//! (`release_all`). Segments are shared in `Building` and ended exactly once: on leaving it backwards, in `settle`, or in
//! `release_all`.
//!
//! So memory is used by the device in `InFlight` only, which is what I-RESET asks for: `accept` takes a used element, and
//! refuses one that names no request in flight (I-ALLEGE).
#![expect(unsafe_code, reason = "ends sharing exactly when the device is done")]

use super::slots::{DescriptorShadow, Head, Parked, Slots, State};
use crate::dma::{Lend, SharedPart, Stopped, Stretch, share_all};
use crate::hal::Direction;
use crate::{Error, Hal, Misbehaved, Misuse, QueueIndex};

/// How many bytes a settled request received, and where.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settled {
    /// Bytes the device says it wrote, as it said it.
    pub(super) claimed: u32,
    /// The same, no more than was posted as writable.
    pub(super) written: u32,
    /// How much of that fell behind the payload: into the response.
    pub(super) response: u32,
    /// The attachment whose entries the request named, or 0.
    pub(super) entries: u64,
}

impl Settled {
    /// Bytes written, no more than was posted.
    pub(crate) fn written(&self) -> u32 {
        self.written
    }
}

impl<H: Hal> Slots<H> {
    /// Takes a head for a new request, if there is one.
    pub(super) fn begin(&mut self, serial: u32) -> Result<u16, Misuse> {
        if self.free_count == 0 {
            return Err(Misuse::QueueFull);
        }
        let index = self.free_first;
        let head = self.head_mut(index).ok_or(Misuse::QueueFull)?;
        *head = Head { state: State::Building, serial, ..Head::FREE };
        Ok(index)
    }

    /// Appends a segment to the request that is being built.
    pub(super) fn push(&mut self, head: u16, shared: SharedPart) -> Result<(), Error> {
        let len = u32::try_from(shared.segment.len).map_err(|_| Misuse::BufferTooLong)?;
        let size = self.size.get();
        let record = *self.head(head).ok_or(Misuse::QueueFull)?;
        if record.count >= size {
            return Err(Misuse::TooManySegments.into());
        }
        if self.free_count == 0 {
            return Err(Misuse::QueueFull.into());
        }
        let room = if shared.direction.device_writes() { len } else { 0 };
        let payload_room = record.payload_room.checked_add(room).ok_or(Misuse::BufferTooLong)?;
        let index = self.free_first;
        let descriptor = self.descriptor_mut(index).ok_or(Misuse::QueueFull)?;
        let next = descriptor.next;
        descriptor.shared = shared;
        self.free_first = next;
        self.free_count = self.free_count.saturating_sub(1);
        if let Some(before) = self.descriptor_mut(record.last).filter(|_| record.count > 0) {
            before.next = index;
        }
        if let Some(record) = self.head_mut(head) {
            record.last = index;
            record.count = record.count.saturating_add(1);
            record.payload_room = payload_room;
        }
        Ok(())
    }

    /// Appends the response area: device-writable, but not payload.
    pub(super) fn push_response(&mut self, head: u16, shared: SharedPart) -> Result<(), Error> {
        let before = self.head(head).map_or(0, |head| head.payload_room);
        self.push(head, shared)?;
        if let Some(record) = self.head_mut(head) {
            record.response_room = record.payload_room.saturating_sub(before);
            record.payload_room = before;
        }
        Ok(())
    }

    /// Shares the first `count` buffers of the parked payload that go in `direction`, and appends them.
    pub(super) fn push_payload<P: Lend>(
        &mut self,
        hal: &H,
        head: u16,
        count: usize,
        direction: Direction,
    ) -> Result<(), Error> {
        for at in 0..count {
            let stretch = self.stretch::<P>(head, direction, at).ok_or(Misuse::BadLength)?;
            // SAFETY: the payload is parked (I-LOAN): its memory stays valid and unused until it is unparked, and State
            // Honest ends every segment before that.
            unsafe { self.push_stretch(hal, head, stretch, direction) }?;
        }
        Ok(())
    }

    /// Shares a buffer and appends its segments.
    ///
    /// # Safety
    /// The memory is valid as `direction` says, and used by nobody else until the request is settled, abandoned or
    /// released after a confirmed reset.
    pub(super) unsafe fn push_stretch(
        &mut self,
        hal: &H,
        head: u16,
        stretch: Stretch,
        direction: Direction,
    ) -> Result<(), Error> {
        // SAFETY: passed on; every segment that `push` takes is ended with the request (State Honest).
        unsafe { share_all(hal, stretch, direction, |shared| self.push(head, shared)) }
    }

    /// Gives a request up before the device was told: ends its segments and frees its descriptors.
    pub(super) fn abandon(&mut self, hal: &H, head: u16) {
        if self.head(head).is_some_and(|record| record.state == State::Building) {
            self.end_segments(hal, head, 0);
            self.free_chain(head);
        }
    }

    /// The request is complete and about to be made available.
    pub(super) fn commit(&mut self, head: u16, entries: u64, order: u64) {
        if let Some(record) = self.head_mut(head).filter(|record| record.state == State::Building) {
            record.entries = entries;
            record.order = order;
            record.state = State::InFlight;
        }
    }

    /// Takes a used element: the id must be the head of a request in flight.
    pub(super) fn accept(
        &mut self,
        queue: QueueIndex,
        id: u32,
        len: u32,
        shown: u64,
    ) -> Result<u16, Misbehaved> {
        let index = u16::try_from(id)
            .ok()
            .filter(|index| *index < self.size.get())
            .ok_or(Misbehaved::UsedIdOutOfRange { queue, id })?;
        match self.head_mut(index) {
            Some(record) if record.state == State::InFlight && record.order < shown => {
                record.state = State::Used;
                record.claimed = len;
                Ok(index)
            }
            _ => Err(Misbehaved::UsedIdNotInFlight { queue, id }),
        }
    }

    /// Takes the memory of a used request back: bounced bytes are copied, as many as were written.
    pub(super) fn settle(&mut self, hal: &H, head: u16) -> Settled {
        let Some(record) = self.head_mut(head).filter(|record| record.state == State::Used) else {
            return Settled::default();
        };
        record.state = State::Taken;
        let record = *record;
        let room = record.payload_room.saturating_add(record.response_room);
        let written = record.claimed.min(room);
        self.end_segments(hal, head, written);
        Settled {
            claimed: record.claimed,
            written,
            response: written.saturating_sub(record.payload_room),
            entries: record.entries,
        }
    }

    /// Takes the payload of a settled request out.
    pub(super) fn take_payload<P: 'static>(&mut self, head: u16) -> Option<P> {
        if self.head(head).is_none_or(|record| record.state != State::Taken) {
            return None;
        }
        // SAFETY: State Honest: the device is done with it, and all sharing has ended.
        unsafe { self.unpark(head) }
    }

    /// Frees a settled request; drops its payload if nobody took it.
    pub(super) fn finish(&mut self, head: u16) {
        if self.head(head).is_none_or(|record| record.state != State::Taken) {
            return;
        }
        // SAFETY: State Honest: the device is done with it, and all sharing has ended.
        unsafe { self.drop_parked(head) };
        self.free_chain(head);
    }

    /// Takes everything back: the device was reset.
    pub(super) fn release_all(&mut self, hal: &H, _proof: &Stopped) {
        for index in 0..self.size.get() {
            let Some(record) = self.head(index) else { continue };
            let (state, count) = (record.state, record.count);
            if state == State::Free {
                continue;
            }
            if state != State::Taken && count > 0 {
                self.end_segments(hal, index, 0);
            }
            // SAFETY: the proof says that the device was reset, and no sharing of it is open any more.
            unsafe { self.drop_parked(index) };
            if let Some(record) = self.head_mut(index) {
                *record = Head::FREE;
            }
        }
    }

    /// Tells the Hal of every segment that cannot be given back.
    pub(super) fn report_leaks(&self, hal: &H) {
        for index in 0..self.size.get() {
            if self.head(index).is_some_and(|record| matches!(record.state, State::InFlight | State::Used)) {
                self.each_segment(index, |shared| shared.leak(hal));
            }
        }
    }

    /// Walks a chain by the private records.
    pub(super) fn each_segment(&self, head: u16, mut visit: impl FnMut(&SharedPart)) {
        let count = self.head(head).map_or(0, |record| record.count);
        let mut at = head;
        for _ in 0..count {
            let Some(DescriptorShadow { shared, next }) = self.descriptor(at) else { return };
            visit(shared);
            at = *next;
        }
    }

    fn end_segments(&mut self, hal: &H, head: u16, written: u32) {
        let mut left = usize::try_from(written).unwrap_or(usize::MAX);
        self.each_segment(head, |shared| {
            let mut here = 0;
            if shared.direction.device_writes() {
                here = left.min(shared.segment.len);
                left = left.saturating_sub(here);
            }
            // SAFETY: State Honest: every caller is one of the three moments at which segments end, once each; the
            // device is done, and the payload is still parked or the borrow still held.
            unsafe { shared.end(hal, here) };
        });
    }

    /// Returns a chain to the free list.
    fn free_chain(&mut self, head: u16) {
        let Some(record) = self.head_mut(head) else { return };
        let (last, count) = (record.last, record.count);
        *record = Head::FREE;
        if count == 0 {
            return;
        }
        let first_free = self.free_first;
        if let Some(last) = self.descriptor_mut(last) {
            last.next = first_free;
        }
        self.free_first = head;
        self.free_count = self.free_count.saturating_add(count);
    }
}

impl<H: Hal> Slots<H> {
    /// Takes back a payload whose request was abandoned.
    pub(super) fn reject<P: 'static>(&mut self, hal: &H, head: u16, parked: Parked<P>) -> P {
        self.abandon(hal, head);
        self.take_back(parked)
    }

    /// Gives up a request that a panic has kept from being built, with its payload.
    pub(super) fn abandon_parked(&mut self, hal: &H, head: u16) {
        if self.head(head).is_some_and(|record| record.state == State::Building) {
            self.abandon(hal, head);
            // SAFETY: State Honest: the device was never told of it, and its segments have just ended.
            unsafe { self.drop_parked(head) };
        }
    }
}
