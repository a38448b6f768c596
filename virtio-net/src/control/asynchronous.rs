//! Commands that are awaited.

use core::fmt;

use virtio_core::queue::{AsyncPort, Bell, Port, Request};
use virtio_core::{Error, Hal, Misbehaved, Transport};

use super::blocking::Control;
use super::command::{Coalescing, Command, NetQueue};
use super::encode::{ANSWER, Encoded, Terms};
use crate::awaited::or_reset;
use crate::error::NetError;

/// The control queue, for tasks that await answers; several of one executor's thread may share it. Made by
/// [`Control::into_async`](crate::Control::into_async).
pub struct AsyncControl<'d, T: ?Sized, H: Hal> {
    port: AsyncPort<'d, (), T, H>,
    terms: Terms,
}

impl<T: ?Sized, H: Hal> fmt::Debug for AsyncControl<'_, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsyncControl({:?})", self.port)
    }
}

impl<'d, T: Transport + ?Sized, H: Hal> AsyncControl<'d, T, H> {
    pub(super) fn new(
        port: Port<'d, (), T, H>,
        terms: Terms,
        bell: &'d Bell,
    ) -> Result<Self, Port<'d, (), T, H>> {
        Ok(Self { port: AsyncPort::new(port, bell)?, terms })
    }

    /// Sends a command and waits for its answer, without a time limit: drop the future when it takes too long. The device may
    /// carry it out all the same.
    ///
    /// # Errors
    /// As for [`Control::command`](crate::Control::command), but there is no limit; [`NetError::Core`] also if the device asks to
    /// be reset: the handler of the interrupt for changes of the configuration rings the bell for that.
    pub async fn command(&self, command: Command<'_>) -> Result<(), NetError> {
        let encoded = self.terms.encode(&command)?;
        self.run(&encoded).await.map(drop)
    }

    /// When a queue interrupts: see [`Control::coalescing`](crate::Control::coalescing).
    ///
    /// # Errors
    /// As for [`AsyncControl::command`]; [`NetError::NoSuchPair`].
    pub async fn coalescing(&self, queue: NetQueue) -> Result<Coalescing, NetError> {
        let encoded = self.terms.encode_query(queue)?;
        let answer = self.run(&encoded).await?;
        Ok(self.terms.decode_query(&answer))
    }

    async fn run(&self, encoded: &Encoded) -> Result<[u8; ANSWER], NetError> {
        let request = Request::new(()).header(encoded.bytes()).response(encoded.answer);
        let mut answer = [0; ANSWER];
        let done = or_reset(&self.port, self.port.send(request, &mut answer)).await.map_err(Error::from)?;
        encoded.judge(answer.get(..done.response).unwrap_or_default())?;
        Ok(answer)
    }

    /// Whether the device asks to be reset: it will answer no command any more. One register read.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.port.needs_reset()
    }

    /// Gives the queue up, for a reason that it does not see itself, such as a device that asks to be reset. Whoever waits gets the
    /// error.
    pub fn fail(&self, why: Misbehaved) {
        self.port.fail(why);
    }

    /// The queue for who waits by asking, back. It asks for no interrupts.
    #[must_use]
    pub fn into_control(self) -> Control<'d, T, H> {
        Control::new(self.port.into_port(), self.terms)
    }
}
