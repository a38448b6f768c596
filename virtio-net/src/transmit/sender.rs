//! The sending half of a pair of queues.

use core::fmt;

use virtio_core::queue::{Bell, Done, Port, Request, Token};
use virtio_core::{Error, Hal, Transport};

use super::asynchronous::AsyncSender;
use super::outlet::Outlet;
use crate::error::{NetError, Rejected};
use crate::offload::TxOffload;
use crate::payload::Payload;

/// The sending half of a pair of queues. It may be used by another CPU than the receiving one. Made by
/// [`Net::pair`](crate::Net::pair) and [`Split::next_pair`](crate::Split::next_pair).
///
/// Frames are *added*; the device sees all of them with the next *kick*, which notifies it once at most. [`Sender::submit`] does
/// both.
pub struct Sender<'d, X: 'static, T: ?Sized, H: Hal> {
    port: Port<'d, Option<X>, T, H>,
    outlet: Outlet,
    /// Whether something was added and not shown.
    unshown: bool,
}

/// A frame that was sent: the device is done with it.
#[derive(Debug)]
pub struct Sent<X> {
    /// Which one.
    pub token: Token,
    /// What was sent. `None` if it was copied.
    pub payload: Option<X>,
}

impl<X: 'static, T: ?Sized, H: Hal> fmt::Debug for Sender<'_, X, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.port)
    }
}

impl<X: Payload> Sent<X> {
    /// What the device says it wrote means nothing (VIRTIO 1.4 §5.1.9.1.1).
    #[inline]
    fn new<H: Hal>(mut done: Done<'_, Option<X>, H>) -> Self {
        Self { token: done.token(), payload: done.take_payload().flatten() }
    }
}

impl<'d, X: Payload, T: Transport + ?Sized, H: Hal> Sender<'d, X, T, H> {
    pub(crate) fn new(port: Port<'d, Option<X>, T, H>, outlet: Outlet) -> Self {
        // What an earlier user of the queue may have left is shown at the first occasion.
        Self { port, outlet, unshown: true }
    }

    /// Adds a frame. Nothing is copied: the frame is the device's until it [comes back](Sender::poll). The device sees it after
    /// [`Sender::kick`].
    ///
    /// # Errors
    /// [`NetError::FrameTooShort`], [`NetError::FrameTooLong`], [`NetError::NotNegotiated`] and others for an offload that cannot
    /// be; [`NetError::Core`] if the queue is full or broken, or the frame cannot be shared with the device. It comes back.
    #[inline]
    pub fn add(&mut self, frame: X, offload: TxOffload) -> Result<Token, Rejected<X>> {
        let header = match self.outlet.header(frame.len(), frame.start(), offload) {
            Ok(header) => header,
            Err(error) => return Err(Rejected { error, payload: Some(frame) }),
        };
        let request = Request::new(Some(frame)).header(self.outlet.wire.cut(&header));
        match self.port.add(request) {
            Ok(token) => {
                self.unshown = true;
                Ok(token)
            }
            Err(rejected) => Err(Rejected { error: rejected.error.into(), payload: rejected.payload }),
        }
    }

    /// Adds a frame by copying it into memory of the queue's own, of which each entry has
    /// [room for one](crate::Options::copied).
    ///
    /// # Errors
    /// As for [`Sender::add`].
    #[inline]
    pub fn add_copied(&mut self, frame: &[u8], offload: TxOffload) -> Result<Token, NetError> {
        let header = self.outlet.header_of_copy(frame, offload)?;
        let request = Request::new(None).header(self.outlet.wire.cut(&header)).data(frame);
        let token = self.port.add(request).map_err(Error::from)?;
        self.unshown = true;
        Ok(token)
    }

    /// Shows the device what was added, with one notification at most. Answers whether it was notified.
    #[inline]
    pub fn kick(&mut self) -> bool {
        if !self.unshown {
            return false;
        }
        self.unshown = false;
        self.port.publish();
        self.port.kick()
    }

    /// Adds a frame and kicks.
    ///
    /// # Errors
    /// As for [`Sender::add`].
    pub fn submit(&mut self, frame: X, offload: TxOffload) -> Result<Token, Rejected<X>> {
        let token = self.add(frame, offload)?;
        self.kick();
        Ok(token)
    }

    /// Copies a frame, which nothing is to be done to, and kicks; returns at once. [`Sender::poll`] frees its place, some time
    /// later.
    ///
    /// # Errors
    /// As for [`Sender::add`].
    pub fn send(&mut self, frame: &[u8]) -> Result<(), NetError> {
        self.add_copied(frame, TxOffload::NONE)?;
        self.kick();
        Ok(())
    }

    /// The next frame that the device is done with, or `None`. Does not block.
    ///
    /// # Errors
    /// [`NetError::Core`] if the device broke the queue's rules.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Sent<X>>, NetError> {
        Ok(self.port.poll()?.map(Sent::new))
    }

    /// Gives up to `budget` frames that the device is done with to `each`, with one look at the queue. Answers how many there
    /// were.
    ///
    /// # Errors
    /// As for [`Sender::poll`].
    #[inline]
    pub fn drain(&mut self, budget: usize, mut each: impl FnMut(Sent<X>)) -> Result<usize, NetError> {
        Ok(self.port.drain(budget, |done| each(Sent::new(done)))?)
    }

    /// Free entries: a frame takes one for its header and one for each of its buffers; one that is copied takes one.
    #[must_use]
    pub fn room(&self) -> u16 {
        self.port.free()
    }

    /// Frames that were added and have not come back.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.port.in_flight()
    }

    /// The longest frame, its Ethernet header included and a VLAN tag not, that may be sent without having it cut; `None` if the
    /// device does not say.
    #[must_use]
    pub fn frame_limit(&self) -> Option<usize> {
        self.outlet.wire.transmit_limit()
    }

    #[cfg(feature = "smoltcp")]
    pub(crate) fn wire(&self) -> crate::wire::Wire {
        self.outlet.wire
    }

    /// Asks for an interrupt when the next frame was sent, after showing the device what was added. Answers whether one was sent
    /// *already*.
    #[must_use = "a frame that was sent already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.kick();
        self.port.enable_interrupts()
    }

    /// Asks for an interrupt once `after` frames more were sent: see
    /// [`Port::enable_interrupts_after`](virtio_core::queue::Port::enable_interrupts_after).
    #[must_use = "a frame that was sent already may bring no interrupt"]
    pub fn enable_interrupts_after(&mut self, after: u16) -> bool {
        self.kick();
        self.port.enable_interrupts_after(after)
    }

    /// Asks for no interrupts, which is how a queue starts. One may come all the same.
    pub fn disable_interrupts(&mut self) {
        self.port.disable_interrupts();
    }

    /// Whether the device asks to be reset: no frame will come back any more. One register read.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.port.needs_reset()
    }

    /// Makes sending awaited. The handler of the queue's interrupt rings `bell`.
    ///
    /// # Errors
    /// The sender comes back if the bell serves another queue.
    pub fn into_async(self, bell: &'d Bell) -> Result<AsyncSender<'d, X, T, H>, Self> {
        let Self { port, outlet, unshown } = self;
        AsyncSender::new(port, outlet, bell).map_err(|port| Self { port, outlet, unshown })
    }
}
