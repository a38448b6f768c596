//! Waiting for one's turn.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Waker;

use super::AsyncPort;
use super::attend::Wait;
use crate::Hal;
use crate::dma::Lend;
use crate::queue::waiters::{Line, Place};
use crate::transport::Transport;

/// What is waited for with a place in a line.
struct InLine<'q, 'l, F> {
    place: Pin<&'q Place<'l>>,
    /// The waker that was in the place; it may serve again.
    kept: Option<Waker>,
    attempt: F,
}

impl<O, F: FnMut(&Place<'_>) -> Option<O>> Wait for InLine<'_, '_, F> {
    type Output = O;

    fn stand_up(&mut self) {
        if let Some(waker) = self.place.set_waker(None) {
            self.kept = Some(waker);
        }
    }

    fn attempt(&mut self) -> Option<O> {
        let output = (self.attempt)(&self.place);
        if output.is_some() {
            self.place.leave();
        }
        output
    }

    fn sit(&mut self, waker: &Waker) {
        let kept = self.kept.take().filter(|kept| kept.will_wake(waker));
        self.place.join();
        drop(self.place.set_waker(Some(kept.unwrap_or_else(|| waker.clone()))));
    }
}

/// Looks after the others when somebody leaves a line without having got to its end.
struct Leaving<'p, 'd, P: Lend, T: Transport + ?Sized, H: Hal> {
    port: &'p AsyncPort<'d, P, T, H>,
    served: bool,
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Drop for Leaving<'_, '_, P, T, H> {
    fn drop(&mut self) {
        if !self.served {
            self.port.attend();
        }
    }
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> AsyncPort<'_, P, T, H> {
    /// Waits in `line` until `attempt` gives something. It is asked whether it is this place's turn or not, and gives an error
    /// for a queue that is closed.
    pub(super) async fn in_line<O>(&self, line: &Line, attempt: impl FnMut(&Place<'_>) -> Option<O>) -> O {
        // Dropped last, when the place is out of the line.
        let mut leaving = Leaving { port: self, served: false };
        let place = pin!(line.place());
        let mut wait = InLine { place: place.as_ref(), kept: None, attempt };
        let output = poll_fn(|cx| self.poll_for(&mut wait, cx.waker())).await;
        leaving.served = true;
        output
    }
}
