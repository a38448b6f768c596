//! Taking requests back (VIRTIO 1.4 §2.7.14, §2.8.22) (a room of unsafe code).
//!
//! **State Honest**: a head's `state` tells who may use its memory.
//! `Free → InFlight` (a finished `Builder`, or `raw`) `→ Used` (`accept`, on its used element) `→ Taken` (`settle`)
//! `→ Free` (`finish`; with `IN_ORDER` by way of `Spent`), or from anywhere to `Free` after a confirmed reset
//! (`release_all`). Its segments are ended exactly once: in `settle`, in `release_all`, or while it is still being built.
//!
//! So memory is used by the device in `InFlight` only, which is what I-RESET asks for: `accept` takes a used element, and
//! refuses one that names no request in flight (I-ALLEGE).
#![expect(unsafe_code, reason = "ends sharing exactly when the device is done")]

use super::virtqueue::{NONE, Queue, Token};
use super::slots::{Marks, Slot, Slots, State};
use crate::dma::{SharedPart, Stopped};
use crate::{Error, Hal, Misbehaved, Misuse};

/// How many bytes a settled request received, and where.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// Bytes the device says it wrote, as it said it.
    pub(super) claimed: u32,
    /// The same, no more than was posted as writable.
    pub(super) written: u32,
    /// How much of that fell behind the payload: into the response.
    pub(super) response: u32,
    /// The attachment whose entries the request named, or 0.
    pub(super) entries: u64,
}

impl<H: Hal> Queue<H> {
    /// The oldest used request that nobody has taken, settled.
    #[inline]
    pub(super) fn poll(&mut self, hal: &H) -> Result<Option<(Slot, Settled)>, Error> {
        let slot = match self.pop_used() {
            Some(slot) => slot,
            None => match self.accept_one(hal)? {
                Some(slot) => slot,
                None => return Ok(None),
            },
        };
        Ok(Some((slot, self.slots.settle(hal, slot))))
    }

    /// Whether there may be more to take without another look at the ring's index.
    pub(super) fn has_seen_more(&self) -> bool {
        self.used_first != NONE || self.run_last != NONE || self.ring.has_seen_more(&self.counts)
    }

    /// The slot of a request that is known: in flight, or used and not taken.
    pub(super) fn find(&self, token: Token) -> Result<Slot, Misuse> {
        let slot = self.slots.slot(u32::from(token.head)).ok_or(Misuse::NoSuchRequest)?;
        let head = self.slots.head(slot);
        let known =
            matches!(head.state, State::InFlight | State::Used) && !head.marks.contains(Marks::ABANDONED);
        if known && self.token(slot, head.order) == token { Ok(slot) } else { Err(Misuse::NoSuchRequest) }
    }

    /// The request of `token`, settled, if it was used. Others that were used meanwhile stay for `poll`.
    pub(super) fn poll_for(&mut self, hal: &H, token: Token) -> Result<Option<(Slot, Settled)>, Error> {
        let wanted = self.find(token)?;
        if self.slots.head(wanted).state == State::Used {
            self.remove_used(wanted);
            return Ok(Some((wanted, self.slots.settle(hal, wanted))));
        }
        while let Some(slot) = self.accept_one(hal)? {
            if slot == wanted {
                return Ok(Some((slot, self.slots.settle(hal, slot))));
            }
            self.push_used(slot);
        }
        Ok(None)
    }

    /// Takes one buffer from the used ring, or breaks the queue (I-ALLEGE).
    #[inline]
    pub(super) fn accept_one(&mut self, hal: &H) -> Result<Option<Slot>, Error> {
        loop {
            self.check()?;
            let accepted = if self.in_order { self.accept_in_order(hal) } else { self.accept(hal) };
            let slot = match accepted {
                Ok(Some(slot)) => slot,
                Ok(None) => return Ok(None),
                Err(why) => return Err(self.fail(why)),
            };
            if !self.slots.head(slot).marks.intersects(Marks::WAKER | Marks::ABANDONED) {
                return Ok(Some(slot));
            }
            if !self.is_over(hal, slot) {
                return Ok(Some(slot));
            }
        }
    }

    #[inline]
    fn accept(&mut self, hal: &H) -> Result<Option<Slot>, Misbehaved> {
        let Self { ring, slots, counts, cold, .. } = self;
        let Some(used) = ring.next_used(hal, counts, || cold.index)? else { return Ok(None) };
        let Some(slot) = slots.slot(used.id) else {
            return Err(Misbehaved::UsedIdOutOfRange { queue: cold.index, id: used.id });
        };
        let head = slots.head_mut(slot);
        // What was not shown cannot have been used.
        let hidden = counts.shown != counts.added && head.order >= counts.shown;
        if head.state != State::InFlight || hidden {
            return Err(Misbehaved::UsedIdNotInFlight { queue: cold.index, id: used.id });
        }
        head.state = State::Used;
        head.claimed = used.len;
        let taken = head.taken;
        ring.retire(taken);
        counts.completed = counts.completed.wrapping_add(1);
        Ok(Some(slot))
    }

