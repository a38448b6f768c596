//! Sending a request, with fair waiting for descriptors.

use super::seats::Taker;
use super::{AsyncPort, Completion, Failed, InFlight};
use crate::dma::Lend;
use crate::queue::request::{Rejected, Request};
use crate::queue::virtqueue::Token;
use crate::transport::Transport;
use crate::{Error, Hal, Misuse};

impl<P: Lend, T: Transport + ?Sized, H: Hal> AsyncPort<'_, P, T, H> {
    /// Sends a request and waits until the device has used it. If there are not enough free descriptors, it waits for them
    /// first, behind all others that do. `response` is filled, up to its length.
    ///
    /// Dropping the future cancels the request: if the device has it, it ends when the device is done with it, and its
    /// payload is dropped then.
    ///
    /// # Errors
    /// As for [`Port::add`](crate::queue::Port::add), with the payload, but a full queue is waited for;
    /// [`Error::Misbehaved`] if the queue breaks, with the payload if the device was never told of it.
    pub async fn send(
        &self,
        request: Request<'_, P>,
        response: &mut [u8],
    ) -> Result<Completion<P>, Failed<P>> {
        self.send_in_parts(request, response, &mut []).await
    }

    /// Sends a request as [`AsyncPort::send`] does, with a response that is taken apart as
    /// [`AsyncPort::start_in_parts`] does it.
    ///
    /// # Errors
    /// As for [`AsyncPort::send`].
    pub async fn send_in_parts(
        &self,
        request: Request<'_, P>,
        first: &mut [u8],
        rest: &mut [u8],
    ) -> Result<Completion<P>, Failed<P>> {
        let Request { copied, response: room, .. } = request;
        let token = match self.add_if_nobody_waits(request, Taker::Future) {
            Ok(token) => token,
            Err(Rejected { error: Error::Caller(Misuse::QueueFull), payload }) => {
                self.add_in_turn(Request { copied, payload, response: room }).await?
            }
            Err(rejected) => return Err(rejected.into()),
        };
        InFlight::new(self, token, [first, rest]).await
    }

    /// Waits for its turn and for enough descriptors, then adds the request.
    async fn add_in_turn(&self, request: Request<'_, P>) -> Result<Token, Failed<P>> {
        let Request { copied, response, .. } = request;
        // What does not fit now and is alone in line has just been tried.
        let least = if self.descriptors.is_empty() { self.free().saturating_add(1) } else { 1 };
        let mut kept = Some(request.into_payload());
        self.in_line(&self.descriptors, |place| {
            let payload = kept.take()?;
            if let Err(error) = self.port.borrow().typed.queue.check() {
                return Some(Err(Failed { error, payload: Some(payload) }));
            }
            let (free, size) = (self.free(), self.size());
            place.set_need(place.need().max(least).min(size));
            if !place.is_next() || free < place.need() {
                kept = Some(payload);
                return None;
            }
            match self.add(Request { copied, payload, response }, Taker::Future) {
                // How many it takes is known only when all is shared: more than are free, this time.
                Err(Rejected { error: Error::Caller(Misuse::QueueFull), payload }) if free < size => {
                    place.set_need(free.saturating_add(1));
                    kept = Some(payload);
                    None
                }
                added => Some(added.map_err(Failed::from)),
            }
        })
        .await
    }
}
