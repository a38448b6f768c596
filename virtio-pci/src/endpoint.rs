//! Interrupts, apart from the driver (VIRTIO 1.4 §4.1.5.3, §4.1.5.4).

use virtio_core::interrupt::{Endpoint, Interrupts, Shareable};
use virtio_core::regs::Registers;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Misuse, QueueIndex};

use crate::ConfigAccess;
use crate::msix::Vectors;
use crate::transport::PciTransport;

/// One interrupt of a PCI device, for its handler: the line, or one MSI-X vector. Made by
/// [`Device::endpoint`](virtio_core::device::Device::endpoint).
///
/// For the line, acknowledging is one read of the ISR status. A message needs none: it says what it is about by its
/// vector, and no register is touched.
#[derive(Debug)]
pub struct PciEndpoint<R: Registers>(Source<R>);

#[derive(Debug)]
enum Source<R> {
    Line { isr: R, offset: usize },
    Message { vector: u16, vectors: Vectors },
}

impl<R: Shareable> Endpoint for PciEndpoint<R> {
    fn ack(&self) -> InterruptStatus {
        match &self.0 {
            Source::Line { isr, offset } => acknowledge(isr, *offset),
            Source::Message { vector, vectors } => vectors.meaning(*vector),
        }
    }

    fn serves(&self, queue: QueueIndex) -> bool {
        match &self.0 {
            Source::Line { .. } => true,
            Source::Message { vector, vectors } => vectors.serves(*vector, queue),
        }
    }
}

/// What is said here holds once the device is live: until then the device may still refuse vectors.
impl<R: Shareable, A: ConfigAccess> Interrupts for PciTransport<R, A> {
    type Endpoint = PciEndpoint<R>;

    /// The vectors of [`PciTransport::enable_msix`]; else 1 for the line, and 0 for a function that has none.
    fn vectors(&self) -> u16 {
        let signals = self.signals();
        signals.vectors().map_or(u16::from(signals.has_line()), |vectors| vectors.count())
    }

    fn signals_by_message(&self) -> bool {
        self.signals().vectors().is_some()
    }

    fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error> {
        if vector >= self.vectors() {
            return Err(Misuse::NoSuchVector.into());
        }
        Ok(PciEndpoint(match self.signals().vectors() {
            Some(vectors) => Source::Message { vector, vectors },
            None => {
                let (isr, offset) = self.isr();
                Source::Line { isr: isr.reopen()?, offset }
            }
        }))
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
