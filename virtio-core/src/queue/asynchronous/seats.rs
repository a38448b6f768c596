//! One seat per request in flight, for the waker of whoever waits for it; in the queue's private memory.
//!
//! Seats that are taken are linked, so that somebody else who waits is found at once. **Seats Linked**: `WAKER` is set in
//! head *i* exactly while seat *i* is in the list that starts at `seated`; a waker is in it then,
//! unless it is just being copied.

use core::task::Waker;

use crate::queue::slots::{Marks, Slot, Slots};
use crate::queue::virtqueue::NONE;

/// Where the waker of a request in flight is kept.
#[derive(Debug)]
pub(in crate::queue) struct Seat {
    waker: Option<Waker>,
    next: u16,
    previous: u16,
    taker: Taker,
}

/// Who takes a request when it was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taker {
    /// A future that will ask for it by its token.
    Future,
    /// Whoever asks for the next one.
    Anybody,
}

impl Seat {
    pub(in crate::queue) const EMPTY: Self =
        Self { waker: None, next: NONE, previous: NONE, taker: Taker::Anybody };
}

impl Slots {
    /// Takes the seat of a request. Answers the waker that was there.
    pub(super) fn sit(&mut self, slot: Slot, waker: Waker) -> Option<Waker> {
        if self.head(slot).marks.contains(Marks::WAKER) {
            return self.seat_mut(slot).waker.replace(waker);
        }
        self.head_mut(slot).marks.insert(Marks::WAKER);
        let first = self.seated;
        if let Some(first) = self.slot(u32::from(first)) {
            self.seat_mut(first).previous = slot.get();
        }
        self.seated = slot.get();
        let seat = self.seat_mut(slot);
        (seat.next, seat.previous) = (first, NONE);
        seat.waker.replace(waker)
    }

    /// Leaves the seat of a request, with the waker.
    pub(in crate::queue) fn stand_up(&mut self, slot: Slot) -> Option<Waker> {
        if !self.head(slot).marks.contains(Marks::WAKER) {
            return None;
        }
        self.head_mut(slot).marks.remove(Marks::WAKER);
        let seat = self.seat_mut(slot);
        let (waker, next, previous) = (seat.waker.take(), seat.next, seat.previous);
        match self.slot(u32::from(previous)) {
            Some(previous) => self.seat_mut(previous).next = next,
            None => self.seated = next,
        }
        if let Some(next) = self.slot(u32::from(next)) {
            self.seat_mut(next).previous = previous;
        }
        waker
    }

    pub(super) fn taker(&self, slot: Slot) -> Taker {
        self.seat(slot).taker
    }

    /// For every request that is added through an `AsyncPort`.
    pub(super) fn set_taker(&mut self, slot: Slot, taker: Taker) {
        self.seat_mut(slot).taker = taker;
    }

    /// A request that somebody waits for.
    pub(super) fn somebody(&self) -> Option<Slot> {
        self.slot(u32::from(self.seated))
    }

    /// Takes the waker out of a seat for a moment, to copy it.
    pub(super) fn borrow_waker(&mut self, slot: Slot) -> Option<Waker> {
        self.seat_mut(slot).waker.take()
    }

    /// Puts it back. Answers it if there is no place for it any more.
    pub(super) fn return_waker(&mut self, slot: Slot, waker: Waker) -> Option<Waker> {
        if !self.head(slot).marks.contains(Marks::WAKER) || self.seat(slot).waker.is_some() {
            return Some(waker);
        }
        self.seat_mut(slot).waker = Some(waker);
        None
    }
}
