//! The sending half for tasks that wait.

use core::fmt;

use virtio_core::queue::{AsyncPort, Bell, Failed, Port, Request};
use virtio_core::{Error, Hal, Misbehaved, Transport};

use super::outlet::Outlet;
use super::sender::Sender;
use crate::awaited::or_reset;
use crate::error::{NetError, Rejected};
use crate::offload::TxOffload;
use crate::payload::Payload;

/// The sending half of a pair of queues, for tasks that wait until the device is done with their frames, or has room for them;
/// several of one executor's thread may share it. Made by [`Sender::into_async`](crate::Sender::into_async).
pub struct AsyncSender<'d, X: 'static, T: ?Sized, H: Hal> {
    port: AsyncPort<'d, Option<X>, T, H>,
    outlet: Outlet,
}

impl<X: 'static, T: ?Sized, H: Hal> fmt::Debug for AsyncSender<'_, X, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsyncSender({:?})", self.port)
    }
}

impl<'d, X: Payload, T: Transport + ?Sized, H: Hal> AsyncSender<'d, X, T, H> {
    pub(super) fn new(
        port: Port<'d, Option<X>, T, H>,
        outlet: Outlet,
        bell: &'d Bell,
    ) -> Result<Self, Port<'d, Option<X>, T, H>> {
        Ok(Self { port: AsyncPort::new(port, bell)?, outlet })
    }

    /// Sends a copy of a frame and waits until the device is done with it. If the queue is full, it waits for its turn.
    ///
    /// Dropping the future does not take back what the device has.
    ///
    /// # Errors
    /// As for [`Sender::add_copied`](crate::Sender::add_copied), but a full queue is waited for; [`NetError::Core`] also if the
    /// device asks to be reset: the handler of the interrupt for changes of the configuration rings the bell for that.
    pub async fn send(&self, frame: &[u8]) -> Result<(), NetError> {
        self.send_with(frame, TxOffload::NONE).await
    }

    /// As [`AsyncSender::send`], with something to be done by the device.
    ///
    /// # Errors
    /// As for [`AsyncSender::send`].
    pub async fn send_with(&self, frame: &[u8], offload: TxOffload) -> Result<(), NetError> {
        let header = self.outlet.header_of_copy(frame, offload)?;
        let request = Request::new(None).header(self.outlet.wire.cut(&header)).data(frame);
        or_reset(&self.port, self.port.send(request, &mut [])).await.map_err(Error::from)?;
        Ok(())
    }

    /// Sends a frame without copying it, and waits until the device is done with it: it comes back then. If the queue is full, it
    /// waits for its turn. A frame whose future is dropped is dropped when the device is done with it.
    ///
    /// # Errors
    /// As for [`Sender::add`](crate::Sender::add), with the frame, but a full queue is waited for; without it if the queue
    /// breaks, or the device asks to be reset, when the device has it.
    pub async fn send_owned(&self, frame: X, offload: TxOffload) -> Result<X, Rejected<X>> {
        let header = match self.outlet.header(frame.len(), frame.start(), offload) {
            Ok(header) => header,
            Err(error) => return Err(Rejected { error, payload: Some(frame) }),
        };
        let request = Request::new(Some(frame)).header(self.outlet.wire.cut(&header));
        match or_reset(&self.port, self.port.send(request, &mut [])).await {
            Ok(done) => done.payload.ok_or(Rejected {
                error: Error::from(virtio_core::Misuse::NoSuchRequest).into(),
                payload: None,
            }),
            Err(Failed { error, payload }) => {
                Err(Rejected { error: error.into(), payload: payload.flatten() })
            }
        }
    }

    /// Whether the device asks to be reset: no frame will come back any more. One register read.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.port.needs_reset()
    }

    /// Gives the queue up, for a reason that it does not see itself, such as a device that asks to be reset. Whoever waits gets the
    /// error.
    pub fn fail(&self, why: Misbehaved) {
        self.port.fail(why);
    }

    /// The half that does not wait, back. It asks for no interrupts.
    #[must_use]
    pub fn into_sender(self) -> Sender<'d, X, T, H> {
        Sender::new(self.port.into_port(), self.outlet)
    }
}
