//! A request that the device has, or will have: a future.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::attend::Wait;
use super::{AsyncPort, Completion, Failed};
use crate::dma::Lend;
use crate::queue::Token;
use crate::queue::slots::{Marks, State};
use crate::transport::Transport;
use crate::{Hal, Misuse};

/// A request in flight. Awaiting it gives what became of it; dropping it cancels it, which stops nobody and frees nothing
/// that the device may use.
#[must_use = "dropping it cancels the request"]
pub struct InFlight<'p, 'd, 'r, P: Lend, T: Transport + ?Sized, H: Hal> {
    claim: Claim<'p, 'd, 'r, P, T, H>,
}

struct Claim<'p, 'd, 'r, P: Lend, T: Transport + ?Sized, H: Hal> {
    port: &'p AsyncPort<'d, P, T, H>,
    token: Token,
    response: [&'r mut [u8]; 2],
    /// The waker that was in the seat; it may serve again.
    kept: Option<Waker>,
    over: bool,
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> fmt::Debug for InFlight<'_, '_, '_, P, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InFlight({:?})", self.claim.token)
    }
}

impl<'p, 'd, 'r, P: Lend, T: Transport + ?Sized, H: Hal> InFlight<'p, 'd, 'r, P, T, H> {
    pub(super) fn new(port: &'p AsyncPort<'d, P, T, H>, token: Token, response: [&'r mut [u8]; 2]) -> Self {
        Self { claim: Claim { port, token, response, kept: None, over: false } }
    }

    /// Which request this is.
    #[must_use]
    pub const fn token(&self) -> Token {
        self.claim.token
    }
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Future for InFlight<'_, '_, '_, P, T, H> {
    type Output = Result<Completion<P>, Failed<P>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let claim = &mut self.claim;
        claim.port.poll_for(claim, cx.waker())
    }
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Wait for Claim<'_, '_, '_, P, T, H> {
    type Output = Result<Completion<P>, Failed<P>>;

    fn stand_up(&mut self) {
        let was = {
            let queue = &mut *self.port.port.borrow_mut().typed.queue;
            let slot = queue.find(self.token).ok();
            slot.and_then(|slot| queue.slots.stand_up(slot))
        };
        if was.is_some() {
            self.kept = was;
        }
    }

    fn attempt(&mut self) -> Option<Self::Output> {
        let failed = |error| Some(Err(Failed { error, payload: None }));
        if self.over {
            return failed(Misuse::NoSuchRequest.into());
        }
        let mut port = self.port.port.borrow_mut();
        let queue = &mut *port.typed.queue;
        let outcome = match queue.find(self.token) {
            Ok(slot) if queue.slots.head(slot).state == State::Used => {
                let [first, rest] = &mut self.response;
                match port.complete(slot, [first, rest]) {
                    Some(completion) => Some(Ok(completion)),
                    None => failed(Misuse::NoSuchRequest.into()),
                }
            }
            Ok(_) => match queue.check() {
                Ok(()) => None,
                Err(error) => failed(error),
            },
            Err(error) => failed(error.into()),
        };
        self.over = outcome.is_some();
        outcome
    }

    fn sit(&mut self, waker: &Waker) {
        let kept = self.kept.take().filter(|kept| kept.will_wake(waker));
        let waker = kept.unwrap_or_else(|| waker.clone());
        let before = {
            let queue = &mut *self.port.port.borrow_mut().typed.queue;
            match queue.find(self.token) {
                Ok(slot) if queue.slots.head(slot).in_flight() => queue.slots.sit(slot, waker),
                // Used meanwhile, by a poll inside a wake-up.
                _ => Some(waker),
            }
        };
        drop(before);
    }
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Drop for Claim<'_, '_, '_, P, T, H> {
    /// Gives the request up: it ends when the device is done with it.
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (waker, completion) = {
            let mut port = self.port.port.borrow_mut();
            let queue = &mut *port.typed.queue;
            match queue.find(self.token) {
                Ok(slot) if queue.slots.head(slot).state == State::Used => {
                    (None, port.complete(slot, [&mut [], &mut []]))
                }
                Ok(slot) => {
                    let waker = queue.slots.stand_up(slot);
                    queue.slots.head_mut(slot).marks.insert(Marks::ABANDONED);
                    (waker, None)
                }
                Err(_) => (None, None),
            }
        };
        drop((waker, completion));
        self.port.attend();
    }
}
