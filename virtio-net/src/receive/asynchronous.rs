//! Frames as they come: the receiving half for a task that waits.

use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use virtio_core::dma::Writable;
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::{Error, Hal, Misbehaved, Transport};

use super::frame::Frame;
use super::inlet::{Inbound, Inlet, Used};
use super::receiver::Receiver;
use crate::awaited::or_reset;
use crate::error::{NetError, Rejected};
use crate::fault::Drops;
use crate::payload::Buffer;

/// The receiving half of a pair of queues, for a task that awaits frames. Made by
/// [`Receiver::into_async`](crate::Receiver::into_async).
pub struct AsyncReceiver<'d, B, T: ?Sized, H: Hal> {
    port: AsyncPort<'d, Writable<B>, T, H>,
    inlet: Inlet<B>,
}

impl<B, T: ?Sized, H: Hal> fmt::Debug for AsyncReceiver<'_, B, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsyncReceiver({:?})", self.port)
    }
}

impl<B: Buffer, T: Transport + ?Sized, H: Hal> Inbound<B> for AsyncPort<'_, Writable<B>, T, H> {
    /// What is there already. Nobody is woken for what is not: dropping the future loses nothing.
    fn next_used(&mut self) -> Result<Option<Used<B>>, Error> {
        let mut next = pin!(self.next(&mut []));
        match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(done)) => {
                let Writable(buffer) = done.payload;
                Ok(Some(Used { buffer, written: done.written, claimed: done.claimed }))
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(None),
        }
    }

    fn add(&mut self, buffer: B) -> Result<(), (Error, B)> {
        match self.post(Request::new(Writable(buffer))) {
            Ok(_) => Ok(()),
            Err(rejected) => Err((rejected.error, rejected.payload.0)),
        }
    }

    fn show(&mut self) -> bool {
        self.kick()
    }
}

impl<'d, B: Buffer, T: Transport + ?Sized, H: Hal> AsyncReceiver<'d, B, T, H> {
    pub(super) fn new(
        receiver: Receiver<'d, B, T, H>,
        bell: &'d Bell,
    ) -> Result<Self, Receiver<'d, B, T, H>> {
        let Receiver { port, inlet } = receiver;
        match AsyncPort::new(port, bell) {
            Ok(port) => Ok(Self { port, inlet }),
            Err(port) => Err(Receiver { port, inlet }),
        }
    }

    /// Waits for the next frame. Frames that are not in order are dropped and [counted](AsyncReceiver::drops). Dropping the
    /// future loses nothing: the frame stays for the next call.
    ///
    /// # Errors
    /// [`NetError::Core`] if the device broke the queue's rules, or the queue was [given up](AsyncReceiver::fail), or the device
    /// asks to be reset: the handler of the interrupt for changes of the configuration rings the bell for that.
    pub async fn receive(&mut self) -> Result<Frame<'_, B>, NetError> {
        let Self { port, inlet } = self;
        let judged = loop {
            let (mut judged, turn) = (None, inlet.turn());
            while inlet.goes_on(turn) {
                inlet.show(port);
                let done = or_reset(port, port.next(&mut [])).await?;
                let Writable(buffer) = done.payload;
                let used = Used { buffer, written: done.written, claimed: done.claimed };
                judged = inlet.judge(port, used)?;
                if judged.is_some() {
                    break;
                }
            }
            match judged {
                Some(judged) => break judged,
                // Nothing but rubbish, and no end of it: others have their turn.
                None => pass_on().await,
            }
        };
        Ok(Frame::new(port, inlet, judged))
    }

    /// Adds an empty buffer: see [`Receiver::post`](crate::Receiver::post). The device sees it after [`AsyncReceiver::kick`], or
    /// with the next frame that is waited for.
    ///
    /// # Errors
    /// As for [`Receiver::post`](crate::Receiver::post).
    pub fn post(&mut self, buffer: B) -> Result<(), Rejected<B>> {
        self.inlet.post(&mut self.port, buffer)
    }

    /// Shows the device what was added, with one notification at most. Answers whether it was notified.
    pub fn kick(&mut self) -> bool {
        self.inlet.show(&mut self.port)
    }

    /// Bytes that a buffer must have at least.
    #[must_use]
    pub fn needed_len(&self) -> usize {
        self.inlet.least
    }

    /// Frames that were dropped.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.inlet.drops
    }

    /// Whether the device asks to be reset: no frame will come any more. One register read.
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
    pub fn into_receiver(self) -> Receiver<'d, B, T, H> {
        Receiver { port: self.port.into_port(), inlet: self.inlet }
    }
}

/// Is polled again when all others were.
async fn pass_on() {
    let mut passed = false;
    poll_fn(|context| {
        if passed {
            return Poll::Ready(());
        }
        passed = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
