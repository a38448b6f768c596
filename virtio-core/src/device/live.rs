//! A live device.

use core::fmt;
use core::time::Duration;

use super::guard::{Guard, Parts, Stop};
use crate::config::{ByteOrder, Config, Field, WritableValue};
use crate::dma::Lend;
use crate::hal::Deadline;
use crate::queue::{Port, Rejected, Request, Token};
use crate::transport::{InterruptStatus, Transport, TransportInfo};
use crate::{Error, Features, Hal, Misbehaved, QueueIndex, Status};

/// A live device: transport, queues and attached memory, in one place that nothing can be taken out of.
///
/// Dropping it resets the device, waits for the confirmation and frees everything, in that order (I-RESET).
/// [`Device::dismantle`] does the same and gives the transport back.
#[derive(Debug)]
pub struct Device<T: Transport, H: Hal + Clone> {
    pub(super) guard: Guard<T, H>,
}

/// A device that was dismantled but has not confirmed its reset. Its memory is leaked.
pub struct NotStopped<T> {
    /// What went wrong.
    pub error: Error,
    /// The transport, for another try at the device.
    pub transport: T,
}

impl<T> fmt::Debug for NotStopped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStopped").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for NotStopped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device was given up: {}", self.error)
    }
}

impl<T> core::error::Error for NotStopped<T> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<T: Transport, H: Hal + Clone> Device<T, H> {
    /// Takes over from initialization: kicks each queue that has requests waiting, once.
    pub(super) fn start(mut guard: Guard<T, H>) -> Result<Self, Error> {
        if guard.transport()?.status().contains(Status::DEVICE_NEEDS_RESET) {
            return Err(Misbehaved::NeedsReset.into());
        }
        let Parts { transport, hal, queues, .. } = guard.parts()?;
        for queue in queues.all() {
            queue.kick(transport, hal);
        }
        Ok(Self { guard })
    }

    /// The features that were negotiated.
    #[must_use]
    pub fn features(&self) -> Features {
        self.guard.features
    }

