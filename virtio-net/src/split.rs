//! A device in parts, for several CPUs.

use core::fmt;
use core::marker::PhantomData;

use virtio_core::config::ByteOrder;
use virtio_core::device::Ports;
use virtio_core::queue::Port;
use virtio_core::{Hal, Transport};

use crate::abi::{F_CTRL_VQ, receiveq, transmitq};
use crate::control::Control;
use crate::device::Facts;
use crate::error::NetError;
use crate::link::Status;
use crate::payload::{Buffer, Payload};
use crate::receive::Receiver;
use crate::transmit::Sender;

/// The parts of a device, each to be taken once. Made by [`Net::split`](crate::Net::split).
pub struct Split<'d, T: ?Sized, H: Hal, B, X> {
    ports: Ports<'d, T, H>,
    control: Option<Port<'d, (), T, H>>,
    facts: Facts,
    next: u16,
    payloads: PhantomData<fn() -> (B, X)>,
}

impl<T: ?Sized, H: Hal, B, X> fmt::Debug for Split<'_, T, H, B, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Split({} pairs taken)", self.next)
    }
}

impl<'d, T: Transport + ?Sized, H: Hal, B: Buffer, X: Payload> Split<'d, T, H, B, X> {
    pub(crate) fn new(mut ports: Ports<'d, T, H>, facts: Facts) -> Result<Self, NetError> {
        // The first that was declared, so that the order in which the rest is taken does not matter.
        let control = match facts.controlq {
            Some(controlq) => Some(ports.take(controlq)?),
            None => None,
        };
        Ok(Self { ports, control, facts, next: 0, payloads: PhantomData })
    }

    /// The next pair of queues that is in use, from the first on; `None` when all are taken.
    ///
    /// # Errors
    /// [`NetError::Core`].
    #[expect(clippy::type_complexity, reason = "both halves, by their names")]
    pub fn next_pair(&mut self) -> Result<Option<(Receiver<'d, B, T, H>, Sender<'d, X, T, H>)>, NetError> {
        let pair = self.next;
        if pair >= self.facts.pairs {
            return Ok(None);
        }
        self.next = pair.saturating_add(1);
        let receiver = Receiver::new(self.ports.take(receiveq(pair))?, self.facts.wire);
        let sender = Sender::new(self.ports.take(transmitq(pair))?, self.facts.outlet());
        Ok(Some((receiver, sender)))
    }

    /// The control queue.
    ///
    /// # Errors
    /// [`NetError::NotNegotiated`] if the device has none, or it was taken.
    pub fn control(&mut self) -> Result<Control<'d, T, H>, NetError> {
        let port = self.control.take().ok_or(NetError::NotNegotiated(F_CTRL_VQ))?;
        Ok(Control::new(port, self.facts.terms()))
    }

    /// What the device says of itself. One for each who wants to know.
    #[must_use]
    pub fn status(&self) -> Status<'d, T> {
        Status::new(self.ports.config(ByteOrder::Native), self.facts.wire)
    }
}