    /// With `IN_ORDER` one used buffer may stand for itself and all before it, which are used to the full (VIRTIO 1.4 §2.7.9).
    fn accept_in_order(&mut self, hal: &H) -> Result<Option<Slot>, Misbehaved> {
        let Self { ring, slots, counts, cold, run_last, run_len, .. } = self;
        let queue = cold.index;
        let (end, len) = match slots.slot(u32::from(*run_last)) {
            Some(end) => (end, *run_len),
            None => {
                let Some(used) = ring.next_used(hal, counts, || queue)? else { return Ok(None) };
                let Some(end) = slots.slot(used.id) else {
                    return Err(Misbehaved::UsedIdOutOfRange { queue, id: used.id });
                };
                let head = slots.head(end);
                let requests = head.order.wrapping_sub(counts.completed).wrapping_add(1);
                let hidden = head.order >= counts.shown;
                if head.state != State::InFlight || hidden || !ring.can_retire(counts, requests) {
                    return Err(Misbehaved::UsedIdNotInFlight { queue, id: used.id });
                }
                (end, used.len)
            }
        };
        let slot = slots.in_flight_first;
        let head = slots.head_mut(slot);
        *run_last = if slot == end { NONE } else { end.get() };
        *run_len = len;
        head.state = State::Used;
        head.claimed = if slot == end { len } else { head.payload_room.saturating_add(head.response_room) };
        let (last, taken) = (head.last, head.taken);
        slots.in_flight_first = slots.link(last);
        ring.retire(taken);
        counts.completed = counts.completed.wrapping_add(1);
        Ok(Some(slot))
    }

