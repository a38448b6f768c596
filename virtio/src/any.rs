//! One type for whatever transport a device turned up on.

use virtio_core::interrupt::{Endpoint, Interrupts, Shareable};
use virtio_core::regs::Registers;
use virtio_core::transport::{Doorbell, InterruptStatus, QueueReset, Rings, SharedMemory, TransportInfo};
use virtio_core::{DeviceId, Error, Features, QueueIndex, Status, Transport};
use virtio_mmio::{MmioEndpoint, MmioTransport};
use virtio_pci::{ConfigAccess, LegacyEndpoint, LegacyTransport, PciEndpoint, PciTransport};

/// A device on any of the transports, so that one binary serves machines of both kinds and one driver type fits all.
///
/// `R` is how registers are reached ([`Mapped<H>`](crate::regs::Mapped) through a Hal), `A` how PCI configuration space
/// is, `P` how the ports of legacy PCI devices are: on x86 `PortRegs`, on machines that show them in memory the same as `R`. A
/// kernel that knows only one transport takes that transport's type itself: nothing is decided at run time then.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one value a device; there is no heap to put the large one on")]
#[non_exhaustive]
pub enum AnyTransport<R: Registers, A: ConfigAccess, P: Registers = R> {
    /// Memory-mapped registers.
    Mmio(MmioTransport<R>),
    /// A PCI function.
    Pci(PciTransport<R, A>),
    /// A PCI function through its legacy interface.
    PciLegacy(LegacyTransport<P, A>),
}

impl<R: Registers, A: ConfigAccess, P: Registers> From<MmioTransport<R>> for AnyTransport<R, A, P> {
    fn from(transport: MmioTransport<R>) -> Self {
        Self::Mmio(transport)
    }
}

impl<R: Registers, A: ConfigAccess, P: Registers> From<PciTransport<R, A>> for AnyTransport<R, A, P> {
    fn from(transport: PciTransport<R, A>) -> Self {
        Self::Pci(transport)
    }
}

impl<R: Registers, A: ConfigAccess, P: Registers> From<LegacyTransport<P, A>> for AnyTransport<R, A, P> {
    fn from(transport: LegacyTransport<P, A>) -> Self {
        Self::PciLegacy(transport)
    }
}

macro_rules! each {
    ($this:expr, $transport:ident => $call:expr) => {
        match $this {
            AnyTransport::Mmio($transport) => $call,
            AnyTransport::Pci($transport) => $call,
            AnyTransport::PciLegacy($transport) => $call,
        }
    };
}

impl<R: Registers, A: ConfigAccess, P: Registers> Transport for AnyTransport<R, A, P> {
    fn info(&self) -> TransportInfo {
        each!(self, transport => transport.info())
    }
    fn device_id(&self) -> DeviceId {
        each!(self, transport => transport.device_id())
    }
    fn is_legacy(&self) -> bool {
        each!(self, transport => transport.is_legacy())
    }
    fn status(&self) -> Status {
        each!(self, transport => transport.status())
    }
    fn set_status(&mut self, status: Status) {
        each!(self, transport => transport.set_status(status));
    }
    fn device_features(&mut self, window: u32) -> u32 {
        each!(self, transport => transport.device_features(window))
    }
    fn set_driver_features(&mut self, window: u32, bits: u32) {
        each!(self, transport => transport.set_driver_features(window, bits));
    }
    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        each!(self, transport => transport.queue_max_size(queue))
    }
    fn dictates_queue_size(&self) -> bool {
        each!(self, transport => transport.dictates_queue_size())
    }
    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        each!(self, transport => transport.enable_queue(queue, rings))
    }
    fn reset_queue(&mut self, queue: QueueIndex) {
        each!(self, transport => transport.reset_queue(queue));
    }
    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        each!(self, transport => transport.queue_reset(queue))
    }
    fn notify(&self, doorbell: Doorbell) {
        each!(self, transport => transport.notify(doorbell));
    }
    fn ack_interrupt(&self) -> InterruptStatus {
        each!(self, transport => transport.ack_interrupt())
    }
    fn config_generation(&self) -> u32 {
        each!(self, transport => transport.config_generation())
    }
    fn has_config_generation(&self) -> bool {
        each!(self, transport => transport.has_config_generation())
    }
    fn config_len(&self) -> usize {
        each!(self, transport => transport.config_len())
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        each!(self, transport => transport.read_config(offset, bytes))
    }
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        each!(self, transport => transport.write_config(offset, bytes))
    }
    fn supported_features(&self) -> Features {
        each!(self, transport => transport.supported_features())
    }
    fn shared_memory(&mut self, id: u8) -> Option<SharedMemory> {
        each!(self, transport => transport.shared_memory(id))
    }
    fn cut_off(&mut self) -> bool {
        each!(self, transport => transport.cut_off())
    }
}

/// An interrupt of a device on any of the transports, for its handler.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnyEndpoint<R: Registers, P: Registers = R> {
    /// Of memory-mapped registers.
    Mmio(MmioEndpoint<R>),
    /// Of a PCI function.
    Pci(PciEndpoint<R>),
    /// Of a PCI function through its legacy interface.
    PciLegacy(LegacyEndpoint<P>),
}

impl<R: Shareable, P: Shareable> Endpoint for AnyEndpoint<R, P> {
    fn ack(&self) -> InterruptStatus {
        match self {
            Self::Mmio(endpoint) => endpoint.ack(),
            Self::Pci(endpoint) => endpoint.ack(),
            Self::PciLegacy(endpoint) => endpoint.ack(),
        }
    }
    fn serves(&self, queue: QueueIndex) -> bool {
        match self {
            Self::Mmio(endpoint) => endpoint.serves(queue),
            Self::Pci(endpoint) => endpoint.serves(queue),
            Self::PciLegacy(endpoint) => endpoint.serves(queue),
        }
    }
}

impl<R: Shareable, A: ConfigAccess, P: Shareable> Interrupts for AnyTransport<R, A, P> {
    type Endpoint = AnyEndpoint<R, P>;

    fn vectors(&self) -> u16 {
        each!(self, transport => transport.vectors())
    }
    fn signals_by_message(&self) -> bool {
        each!(self, transport => transport.signals_by_message())
    }
    fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error> {
        Ok(match self {
            Self::Mmio(transport) => AnyEndpoint::Mmio(transport.endpoint(vector)?),
            Self::Pci(transport) => AnyEndpoint::Pci(transport.endpoint(vector)?),
            Self::PciLegacy(transport) => AnyEndpoint::PciLegacy(transport.endpoint(vector)?),
        })
    }
}
