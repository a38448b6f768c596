//! Resetting one queue of a live device (VIRTIO 1.4 §2.6.1).

use super::RESET_TIMEOUT;
use super::guard::Parts;
use super::live::Device;
use crate::dma::{Lend, Stopped};
use crate::hal::Deadline;
use crate::queue::Token;
use crate::transport::{QueueReset, Transport};
use crate::{Error, Features, Hal, Incompatible, Misbehaved, Misuse, QueueIndex, Wait};

impl<T: Transport, H: Hal + Clone> Device<T, H> {
    /// Stops one queue: the device lets go of it, and every request that was not taken yet comes back through `returned`,
    /// in no particular order. What the device may have written to them is not brought back. Attached memory stays attached. The queue takes no requests until [`Device::start_queue`].
    ///
    /// This needs `RING_RESET`, and a device that does what the feature says: a reset counts only if the device is seen to
    /// have done it (I-RESET). What cannot be seen is whether it has ended the requests that it had begun; QEMU 7.2's disk has not.
    /// So a queue with requests in flight is stopped only if it was declared to
    /// [drain](crate::queue::QueueSpec::drains_on_reset); otherwise take what is used first.
    ///
    /// # Errors
    /// [`Incompatible::MissingFeatures`] without the feature and [`Incompatible::QueueResetIgnored`] where the device only
    /// claims it: the queue goes on as before. [`Misbehaved::Timeout`] if the device does not come to an end: it is taken
    /// down. [`Misuse::RequestsInFlight`]: the queue goes on. [`Misuse::NoSuchQueue`], [`Misuse::WrongPayload`], [`Error::Down`].
    pub fn stop_queue<P: Lend>(&mut self, queue: u16, returned: impl FnMut(Token, P)) -> Result<(), Error> {
        let index = QueueIndex::new(queue);
        if !self.features().contains(Features::RING_RESET) {
            return Err(Incompatible::MissingFeatures(Features::RING_RESET).into());
        }
        let lent = self.guard.parts()?.queues.get(index).ok_or(Misuse::NoSuchQueue)?;
        if !lent.carries::<P>() {
            return Err(Misuse::WrongPayload.into());
        }
        if !lent.can_be_reset() {
            return Err(Misuse::RequestsInFlight.into());
        }
        let proof = self.queue_let_go(index)?;
        let Parts { hal, queues, .. } = self.guard.parts()?;
        let queue = queues.get(index).ok_or(Misuse::NoSuchQueue)?;
        Ok(queue.stop(hal, &proof, returned)?)
    }

    /// Tells the device to let go of a queue, and waits until it is seen to have done so.
    fn queue_let_go(&mut self, index: QueueIndex) -> Result<Stopped, Error> {
        let mut deadline = Deadline::after(&self.guard.hal, RESET_TIMEOUT)?;
        self.guard.transport_mut()?.reset_queue(index);
        loop {
            match self.guard.transport_mut()?.queue_reset(index) {
                QueueReset::Done => return Ok(Stopped::confirmed()),
                QueueReset::Ignored => return Err(Incompatible::QueueResetIgnored(index).into()),
                QueueReset::Ongoing => {}
            }
            if deadline.expired(&self.guard.hal) {
                return self.settle(Err(Misbehaved::Timeout(Wait::QueueReset(index)).into()));
            }
        }
    }

    /// Starts a queue again that was stopped: empty, and set up with the device as it was at first.
    ///
    /// # Errors
    /// [`Misuse::NoSuchQueue`], [`Misuse::QueueNotStopped`], [`Error::Down`], and what the transport answers: the device is
    /// taken down then.
    pub fn start_queue(&mut self, queue: u16) -> Result<(), Error> {
        let index = QueueIndex::new(queue);
        let Parts { hal, queues, .. } = self.guard.parts()?;
        let queue = queues.get(index).ok_or(Misuse::NoSuchQueue)?;
        queue.restart(hal)?;
        let rings = queue.addresses().with(self.guard.features);
        match self.guard.transport_mut()?.enable_queue(index, &rings) {
            Ok(doorbell) => {
                let queue = self.guard.queues.get(index).ok_or(Misuse::NoSuchQueue)?;
                queue.set_doorbell(doorbell);
                Ok(())
            }
            Err(error) => {
                self.guard.stop();
                Err(error)
            }
        }
    }

    /// Stops a queue and starts it again: what a queue needs that saw a violated ring invariant.
    ///
    /// # Errors
    /// As for [`Device::stop_queue`] and [`Device::start_queue`].
    pub fn reset_queue<P: Lend>(&mut self, queue: u16, returned: impl FnMut(Token, P)) -> Result<(), Error> {
        self.stop_queue(queue, returned)?;
        self.start_queue(queue)
    }
}
