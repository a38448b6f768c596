//! The receiving half of a pair of queues.

use core::fmt;

use virtio_core::dma::Writable;
use virtio_core::queue::{Bell, Port, Request};
use virtio_core::{Error, Hal, Misuse, Transport};

use super::asynchronous::AsyncReceiver;
use super::frame::Frame;
use super::inlet::{Inbound, Inlet, Used};
use crate::error::{NetError, Rejected};
use crate::fault::Drops;
use crate::payload::Buffer;
use crate::wire::Wire;

/// The receiving half of a pair of queues. It may be used by another CPU than the sending one. Made by
/// [`Net::pair`](crate::Net::pair) and [`Split::next_pair`](crate::Split::next_pair).
pub struct Receiver<'d, B, T: ?Sized, H: Hal> {
    pub(super) port: Port<'d, Writable<B>, T, H>,
    pub(super) inlet: Inlet<B>,
}

impl<B, T: ?Sized, H: Hal> fmt::Debug for Receiver<'_, B, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({:?})", self.port)
    }
}

impl<B: Buffer, T: Transport + ?Sized, H: Hal> Inbound<B> for Port<'_, Writable<B>, T, H> {
    #[inline]
    fn next_used(&mut self) -> Result<Option<Used<B>>, Error> {
        let Some(mut done) = self.poll()? else { return Ok(None) };
        let (written, claimed) = (done.written(), done.claimed());
        match done.take_payload() {
            Some(Writable(buffer)) => Ok(Some(Used { buffer, written, claimed })),
            None => Err(Misuse::NoSuchRequest.into()),
        }
    }

    #[inline]
    fn add(&mut self, buffer: B) -> Result<(), (Error, B)> {
        match Port::add(self, Request::new(Writable(buffer))) {
            Ok(_) => Ok(()),
            Err(rejected) => Err((rejected.error, rejected.payload.0)),
        }
    }

    #[inline]
    fn show(&mut self) -> bool {
        self.publish();
        self.kick()
    }
}

impl<'d, B: Buffer, T: Transport + ?Sized, H: Hal> Receiver<'d, B, T, H> {
    pub(crate) fn new(port: Port<'d, Writable<B>, T, H>, wire: Wire) -> Self {
        let inlet = Inlet::new(wire, port.size());
        Self { port, inlet }
    }

    /// The next frame that came in, or `None`. Does not block.
    ///
    /// Frames that are not in order are dropped and [counted](Receiver::drops), and their buffers given to the device again. When
    /// there is no more, the device is shown all buffers that went back to it, or were posted, with one notification at most.
    ///
    /// # Errors
    /// [`NetError::Core`] if the device broke the queue's rules.
    #[inline]
    pub fn receive(&mut self) -> Result<Option<Frame<'_, B>>, NetError> {
        let Self { port, inlet } = self;
        match inlet.next(port)? {
            Some(judged) => Ok(Some(Frame::new(port, inlet, judged))),
            None => Ok(None),
        }
    }

    /// Adds an empty buffer, which has to be of [some length](Receiver::needed_len). The device sees it after
    /// [`Receiver::kick`], or the next [`Receiver::receive`] that finds nothing.
    ///
    /// # Errors
    /// [`NetError::BufferTooShort`]; [`NetError::Core`] if the queue is full or broken, or the buffer cannot be shared with the
    /// device. The buffer comes back.
    pub fn post(&mut self, buffer: B) -> Result<(), Rejected<B>> {
        self.inlet.post(&mut self.port, buffer)
    }

    /// Shows the device what was added, with one notification at most. Answers whether it was notified.
    pub fn kick(&mut self) -> bool {
        self.inlet.show(&mut self.port)
    }

    /// Bytes that a buffer must have at least (VIRTIO 1.4 §5.1.9.3.1).
    #[must_use]
    pub fn needed_len(&self) -> usize {
        self.inlet.least
    }

    /// Buffers that the device has, or will be shown.
    #[must_use]
    pub fn posted(&self) -> u16 {
        self.port.in_flight()
    }

    /// Free entries: a buffer takes one, or several if it does not lie in one stretch of device addresses.
    #[must_use]
    pub fn room(&self) -> u16 {
        self.port.free()
    }

    /// Frames that were dropped.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.inlet.drops
    }

    /// Asks for an interrupt with the next frame, after showing the device what was added. Answers whether one waits *already*:
    /// fetch it then, for there may be no interrupt for it.
    #[must_use = "a frame that waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.kick();
        self.port.enable_interrupts()
    }

    /// Asks for an interrupt once `after` buffers more are used: see
    /// [`Port::enable_interrupts_after`](virtio_core::queue::Port::enable_interrupts_after).
    #[must_use = "a frame that waits already may bring no interrupt"]
    pub fn enable_interrupts_after(&mut self, after: u16) -> bool {
        self.kick();
        self.port.enable_interrupts_after(after)
    }

    /// Asks for no interrupts, which is how a queue starts. One may come all the same.
    pub fn disable_interrupts(&mut self) {
        self.port.disable_interrupts();
    }

    /// Whether the device asks to be reset: no frame will come any more. One register read.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.port.needs_reset()
    }

    #[cfg(feature = "smoltcp")]
    pub(crate) fn parts(&mut self) -> (&mut Port<'d, Writable<B>, T, H>, &mut Inlet<B>) {
        (&mut self.port, &mut self.inlet)
    }

    /// Makes frames awaited. The handler of the queue's interrupt rings `bell`.
    ///
    /// # Errors
    /// The receiver comes back if the bell serves another queue.
    pub fn into_async(self, bell: &'d Bell) -> Result<AsyncReceiver<'d, B, T, H>, Self> {
        AsyncReceiver::new(self, bell)
    }
}
