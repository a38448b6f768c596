//! The common part of every poll and every drop: look at the ring, wake who is due, leave somebody listening.
//!
//! **Somebody Listens**: whenever a future waits, then the bell holds the waker of one that waits, and the device was asked
//! for an interrupt after that; or one that waits was woken and has not been polled since, and will see to it then. So every
//! poll that ends in waiting, and every end of a future, goes through here.
//!
//! **Nothing Foreign Inside**: the port is borrowed for steps of its own. Wakers are cloned, woken and dropped, payloads dropped and
//! doorbells rung between the steps, so that an executor may do as it likes there, even poll another future of the port.

use core::task::{Poll, Waker};

use super::AsyncPort;
use super::seats::Taker;
use crate::dma::Lend;
use crate::queue::port::Port;
use crate::queue::slots::Marks;
use crate::queue::virtqueue::NONE;
use crate::transport::Transport;
use crate::{Error, Hal};

/// What one task waits for.
pub(super) trait Wait {
    type Output;

    /// Takes the waker away that `sit` has left: the task is awake.
    fn stand_up(&mut self);

    /// What was waited for, if it is there. Never `None` when the queue is closed.
    fn attempt(&mut self) -> Option<Self::Output>;

    /// Leaves a waker where it is found when `attempt` may succeed.
    fn sit(&mut self, waker: &Waker);
}

/// One step through the used ring.
enum Step<P> {
    /// There is nothing more.
    End,
    /// Somebody will ask for the request by name, or `next` will take it.
    Kept,
    /// Somebody waits for it.
    Wake(Waker),
    /// It was cancelled; this is its payload.
    Cancelled(Option<P>),
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Port<'_, P, T, H> {
    fn step(&mut self) -> Result<Step<P>, Error> {
        let queue = &mut *self.typed.queue;
        let Some(slot) = queue.accept_any(self.hal)? else { return Ok(Step::End) };
        if let Some(waker) = queue.slots.stand_up(slot) {
            return Ok(Step::Wake(waker));
        }
        if queue.slots.head(slot).marks.contains(Marks::ABANDONED) {
            let settled = queue.slots.settle(self.hal, slot);
            return Ok(Step::Cancelled(self.done(slot, settled).take_payload()));
        }
        if queue.slots.taker(slot) == Taker::Anybody {
            queue.push_used(slot);
        }
        Ok(Step::Kept)
    }

    /// Asks for an interrupt at the next used request; answers whether there is one already. Requests that were taken from
    /// the ring and that nobody has asked for do not count.
    fn ask_for_interrupt(&mut self) -> bool {
        let queue = &mut *self.typed.queue;
        queue.open && (queue.ring.enable_interrupts(self.hal, &queue.counts, 0) || queue.run_last != NONE)
    }
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> AsyncPort<'_, P, T, H> {
    /// One poll of a future.
    pub(super) fn poll_for<W: Wait>(&self, wait: &mut W, waker: &Waker) -> Poll<W::Output> {
        self.kick_by_itself();
        // Bounded: no more requests are in flight than there are descriptors.
        for round in 0..=self.size() {
            wait.stand_up();
            let taken = self.drain();
            if let Some(output) = wait.attempt() {
                self.hand_over();
                return Poll::Ready(output);
            }
            wait.sit(waker);
            self.call_first_in_line();
            self.listen(waker);
            if round > 0 && taken == 0 {
                break;
            }
            if !self.port.borrow_mut().ask_for_interrupt() {
                return Poll::Pending;
            }
        }
        // The device says that there is more, and there is not: look again later.
        self.listening.bell().ring();
        Poll::Pending
    }

    /// Looks at the ring, wakes who is due, and leaves somebody listening who waits, if there is anybody.
    pub(super) fn attend(&self) {
        self.kick_by_itself();
        self.drain();
        self.hand_over();
    }

    /// Leaves somebody listening who waits, if there is anybody: the caller does not.
    fn hand_over(&self) {
        let mut taken = 1;
        for _ in 0..=self.size() {
            self.call_first_in_line();
            let Some(waker) = self.somebody() else {
                self.rest();
                return;
            };
            self.listen(&waker);
            if taken == 0 {
                break;
            }
            if !self.port.borrow_mut().ask_for_interrupt() {
                return;
            }
            taken = self.drain();
        }
        self.listening.bell().ring();
    }

    /// Takes what was used; wakes whoever waits for it. Answers how much that was. If the queue is broken, everybody is
    /// woken.
    fn drain(&self) -> usize {
        let mut taken = 0_usize;
        for _ in 0..self.size() {
            // The borrow ends here.
            let step = self.port.borrow_mut().step();
            match step {
                Ok(Step::End) => break,
                Ok(Step::Kept) => {}
                Ok(Step::Wake(waker)) => waker.wake(),
                Ok(Step::Cancelled(payload)) => drop(payload),
                Err(_) => {
                    self.wake_all();
                    break;
                }
            }
            taken = taken.saturating_add(1);
        }
        taken
    }

    /// Wakes everybody who waits for a request, for descriptors, or for the next request.
    pub(super) fn wake_all(&self) {
        loop {
            let waker = {
                let slots = &mut self.port.borrow_mut().typed.queue.slots;
                let Some(slot) = slots.somebody() else { break };
                slots.stand_up(slot)
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        for line in [&self.descriptors, &self.receivers] {
            while let Some(waker) = line.dismiss_first() {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }

    /// Wakes the first who waits for descriptors if there are enough, and the first who waits for the next request if there
    /// is one. Others do not overtake them.
    fn call_first_in_line(&self) {
        if self.descriptors.first_need().is_some_and(|need| need <= self.free()) {
            if let Some(waker) = self.descriptors.call_first() {
                waker.wake();
            }
        }
        let unclaimed = self.port.borrow().typed.queue.used_first != NONE;
        if unclaimed {
            if let Some(waker) = self.receivers.call_first() {
                waker.wake();
            }
        }
    }

    /// The waker of somebody who waits.
    fn somebody(&self) -> Option<Waker> {
        self.somebody_seated()
            .or_else(|| self.descriptors.first_waker())
            .or_else(|| self.receivers.first_waker())
    }

    fn somebody_seated(&self) -> Option<Waker> {
        let (slot, waker) = {
            let slots = &mut self.port.borrow_mut().typed.queue.slots;
            let slot = slots.somebody()?;
            (slot, slots.borrow_waker(slot)?)
        };
        // Foreign code: the request may be over afterwards.
        let copy = waker.clone();
        let left = self.port.borrow_mut().typed.queue.slots.return_waker(slot, waker);
        if let Some(waker) = left {
            waker.wake();
        }
        Some(copy)
    }

    fn listen(&self, waker: &Waker) {
        self.listening.bell().register(waker);
        self.is_listening.set(true);
    }

    /// Nobody waits.
    fn rest(&self) {
        if self.is_listening.replace(false) {
            self.listening.bell().silence();
            self.port.borrow_mut().disable_interrupts();
        }
    }
}