    /// What the transport is.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn transport_info(&self) -> Result<TransportInfo, Error> {
        Ok(self.guard.transport()?.info())
    }

    /// The kernel's side.
    #[must_use]
    pub fn hal(&self) -> &H {
        &self.guard.hal
    }

    /// The configuration space. `order` is the byte order it has on a legacy transport.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn config(&self, order: ByteOrder) -> Result<Config<'_, T>, Error> {
        let transport = self.guard.transport()?;
        let order = if transport.is_legacy() { order } else { ByteOrder::Little };
        Ok(Config::new(transport, order))
    }

    /// Writes 1, 2 or 4 bytes of the configuration space, in device order.
    ///
    /// # Errors
    /// [`Incompatible::ConfigTooSmall`](crate::Incompatible) outside the space.
    pub fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.guard.transport_mut()?.write_config(offset, bytes)
    }

    /// Writes a field of the configuration space. `order` is the byte order it has on a legacy transport.
    ///
    /// # Errors
    /// As for [`Device::write_config`].
    pub fn set_config<V: WritableValue>(
        &mut self,
        order: ByteOrder,
        field: Field<V>,
        value: V,
    ) -> Result<(), Error> {
        let order = if self.guard.transport()?.is_legacy() { order } else { ByteOrder::Little };
        let bytes = value.to_wire(order);
        self.write_config(field.offset(), bytes.get(..V::LEN).unwrap_or_default())
    }

    /// Reads why the device interrupts and acknowledges it. Look at the queues *after* it: what arrives in between has no
    /// interrupt of its own (VIRTIO 1.4 §4.2.3.4).
    ///
    /// # Errors
    /// [`Error::Down`]; [`Misbehaved::NeedsReset`] if the device has met an error it cannot recover from
    /// (VIRTIO 1.4 §2.1.2): it is taken down then.
    pub fn ack_interrupt(&mut self) -> Result<InterruptStatus, Error> {
        let status = self.guard.transport()?.ack_interrupt();
        if status.contains(InterruptStatus::CONFIG) && self.needs_reset() {
            return self.settle(Err(Misbehaved::NeedsReset.into()));
        }
        Ok(status)
    }

    /// Lends a queue.
    ///
    /// # Errors
    /// [`Misuse::NoSuchQueue`](crate::Misuse), [`Misuse::WrongPayload`](crate::Misuse) if the queue was declared for
    /// another payload type, [`Error::Down`].
    pub fn port<P: Lend>(&mut self, queue: u16) -> Result<Port<'_, P, T, H>, Error> {
        self.guard.port(QueueIndex::new(queue))
    }

    /// Sends a request without payload and waits for its answer: `header` is copied, `response` filled. Answers how many
    /// bytes of it the device wrote, never more than there is room for: a longer claim is cut.
    ///
    /// This is for small requests, which are copied through the queue's own DMA memory, in the lengths that its
    /// [`QueueSpec`](crate::queue::QueueSpec) has declared. For slices of any length, shared for the request, there is
    /// [`Device::call`].
    ///
    /// # Errors
    /// As for [`Port::add`] and [`Port::wait`]; [`Misbehaved::NeedsReset`] for a device that does not answer and has set
    /// that bit. On a timeout or a broken ring the device is taken down.
    pub fn exchange(
        &mut self,
        queue: u16,
        header: &[u8],
        response: &mut [u8],
        limit: Duration,
    ) -> Result<usize, Error> {
        self.exchange_with(queue, header, response, limit, |port, request| port.add(request))
    }

    /// One request without payload, added in the caller's way, and its answer.
    pub(super) fn exchange_with(
        &mut self,
        queue: u16,
        header: &[u8],
        response: &mut [u8],
        limit: Duration,
        add: impl FnOnce(&mut Port<'_, (), T, H>, Request<'_, ()>) -> Result<Token, Rejected<()>>,
    ) -> Result<usize, Error> {
        let answer = (|| {
            let deadline = Deadline::lazily(limit);
            let mut port = self.port::<()>(queue)?;
            let token = add(&mut port, Request::new(()).header(header).response(response.len()))?;
            port.publish();
            port.kick();
            Ok(port.wait_until(token, deadline)?.copy_response(response))
        })();
        let answer = self.explain(answer);
        self.settle(answer)
    }

    /// Whether the device asks to be reset.
    pub(super) fn needs_reset(&self) -> bool {
        let status = self.guard.transport().map(Transport::status);
        status.is_ok_and(|status| status.contains(Status::DEVICE_NEEDS_RESET))
    }

    /// A device that has said why it does not answer any more is not slow.
    fn explain<V>(&self, answer: Result<V, Error>) -> Result<V, Error> {
        match answer {
            Err(Error::Misbehaved(Misbehaved::Timeout(_))) if self.needs_reset() => {
                Err(Misbehaved::NeedsReset.into())
            }
            other => other,
        }
    }

    /// Takes the device down after an error that it cannot go on from.
    pub(super) fn settle<V>(&mut self, answer: Result<V, Error>) -> Result<V, Error> {
        if let Err(Error::Misbehaved(_)) = answer {
            self.guard.stop();
        }
        answer
    }

    /// Resets the device, waits for the confirmation, frees everything, and gives the transport back.
    ///
    /// # Errors
    /// [`NotStopped`] if the device does not confirm: its memory is leaked then.
    pub fn dismantle(self) -> Result<T, NotStopped<Option<T>>> {
        match self.guard.into_transport() {
            (Stop::Confirmed, Some(transport)) => Ok(transport),
            (Stop::Confirmed, None) => Err(NotStopped { error: Error::Down, transport: None }),
            (Stop::CutOff(error) | Stop::Running(error), transport) => Err(NotStopped { error, transport }),
        }
    }
}

impl<T: Transport, H: Hal> Guard<T, H> {
    /// Lends a queue, live or not; a device that is not live has no way to be notified of it.
    pub(super) fn port<P: Lend>(&mut self, index: QueueIndex) -> Result<Port<'_, P, T, H>, Error> {
        let Parts { transport, hal, queues, attachments } = self.parts()?;
        let queue = queues.get(index).ok_or(crate::Misuse::NoSuchQueue)?;
        Port::new(queue, Some(attachments), transport, hal)
    }
}