    /// A used request for which somebody waits, or nobody any more. Answers whether that was the end of it.
    #[cold]
    fn is_over(&mut self, hal: &H, slot: Slot) -> bool {
        let waker = self.slots.waker_mut(slot).take();
        let marks = &mut self.slots.head_mut(slot).marks;
        marks.remove(Marks::WAKER);
        let abandoned = marks.contains(Marks::ABANDONED);
        if abandoned {
            self.slots.settle(hal, slot);
            self.finish(slot);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        abandoned
    }

    pub(super) fn push_used(&mut self, slot: Slot) {
        self.slots.head_mut(slot).next_used = NONE;
        match self.slots.slot(u32::from(self.used_last)) {
            Some(last) => self.slots.head_mut(last).next_used = slot.get(),
            None => self.used_first = slot.get(),
        }
        self.used_last = slot.get();
    }

    fn pop_used(&mut self) -> Option<Slot> {
        if self.used_first == NONE {
            return None;
        }
        let slot = self.slots.slot(u32::from(self.used_first))?;
        self.used_first = self.slots.head(slot).next_used;
        if self.used_first == NONE {
            self.used_last = NONE;
        }
        Some(slot)
    }

    pub(super) fn remove_used(&mut self, slot: Slot) {
        let mut before = None;
        let mut at = self.slots.slot(u32::from(self.used_first));
        // Bounded: the list is no longer than the queue.
        for _ in 0..self.size().get() {
            let Some(here) = at else { return };
            let next = self.slots.head(here).next_used;
            if here == slot {
                match before {
                    Some(before) => self.slots.head_mut(before).next_used = next,
                    None => self.used_first = next,
                }
                if self.used_last == slot.get() {
                    self.used_last = before.map_or(NONE, Slot::get);
                }
                return;
            }
            before = Some(here);
            at = self.slots.slot(u32::from(next));
        }
    }

    /// Frees a settled request; drops its payload if nobody took it.
    #[inline]
    pub(super) fn finish(&mut self, slot: Slot) {
        if self.slots.head(slot).state != State::Taken {
            return;
        }
        // SAFETY: State Honest: the device is done with it, and all sharing has ended.
        unsafe { self.slots.drop_parked(slot) };
        if self.in_order {
            self.slots.free_in_order(slot);
        } else {
            self.slots.free_chain(slot);
        }
    }

    /// Takes everything back: the device, or this queue of it, was reset. Hands out the payloads of requests that were in
    /// flight, as long as `returned` takes them.
    pub(super) fn release_all(
        &mut self,
        hal: &H,
        _proof: &Stopped,
        mut returned: impl FnMut(&mut Self, Slot),
    ) {
        for slot in self.slots.all() {
            let state = self.slots.head(slot).state;
            if matches!(state, State::Free | State::Spent) {
                continue;
            }
            if matches!(state, State::InFlight | State::Used) {
                // SAFETY: the proof says that the device does not use them any more; State Honest: not ended before.
                unsafe { self.slots.end_segments(hal, slot, 0) };
            }
            self.slots.head_mut(slot).state = State::Taken;
            let waker = self.slots.waker_mut(slot).take();
            returned(self, slot);
            // SAFETY: as above, and no sharing of it is open any more.
            unsafe { self.slots.drop_parked(slot) };
            self.slots.head_mut(slot).state = State::Free;
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Gives up all memory that the device may still use: it was not reset.
    pub(crate) fn leak(self) {
        let Self { slots, cold, .. } = self;
        let parts =
            slots.all().filter(|slot| matches!(slots.head(*slot).state, State::InFlight | State::Used));
        // First of all: a report that unwinds must not free anything.
        let cold = core::mem::ManuallyDrop::new(cold);
        if let Some(hal) = cold.hal() {
            for slot in parts {
                slots.each_part(slot, |part| part.leak(hal));
            }
        }
        cold.report_leak();
    }
}

impl Slots {
    /// Takes the memory of a used request back: bounced bytes are copied, as many as were written.
    #[inline]
    pub(super) fn settle<H: Hal>(&mut self, hal: &H, slot: Slot) -> Settled {
        let head = self.head_mut(slot);
        if head.state != State::Used {
            return Settled::default();
        }
        head.state = State::Taken;
        let room = head.payload_room.saturating_add(head.response_room);
        let written = head.claimed.min(room);
        let settled = Settled {
            claimed: head.claimed,
            written,
            response: written.saturating_sub(head.payload_room),
            entries: if head.marks.contains(Marks::ENTRIES) { head.entries } else { 0 },
        };
        if head.marks.contains(Marks::UNDO) {
            // SAFETY: State Honest: the device is done, and this is the one end; the payload is still parked, or the borrow
            // still held.
            unsafe { self.end_segments(hal, slot, written) };
        }
        settled
    }

    /// Walks the recorded segments of a request: those of its descriptors, then those of its table.
    pub(super) fn each_part(&self, slot: Slot, mut visit: impl FnMut(&SharedPart)) {
        let head = self.head(slot);
        if !head.marks.contains(Marks::RECORDED) {
            return;
        }
        let mut at = slot;
        for _ in 0..head.taken {
            visit(self.part(at));
            at = self.link(at);
        }
        for entry in 0..head.in_table {
            if let Some(part) = self.table_part(slot, entry) {
                visit(part);
            }
        }
    }

    /// Ends the segments of a request, of which the device wrote the first `written` bytes.
    ///
    /// # Safety
    /// The device is done with them, or never knew of them; they have not been ended; their buffers are still valid.
    pub(super) unsafe fn end_segments<H: Hal>(&self, hal: &H, slot: Slot, written: u32) {
        if !self.head(slot).marks.contains(Marks::UNDO) {
            return;
        }
        let mut left = usize::try_from(written).unwrap_or(usize::MAX);
        self.each_part(slot, |part| {
            let mut here = 0;
            if part.direction.device_writes() {
                here = left.min(part.segment.len);
                left = left.saturating_sub(here);
            }
            // SAFETY: the caller's promise.
            unsafe { part.end(hal, here) };
        });
    }

    /// Returns a chain to the free list.
    #[inline]
    fn free_chain(&mut self, slot: Slot) {
        let head = self.head_mut(slot);
        head.state = State::Free;
        let (last, taken) = (head.last, head.taken);
        let first_free = self.free_first;
        self.set_link(last, first_free);
        self.free_first = slot;
        self.free_count = self.free_count.saturating_add(u32::from(taken));
    }

    /// Returns a chain, and all that waited for it: with `IN_ORDER` descriptors are taken in the order of the table, and so
    /// become free in that order.
    fn free_in_order(&mut self, slot: Slot) {
        self.head_mut(slot).state = State::Spent;
        // Bounded: there are no more requests than descriptors.
        for _ in 0..self.size().get() {
            let head = self.head_mut(self.oldest);
            if head.state != State::Spent {
                return;
            }
            head.state = State::Free;
            let (last, taken) = (head.last, head.taken);
            self.oldest = self.link(last);
            self.free_count = self.free_count.saturating_add(u32::from(taken));
        }
    }
}
