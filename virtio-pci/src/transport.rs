//! The transport of modern devices (VIRTIO 1.4 §4.1).

use virtio_core::config::check_access;
use virtio_core::regs::{Mapped, Registers};
use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, Rings, TransportInfo};
use virtio_core::{
    DeviceId, Error, Hal, HalError, Incompatible, MmioKind, PhysAddr, QueueIndex, Status, Transport,
};

use crate::header::{command, enable, set_command, COMMAND_MASTER, COMMAND_MEMORY};
use crate::locate::{locate, Layout, Range};
use crate::notify::Notifications;
use crate::regs::{
    CONFIG_GENERATION, DEVICE_FEATURE, DEVICE_FEATURE_SELECT, DEVICE_STATUS, DRIVER_FEATURE, DRIVER_FEATURE_SELECT,
    NO_VECTOR, NUM_QUEUES, QUEUE_DESC_HIGH, QUEUE_DESC_LOW, QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW, QUEUE_DRIVER_HIGH,
    QUEUE_DRIVER_LOW, QUEUE_ENABLE, QUEUE_MSIX_VECTOR, QUEUE_NOTIFY_OFF, QUEUE_SELECT, QUEUE_SIZE,
};
use crate::{ConfigAccess, Function, FunctionAddress, PciError, Windows};

/// A modern virtio device behind PCI.
///
/// `R` is how its BARs are reached, `A` how its configuration space is: the latter is kept to take the device off the
/// bus when nothing else helps.
#[derive(Debug)]
pub struct PciTransport<R: Registers, A: ConfigAccess> {
    common: R,
    notify: Notifications<R>,
    isr: R,
    /// Where in `isr` the one byte is.
    isr_offset: usize,
    device: Option<R>,
    access: A,
    function: FunctionAddress,
    device_id: DeviceId,
}

impl<H: Hal + Clone, A: ConfigAccess> PciTransport<Mapped<H>, A> {
    /// Takes a function into use, mapping through the Hal what is needed of its BARs.
    ///
    /// Bus addresses are taken for physical ones, as they are on x86 and on most other machines: see
    /// [`PciTransport::in_windows`] for the rest. The Hal is asked for ranges that are aligned to 4 bytes and no more;
    /// several may lie in one page.
    ///
    /// # Errors
    /// [`PciError`]. The function is left as it was, with memory decoding perhaps switched on.
    pub fn new(hal: H, access: A, function: FunctionAddress) -> Result<Self, PciError> {
        Self::with_mapper(access, function, None, |base, len| {
            Mapped::new(hal.clone(), base, len, MmioKind::Registers)
        })
    }

    /// As [`PciTransport::new`], on a machine whose windows are known: BARs must lie in them, and are found where the
    /// CPU sees the window.
    ///
    /// # Errors
    /// [`PciError::BarOutsideWindow`], else as for [`PciTransport::new`].
    pub fn in_windows(
        hal: H,
        access: A,
        function: FunctionAddress,
        windows: &Windows,
    ) -> Result<Self, PciError> {
        Self::with_mapper(access, function, Some(windows), |base, len| {
            Mapped::new(hal.clone(), base, len, MmioKind::Registers)
        })
    }
}

impl<R: Registers, A: ConfigAccess> PciTransport<R, A> {
    /// Takes a function into use, with register blocks from a function of the caller's: it is given a physical address
    /// (aligned to 4 bytes) and a length in bytes.
    ///
    /// The device itself is not touched but for its queue selector, which is moved to learn where the doorbells are.
    ///
    /// # Errors
    /// As for [`PciTransport::in_windows`].
    pub fn with_mapper(
        access: A,
        function: FunctionAddress,
        windows: Option<&Windows>,
        mut map: impl FnMut(PhysAddr, usize) -> Result<R, HalError>,
    ) -> Result<Self, PciError> {
        let found = Function::read(&access, function).ok_or(PciError::NotPresent(function))?;
        let not_virtio = PciError::NotVirtio { vendor: found.vendor, device: found.device };
        let device_id = found.virtio_id().ok_or(not_virtio)?;
        let Layout { common, notify, notify_multiplier, isr, device } = locate(&access, &found, windows)?;
        if !enable(&access, function, COMMAND_MEMORY) {
            return Err(PciError::DecodeRefused);
        }
        let mut map = |range: Range| {
            let len = usize::try_from(range.len).ok().and_then(|len| len.checked_add(range.skip));
            let len = len.and_then(|len| len.checked_next_multiple_of(4)).ok_or(HalError::CannotMap)?;
            map(range.base, len)
        };
        let common = map(common)?;
        let isr_offset = isr.skip;
        let isr = map(isr)?;
        let device = match device {
            Some(range) => Some(ConfigSpace::new(map(range)?, range.len)),
            None => None,
        };
        let notify = Notifications::new(&common, notify, notify_multiplier, &mut map)?;
        Ok(Self { common, notify, isr, isr_offset, device, access, function, device_id })
    }

    /// Where the function is.
    #[must_use]
    pub const fn function(&self) -> FunctionAddress {
        self.function
    }

    /// The access to configuration space that this was built with.
    #[must_use]
    pub const fn access(&self) -> &A {
        &self.access
    }
}
