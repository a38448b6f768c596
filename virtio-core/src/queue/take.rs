//! Taking requests back (VIRTIO 1.4 §2.7.14, §2.8.22) (a room of unsafe code).
//!
//! **State Honest**: a head's `state` tells who may use its memory.
//! free `→` in flight, by losing `DONE` (a finished `Builder`, or `raw`) `→ Used` (on its used element) `→` a completion
//! (`settle`; `poll` goes there at once) `→` free (`finish`; with `IN_ORDER` by way of `Spent`), or from anywhere to free after
//! a confirmed reset (`release_all`). Its segments are ended exactly once: in `settle`, in `release_all`, or
//! while it is still being built. A completion is one value that is neither copied nor made twice, so `settle` and `finish`
//! are called once for each.
//!
//! So memory is used by the device while a request is not `DONE`, which is what I-RESET asks for: a used element is taken
//! only if it names a request that is in flight and was shown (I-ALLEGE).
#![expect(unsafe_code, reason = "ends sharing exactly when the device is done")]

use super::format::Format;
use super::ring::on;
use super::slots::{DONE, Head, Marks, Slot, Slots, State};
use super::virtqueue::{NONE, Queue, Token};
use crate::dma::{SharedPart, Stopped};
use crate::{Error, Hal, Misbehaved, Misuse};

/// How many bytes a settled request received, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    /// Bytes the device says it wrote, as it said it.
    pub(super) claimed: u32,
    /// The same, no more than was posted as writable.
    pub(super) written: u32,
    /// What else is known of the request; its payload is still in its place if `PARKED`.
    pub(super) marks: Marks,
}

/// Requests that are taken back: those that a panic of a payload, a closure or a waker leaves over lose their payloads too.
struct Rest<'q, H: Hal, I: Iterator<Item = Slot>> {
    slots: I,
    queue: &'q mut Queue<H>,
}

impl<H: Hal, I: Iterator<Item = Slot>> Drop for Rest<'_, H, I> {
    fn drop(&mut self) {
        for slot in self.slots.by_ref() {
            drop(self.queue.slots.stand_up(slot));
            // SAFETY: made by `release_all` alone, which has the proof and has ended all sharing.
            unsafe { self.queue.slots.drop_parked(slot) };
        }
    }
}

/// What the used ring of a plain queue had next.
pub(super) enum Next {
    /// A request, settled.
    Taken(Slot, Settled),
    /// A request that asks for more, and the length that the device says.
    Special(Slot, u32),
    Nothing,
    Wrong(Misbehaved),
}

impl<H: Hal> Queue<H> {
    /// The oldest used request that nobody has taken, settled.
    #[inline]
    pub(super) fn poll(&mut self, hal: &H) -> Result<Option<(Slot, Settled)>, Error> {
        if !self.plain {
            return self.poll_slowly(hal);
        }
        match self.take_next(hal, true) {
            Next::Taken(slot, settled) => Ok(Some((slot, settled))),
            Next::Nothing => Ok(None),
            Next::Special(slot, len) => match self.settle_special(hal, slot, len) {
                Some(settled) => Ok(Some((slot, settled))),
                None => self.poll_slowly(hal),
            },
            Next::Wrong(why) => Err(self.fail(why)),
        }
    }

