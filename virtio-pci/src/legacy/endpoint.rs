//! The interrupt line of a legacy device, apart from its driver (VIRTIO 1.4 §4.1.5.3, §4.1.5.4).

use virtio_core::interrupt::{Endpoint, Interrupts, Shareable};
use virtio_core::regs::Registers;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Misuse, QueueIndex};

use super::regs::ISR_STATUS;
use super::transport::LegacyTransport;
use crate::ConfigAccess;

/// The interrupt of a legacy PCI device, for its handler: its line. Made by
/// [`Device::endpoint`](virtio_core::device::Device::endpoint).
#[derive(Debug)]
pub struct LegacyEndpoint<R: Registers> {
    regs: R,
}

impl<R: Shareable> Endpoint for LegacyEndpoint<R> {
    fn ack(&self) -> InterruptStatus {
        acknowledge(&self.regs)
    }

    fn serves(&self, _queue: QueueIndex) -> bool {
        true
    }
}

impl<R: Shareable, A: ConfigAccess> Interrupts for LegacyTransport<R, A> {
    type Endpoint = LegacyEndpoint<R>;

    /// 1 for the line, and 0 for a function that has none.
    fn vectors(&self) -> u16 {
        u16::from(self.has_line())
    }

    fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error> {
        if vector >= self.vectors() {
            return Err(Misuse::NoSuchVector.into());
        }
        Ok(LegacyEndpoint { regs: self.registers().reopen()? })
    }
}

/// Reads the ISR status, which clears it and lets go of the line: whoever reads gets both bits.
pub(super) fn acknowledge<R: Registers>(regs: &R) -> InterruptStatus {
    let raw = ISR_STATUS.read(regs);
    // A function that is gone reads as all ones, and has nothing to say.
    let raw = if raw == u8::MAX { 0 } else { raw };
    // The rings are looked at after this, so that nothing used in between is lost.
    regs.register_before_memory();
    InterruptStatus::from_bits_truncate(u32::from(raw))
}
