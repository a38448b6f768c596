//! Random bytes as they come: the driver for tasks that wait, rather than ask again and again.

use core::mem;

use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::{Error, Hal, Misbehaved, Transport};

use crate::RngError;
use crate::abi::REQUESTQ;
use crate::device::{ROOM, Rng};
use crate::patience::Patience;

/// The queue of an entropy device, lent to tasks. Made by [`Rng::source`].
#[derive(Debug)]
pub struct Source<'d, T: Transport, H: Hal + Clone> {
    port: AsyncPort<'d, (), T, H>,
}

impl<T: Transport, H: Hal + Clone> Rng<T, H> {
    /// Lends the queue to tasks that await random bytes; several of one executor's thread may share it. The handler of the
    /// device's interrupt rings `bell`, after the [`Endpoint`](virtio_core::Endpoint) has acknowledged.
    ///
    /// # Errors
    /// [`RngError::Core`]: the device was taken down. [`RngError::BellTaken`].
    ///
    /// # Example
    /// ```
    /// use virtio_core::queue::Bell;
    /// use virtio_core::{Hal, Transport};
    /// use virtio_rng::{Rng, RngError};
    ///
    /// static ENTROPY: Bell = Bell::new(); // rung by the interrupt handler
    ///
    /// async fn key<T: Transport, H: Hal + Clone>(rng: &mut Rng<T, H>) -> Result<[u8; 32], RngError> {
    ///     let mut key = [0; 32];
    ///     rng.source(&ENTROPY)?.fill(&mut key).await?;
    ///     Ok(key)
    /// }
    /// ```
    pub fn source<'d>(&'d mut self, bell: &'d Bell) -> Result<Source<'d, T, H>, RngError> {
        let port = AsyncPort::new(self.device.port(REQUESTQ)?, bell).map_err(|_| RngError::BellTaken)?;
        Ok(Source { port })
    }
}

impl<T: Transport, H: Hal + Clone> Source<'_, T, H> {
    /// Fills `bytes` with random bytes, of any number, asking again after each short answer. There is no time limit: drop the
    /// future when it takes too long. What is not filled by then is zero.
    ///
    /// # Errors
    /// [`RngError::NoEntropy`] if answer after answer is empty; otherwise as for [`Source::read`]. All of `bytes` is zero then.
    pub async fn fill(&self, bytes: &mut [u8]) -> Result<(), RngError> {
        bytes.fill(0);
        let outcome = self.fill_zeroed(bytes).await;
        if outcome.is_err() {
            bytes.fill(0);
        }
        outcome
    }

    async fn fill_zeroed(&self, mut rest: &mut [u8]) -> Result<(), RngError> {
        let mut patience = Patience::default();
        while !rest.is_empty() {
            let len = self.ask(rest).await?;
            patience.answer(len)?;
            rest = mem::take(&mut rest).get_mut(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Asks for random bytes once, for 512 at the most. Answers how many there are, at the start of `bytes`; perhaps none. What
    /// is behind them is zero. If the queue is full of requests, it waits for its turn.
    ///
    /// Dropping the future cancels the request: nothing is written to `bytes` then, and the answer is not used for anything
    /// else.
    ///
    /// # Errors
    /// [`RngError::Core`]: the device broke the queue's rules, or the source was [given up](Source::fail). All of `bytes` is
    /// zero then.
    pub async fn read(&self, bytes: &mut [u8]) -> Result<usize, RngError> {
        bytes.fill(0);
        self.ask(bytes).await
    }

    /// One answer into the start of `bytes`, which are zero; so is what follows it.
    async fn ask(&self, bytes: &mut [u8]) -> Result<usize, RngError> {
        let room = bytes.len().min(ROOM);
        let chunk = bytes.get_mut(..room).unwrap_or_default();
        if chunk.is_empty() {
            return Ok(0);
        }
        let request = Request::new(()).response(room);
        let done = self.port.send(request, chunk).await.map_err(Error::from)?;
        Ok(done.response)
    }

    /// Gives the queue up, for a reason that it does not see itself: a device that asks to be reset, or does not answer in
    /// time. Everybody who waits is woken and gets the error. Then drop the source and [recover](Rng::recover).
    pub fn fail(&self, why: Misbehaved) {
        self.port.fail(why);
    }
}
