//! Interrupts, apart from the driver (VIRTIO 1.4 §4.1.5.3, §4.1.5.4).

use virtio_core::interrupt::{Endpoint, Interrupts, Shareable};
use virtio_core::regs::Registers;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Misuse, QueueIndex};

use crate::ConfigAccess;
use crate::transport::PciTransport;

/// One interrupt of a PCI device, for its handler: the line. Made by
/// [`Device::endpoint`](virtio_core::device::Device::endpoint).
#[derive(Debug)]
pub struct PciEndpoint<R: Registers> {
    isr: R,
    offset: usize,
}

impl<R: Shareable> Endpoint for PciEndpoint<R> {
    fn ack(&self) -> InterruptStatus {
        acknowledge(&self.isr, self.offset)
    }

    fn serves(&self, _queue: QueueIndex) -> bool {
        true
    }
}

impl<R: Shareable, A: ConfigAccess> Interrupts for PciTransport<R, A> {
    type Endpoint = PciEndpoint<R>;

    fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error> {
        if vector != 0 {
            return Err(Misuse::NoSuchVector.into());
        }
        let (isr, offset) = self.isr();
        Ok(PciEndpoint { isr: isr.reopen()?, offset })
    }
}

/// Reads the ISR status, which clears it and lets go of the line: whoever reads gets both bits (VIRTIO 1.4 §4.1.4.5).
pub(crate) fn acknowledge<R: Registers>(isr: &R, offset: usize) -> InterruptStatus {
    let raw = isr.read8(offset);
    // A function that is gone reads as all ones, and has nothing to say.
    let status = if raw == u8::MAX { 0 } else { raw };
    let status = InterruptStatus::from_bits_truncate(u32::from(status));
    isr.register_before_memory();
    status
}
