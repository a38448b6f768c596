//! The interrupt, apart from the driver (VIRTIO 1.4 §4.2.3.4).

use virtio_core::interrupt::{Endpoint, Interrupts, Shareable};
use virtio_core::regs::{Registers, Reopen};
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Misuse, QueueIndex};

use crate::regs::{INTERRUPT_ACK, INTERRUPT_STATUS};
use crate::transport::MmioTransport;

/// Reads and acknowledges the device's one interrupt, in its handler. Made by
/// [`Device::endpoint`](virtio_core::device::Device::endpoint).
#[derive(Debug)]
pub struct MmioEndpoint<R: Registers> {
    regs: R,
}

impl<R: Shareable> Endpoint for MmioEndpoint<R> {
    fn ack(&self) -> InterruptStatus {
        acknowledge(&self.regs)
    }

    /// The interrupt is for every queue (VIRTIO 1.4 §4.2.3.4).
    fn serves(&self, _queue: QueueIndex) -> bool {
        true
    }
}

impl<R: Shareable> Interrupts for MmioTransport<R> {
    type Endpoint = MmioEndpoint<R>;

    fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error> {
        if vector != 0 {
            return Err(Misuse::NoSuchVector.into());
        }
        Ok(MmioEndpoint { regs: Reopen::reopen(self.registers())? })
    }
}

/// Reads the interrupt status and acknowledges exactly what was read, and none of the bits that the specification does not
/// define (VIRTIO 1.4 §4.2.2.2).
///
/// The rings are looked at after the acknowledgement, not before: what is used in between has an interrupt of its own then.
/// (The specification has a driver acknowledge what it has handled: a handler that has read the status, and passes it on, has.)
pub(crate) fn acknowledge<R: Registers>(regs: &R) -> InterruptStatus {
    let raw = INTERRUPT_STATUS.read(regs);
    // A device that is gone reads as all ones, and has nothing to say.
    let status =
        if raw == u32::MAX { InterruptStatus::empty() } else { InterruptStatus::from_bits_truncate(raw) };
    if !status.is_empty() {
        INTERRUPT_ACK.write(regs, status.bits());
    }
    // The rings are looked at after this, so that nothing used in between is lost.
    regs.register_before_memory();
    status
}