    /// The next used request of a plain queue; without a `look` at the ring's index, if there is one, only of those that the
    /// last look has shown.
    // Into the caller, where it melts into his loop.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take_next(&mut self, hal: &H, look: bool) -> Next {
        let Self { ring, slots, counts, cold, .. } = self;
        let id = on!(ring, ring => {
            let used = match ring.next_used(hal, counts, look, || cold.index) {
                Ok(Some(used)) => used,
                Ok(None) => return Next::Nothing,
                Err(why) => return Next::Wrong(why),
            };
            if let Some(slot) = slots.slot(used.id) {
                let head = slots.head_mut(slot);
                let Head { order, room, marks, taken, .. } = *head;
                // Otherwise it is not in flight, or not even shown.
                if order < counts.shown {
                    head.order = order | DONE;
                    counts.completed = counts.completed.wrapping_add(1);
                    ring.retire(taken);
                    if marks.intersects(Marks::SPECIAL) {
                        return Next::Special(slot, used.len);
                    }
                    return Next::Taken(slot, Settled { claimed: used.len, written: used.len.min(room), marks });
                }
            }
            used.id
        });
        Next::Wrong(self.wrong_id(id))
    }

    /// A request that asks for more than taking its payload. `None` if that was the end of it.
    #[cold]
    pub(super) fn settle_special(&mut self, hal: &H, slot: Slot, len: u32) -> Option<Settled> {
        let head = self.slots.head_mut(slot);
        (head.state, head.claimed) = (State::Used, len);
        if head.marks.intersects(Marks::WAKER | Marks::ABANDONED) && self.is_over(hal, slot) {
            return None;
        }
        Some(self.slots.settle(hal, slot))
    }

    /// Where there is more to it: a list of used requests, `IN_ORDER`, a closed queue.
    #[inline(never)]
    fn poll_slowly(&mut self, hal: &H) -> Result<Option<(Slot, Settled)>, Error> {
        let slot = match self.pop_used() {
            Some(slot) => slot,
            None => match self.accept_one(hal)? {
                Some(slot) => slot,
                None => return Ok(None),
            },
        };
        Ok(Some((slot, self.slots.settle(hal, slot))))
    }

    #[cold]
    fn wrong_id(&self, id: u32) -> Misbehaved {
        let queue = self.cold.index;
        match self.slots.slot(id) {
            None => Misbehaved::UsedIdOutOfRange { queue, id },
            Some(_) => Misbehaved::UsedIdNotInFlight { queue, id },
        }
    }

    /// Whether used requests are taken as they come.
    fn set_plain(&mut self) {
        self.plain = self.open && !self.in_order && self.used_first == NONE;
    }

    /// Looks at the ring's index, so that all that was used before can be taken without another look.
    #[inline]
    pub(super) fn look(&mut self, hal: &H) -> Result<(), Error> {
        self.check()?;
        let Self { ring, counts, cold, .. } = self;
        let looked = on!(ring, ring => ring.look(hal, counts, || cold.index));
        looked.map_err(|why| self.fail(why))
    }

    /// Whether there may be more to take without another look at the ring's index.
    pub(super) fn has_seen_more(&self) -> bool {
        self.used_first != NONE || self.run_last != NONE || self.ring.has_seen_more(&self.counts)
    }

    /// The slot of a request that is known: in flight, or used and not taken.
    pub(super) fn find(&self, token: Token) -> Result<Slot, Misuse> {
        let slot = self.slots.slot(u32::from(token.head)).ok_or(Misuse::NoSuchRequest)?;
        let head = self.slots.head(slot);
        let known = head.is_open() && !head.marks.contains(Marks::ABANDONED);
        if known && self.token(slot, head.order) == token { Ok(slot) } else { Err(Misuse::NoSuchRequest) }
    }

    /// The request of `token`, settled, if it was used. Others that were used meanwhile stay for `poll`.
    pub(super) fn poll_for(&mut self, hal: &H, token: Token) -> Result<Option<(Slot, Settled)>, Error> {
        let wanted = self.find(token)?;
        Ok(self.take(hal, wanted)?.map(|settled| (wanted, settled)))
    }

    /// The request of `wanted`, which is in flight, or used and not taken; otherwise as `poll_for`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take(&mut self, hal: &H, wanted: Slot) -> Result<Option<Settled>, Error> {
        if !self.plain {
            return self.take_slowly(hal, wanted);
        }
        match self.take_next(hal, true) {
            Next::Taken(slot, settled) if slot == wanted => Ok(Some(settled)),
            Next::Taken(slot, settled) => self.take_later(hal, wanted, slot, settled.claimed),
            Next::Special(slot, claimed) => self.take_later(hal, wanted, slot, claimed),
            Next::Nothing => Ok(None),
            Next::Wrong(why) => Err(self.fail(why)),
        }
    }

    /// Goes on after `slot`, which the device has just used, perhaps in place of what is wanted.
    #[cold]
    fn take_later(
        &mut self,
        hal: &H,
        wanted: Slot,
        slot: Slot,
        claimed: u32,
    ) -> Result<Option<Settled>, Error> {
        let head = self.slots.head_mut(slot);
        (head.state, head.claimed) = (State::Used, claimed);
        let watched = head.marks.intersects(Marks::WAKER | Marks::ABANDONED);
        if !watched || !self.is_over(hal, slot) {
            if slot == wanted {
                return Ok(Some(self.slots.settle(hal, slot)));
            }
            self.push_used(slot);
        }
        self.take_slowly(hal, wanted)
    }

    #[inline(never)]
    fn take_slowly(&mut self, hal: &H, wanted: Slot) -> Result<Option<Settled>, Error> {
        if self.slots.head(wanted).state == State::Used {
            self.remove_used(wanted);
            return Ok(Some(self.slots.settle(hal, wanted)));
        }
        while let Some(slot) = self.accept_one(hal)? {
            if slot == wanted {
                return Ok(Some(self.slots.settle(hal, slot)));
            }
            self.push_used(slot);
        }
        Ok(None)
    }

    /// Takes one buffer from the used ring, or breaks the queue (I-ALLEGE). It is `Used` then.
    pub(super) fn accept_one(&mut self, hal: &H) -> Result<Option<Slot>, Error> {
        loop {
            let Some(slot) = self.accept_any(hal)? else { return Ok(None) };
            let marks = self.slots.head(slot).marks;
            if !marks.intersects(Marks::WAKER | Marks::ABANDONED) || !self.is_over(hal, slot) {
                return Ok(Some(slot));
            }
        }
    }

    /// As `accept_one`, but tells nobody who waits, and ends nothing.
    pub(super) fn accept_any(&mut self, hal: &H) -> Result<Option<Slot>, Error> {
        self.check()?;
        let accepted = if self.in_order { self.accept_in_order(hal) } else { self.accept(hal) };
        accepted.map_err(|why| self.fail(why))
    }

    fn accept(&mut self, hal: &H) -> Result<Option<Slot>, Misbehaved> {
        let queue = self.cold.index;
        let Some(used) = self.ring.next_used(hal, &self.counts, true, || queue)? else { return Ok(None) };
        let slot = self.used_slot(used.id)?;
        self.use_up(slot, used.len);
        Ok(Some(slot))
    }

    /// The request that the device names as used, if it can have used it.
    fn used_slot(&self, id: u32) -> Result<Slot, Misbehaved> {
        self.slots
            .slot(id)
            .filter(|slot| self.slots.head(*slot).order < self.counts.shown)
            .ok_or_else(|| self.wrong_id(id))
    }

    /// The device is done with a request.
    fn use_up(&mut self, slot: Slot, len: u32) {
        let head = self.slots.head_mut(slot);
        head.order |= DONE;
        (head.state, head.claimed) = (State::Used, len);
        let taken = head.taken;
        self.ring.retire(taken);
        self.counts.completed = self.counts.completed.wrapping_add(1);
    }

    /// With `IN_ORDER` one used buffer may stand for itself and all before it, which are used to the full (VIRTIO 1.4 §2.7.9).
    fn accept_in_order(&mut self, hal: &H) -> Result<Option<Slot>, Misbehaved> {
        let (end, len) = match self.slots.slot(u32::from(self.run_last)) {
            Some(end) => (end, self.run_len),
            None => {
                let queue = self.cold.index;
                let Some(used) = self.ring.next_used(hal, &self.counts, true, || queue)? else {
                    return Ok(None);
                };
                let end = self.used_slot(used.id)?;
                let order = self.slots.head(end).order;
                let requests = order.wrapping_sub(self.counts.completed).wrapping_add(1);
                if !self.ring.can_retire(&self.counts, requests) {
                    return Err(self.wrong_id(used.id));
                }
                (end, used.len)
            }
        };
        let slot = self.slots.in_flight_first;
        self.run_last = if slot == end { NONE } else { end.get() };
        self.run_len = len;
        let head = self.slots.head(slot);
        let (room, last) = (head.room, head.last);
        self.slots.in_flight_first = self.slots.link(last);
        self.use_up(slot, if slot == end { len } else { room });
        Ok(Some(slot))
    }

    /// A used request for which somebody waits, or nobody any more. Answers whether that was the end of it.
    #[cold]
    fn is_over(&mut self, hal: &H, slot: Slot) -> bool {
        let waker = self.slots.stand_up(slot);
        let abandoned = self.slots.head(slot).marks.contains(Marks::ABANDONED);
        if abandoned {
            self.slots.settle(hal, slot);
            let marks = self.slots.head(slot).marks;
            self.finish(slot, marks);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        abandoned
    }

    pub(super) fn push_used(&mut self, slot: Slot) {
        self.slots.head_mut(slot).next_used = NONE;
        self.plain = false;
        match self.slots.slot(u32::from(self.used_last)) {
            Some(last) => self.slots.head_mut(last).next_used = slot.get(),
            None => self.used_first = slot.get(),
        }
        self.used_last = slot.get();
    }

    pub(super) fn pop_used(&mut self) -> Option<Slot> {
        if self.used_first == NONE {
            return None;
        }
        let slot = self.slots.slot(u32::from(self.used_first))?;
        self.used_first = self.slots.head(slot).next_used;
        if self.used_first == NONE {
            self.used_last = NONE;
            self.set_plain();
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
                self.set_plain();
                return;
            }
            before = Some(here);
            at = self.slots.slot(u32::from(next));
        }
    }

    /// Frees a settled request, once; drops its payload if it is there still. `marks` are those of its head.
    #[inline(always)]
    pub(super) fn finish(&mut self, slot: Slot, marks: Marks) {
        if marks.contains(Marks::IN_ORDER) {
            self.slots.free_in_order(slot);
        } else {
            self.slots.free_chain(slot);
        }
        // Last, for it may panic.
        if marks.contains(Marks::PARKED) {
            // SAFETY: State Honest: the device is done with it, and all sharing has ended.
            unsafe { self.slots.drop_parked(slot) };
        }
    }

    /// Takes everything back: the device, or this queue of it, was reset. Hands out the payloads of requests that were not
    /// taken, as far as `returned` takes them.
    pub(super) fn release_all(
        &mut self,
        hal: &H,
        _proof: &Stopped,
        mut returned: impl FnMut(&mut Self, Slot),
    ) {
        (self.used_first, self.used_last, self.run_last) = (NONE, NONE, NONE);
        (self.counts.shown, self.counts.completed) = (self.counts.added, self.counts.added);
        // First what no panic of anybody else can interrupt.
        for slot in self.slots.all() {
            if self.slots.head(slot).is_open() {
                // SAFETY: the proof says that the device does not use them any more; State Honest: not ended before.
                unsafe { self.slots.end_segments(hal, slot, 0) };
            }
            let head = self.slots.head_mut(slot);
            head.state = State::Other;
            head.order |= DONE;
        }
        let mut rest = Rest { slots: self.slots.all(), queue: self };
        for slot in rest.slots.by_ref() {
            let waker = rest.queue.slots.stand_up(slot);
            returned(rest.queue, slot);
            // SAFETY: the proof, and no sharing of it is open any more.
            unsafe { rest.queue.slots.drop_parked(slot) };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Whether a request that the device may still use names this attachment.
    pub(crate) fn names(&self, attachment: u64) -> bool {
        self.slots.all().any(|slot| {
            let head = self.slots.head(slot);
            head.is_open() && head.marks.contains(Marks::ENTRIES) && self.slots.entries(slot) == attachment
        })
    }

    /// Gives up all memory that the device may still use: it was not reset.
    pub(crate) fn leak(self) {
        let Self { slots, cold, .. } = self;
        let parts = slots.all().filter(|slot| slots.head(*slot).is_open());
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
    /// Takes the memory of a used request back, once: bounced bytes are copied, as many as were written.
    pub(super) fn settle<H: Hal>(&mut self, hal: &H, slot: Slot) -> Settled {
        let head = self.head_mut(slot);
        head.state = State::Other;
        let written = head.claimed.min(head.room);
        let settled = Settled { claimed: head.claimed, written, marks: head.marks };
        if head.marks.intersects(Marks::SPECIAL) { self.settle_special(hal, slot, settled) } else { settled }
    }

    #[cold]
    fn settle_special<H: Hal>(&mut self, hal: &H, slot: Slot, settled: Settled) -> Settled {
        // SAFETY: State Honest: the device is done, and this is the one end; the payload is still parked, or the borrow
        // still held.
        unsafe { self.end_segments(hal, slot, settled.written) };
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
            visit(&self.part(at).part());
            at = self.link(at);
        }
        for entry in 0..head.in_table {
            if let Some(part) = self.table_part(slot, entry) {
                visit(&part.part());
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
    #[inline(always)]
    fn free_chain(&mut self, slot: Slot) {
        let head = self.head(slot);
        let (last, taken) = (head.last, head.taken);
        let first_free = self.free_first;
        self.set_link(last, first_free);
        self.free_first = slot;
        self.free_count = self.free_count.wrapping_add(i32::from(taken));
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
            head.state = State::Other;
            let (last, taken) = (head.last, head.taken);
            self.oldest = self.link(last);
            self.free_count = self.free_count.wrapping_add(i32::from(taken));
        }
    }
}
