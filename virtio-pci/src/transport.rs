//! The transport of modern devices (VIRTIO 1.4 §4.1).

use virtio_core::config::{read_registers, write_registers};
use virtio_core::regs::{Mapped, Registers};
use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, QueueReset, Rings, TransportInfo};
use virtio_core::{
    DeviceId, Error, Hal, HalError, Incompatible, MmioKind, PhysAddr, QueueIndex, Status, Transport,
};

use crate::endpoint;
use crate::header::{
    COMMAND_INTX_DISABLE, COMMAND_MASTER, COMMAND_MEMORY, change, command, enable, set_command,
};
use crate::locate::{Layout, Range, locate};
use crate::msix;
use crate::notify::Notifications;
use crate::queue_reset;
use crate::regs::{
    COMMON_TO_QUEUE_RESET, CONFIG_GENERATION, DEVICE_FEATURE, DEVICE_FEATURE_SELECT, DEVICE_STATUS,
    DRIVER_FEATURE, DRIVER_FEATURE_SELECT, NO_VECTOR, NUM_QUEUES, QUEUE_DESC_HIGH, QUEUE_DESC_LOW,
    QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW, QUEUE_DRIVER_HIGH, QUEUE_DRIVER_LOW, QUEUE_ENABLE,
    QUEUE_MSIX_VECTOR, QUEUE_NOTIFY_OFF, QUEUE_SELECT, QUEUE_SIZE,
};
use crate::{ConfigAccess, Function, FunctionAddress, PciError, Windows};

/// A modern virtio device behind PCI.
///
/// `R` is how its BARs are reached, `A` how its configuration space is: the latter is kept to take the device off the
/// bus when nothing else helps.
#[derive(Debug)]
pub struct PciTransport<R: Registers, A: ConfigAccess> {
    common: R,
    /// Whether the common structure reaches as far as `queue_reset`: its mapping may be longer.
    has_queue_reset: bool,
    notify: Notifications<R>,
    isr: R,
    /// Where in `isr` the one byte is.
    isr_offset: usize,
    /// The device's own configuration space, if it has one, and its length: the mapping may be longer.
    device: Option<R>,
    device_len: usize,
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
    /// The BARs are sized, and sizing switches decoding off for a moment: the function must not be in use. An MSI-X enable
    /// that someone left is cleared: see [the crate](crate#interrupts).
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
    /// [`Incompatible::RegistersTooShort`] if a block is shorter than was asked for, else as for [`PciTransport::in_windows`].
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
        let mut map = |range: Range| -> Result<R, PciError> {
            let len = usize::try_from(range.len).ok().and_then(|len| len.checked_add(range.skip));
            let len = len.and_then(|len| len.checked_next_multiple_of(4)).ok_or(HalError::CannotMap)?;
            let regs = map(range.base, len)?;
            if regs.len() < len { Err(Incompatible::RegistersTooShort.into()) } else { Ok(regs) }
        };
        let has_queue_reset = common.len >= COMMON_TO_QUEUE_RESET;
        let common = map(common)?;
        let isr_offset = isr.skip;
        let isr = map(isr)?;
        let device_len = device.and_then(|range| usize::try_from(range.len).ok()).unwrap_or(0);
        let device = device.map(&mut map).transpose()?;
        let notify = Notifications::new(&common, notify, notify_multiplier, &mut map)?;
        // With MSI-X on, the device would say nothing in the ISR status.
        if !msix::turn_off(&access, function) {
            return Err(PciError::MsixRefused);
        }
        Ok(Self {
            common,
            has_queue_reset,
            notify,
            isr,
            isr_offset,
            device,
            device_len,
            access,
            function,
            device_id,
        })
    }

    /// The block in which the ISR status is, and where in it.
    pub(crate) const fn isr(&self) -> (&R, usize) {
        (&self.isr, self.isr_offset)
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

impl<R: Registers, A: ConfigAccess> PciTransport<R, A> {
    /// Selects a queue. Beyond `num_queues` some devices ignore the selection: asking there would answer for another.
    fn select(&self, queue: QueueIndex) -> bool {
        let exists = queue.get() < NUM_QUEUES.read(&self.common);
        if exists {
            QUEUE_SELECT.write(&self.common, queue.get());
        }
        exists
    }
}

impl<R: Registers, A: ConfigAccess> Transport for PciTransport<R, A> {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "virtio-pci", version: "modern" }
    }

    fn device_id(&self) -> DeviceId {
        self.device_id
    }

    fn status(&self) -> Status {
        let status = Status::from_bits_retain(DEVICE_STATUS.read(&self.common));
        // After the end of a reset, memory is read as the device left it.
        self.common.register_before_memory();
        status
    }

    fn set_status(&mut self, status: Status) {
        DEVICE_STATUS.write(&self.common, status.bits());
    }

    fn device_features(&mut self, window: u32) -> u32 {
        DEVICE_FEATURE_SELECT.write(&self.common, window);
        DEVICE_FEATURE.read(&self.common)
    }

    fn set_driver_features(&mut self, window: u32, bits: u32) {
        DRIVER_FEATURE_SELECT.write(&self.common, window);
        DRIVER_FEATURE.write(&self.common, bits);
    }

    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        if self.select(queue) { QUEUE_SIZE.read(&self.common) } else { 0 }
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        let common = &self.common;
        if !self.select(queue) {
            return Err(Incompatible::NoQueue(queue).into());
        }
        if QUEUE_ENABLE.read(common) != 0 {
            return Err(Incompatible::QueueBusy(queue).into());
        }
        let width = if rings.notification_data { DoorbellWidth::Bits32 } else { DoorbellWidth::Bits16 };
        // Checked before the device learns any address.
        let offset = self
            .notify
            .doorbell(QUEUE_NOTIFY_OFF.read(common), width)
            .ok_or(Incompatible::DoorbellOutside(queue))?;
        // Only now may the device access memory and assert its interrupt: it has been reset. Earlier, a device that someone
        // else left running with bus mastering off (a kernel before this one) would have been let loose on its old rings.
        if !change(&self.access, self.function, COMMAND_MASTER, COMMAND_INTX_DISABLE) {
            return Err(Incompatible::BusMasteringRefused.into());
        }
        QUEUE_SIZE.write(common, rings.size);
        QUEUE_MSIX_VECTOR.write(common, NO_VECTOR);
        for (low, high, address) in [
            (QUEUE_DESC_LOW, QUEUE_DESC_HIGH, rings.descriptor),
            (QUEUE_DRIVER_LOW, QUEUE_DRIVER_HIGH, rings.driver),
            (QUEUE_DEVICE_LOW, QUEUE_DEVICE_HIGH, rings.device),
        ] {
            let (low_half, high_half) = address.halves();
            low.write(common, low_half);
            high.write(common, high_half);
        }
        // The device may look at the rings from now on: what they hold must be there first.
        common.memory_before_register();
        QUEUE_ENABLE.write(common, 1);
        Ok(Doorbell { offset, value: u32::from(queue.get()), width })
    }

    fn reset_queue(&mut self, queue: QueueIndex) {
        if self.has_queue_reset && self.select(queue) {
            queue_reset::start(&self.common);
        }
    }

    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        if self.has_queue_reset && self.select(queue) {
            queue_reset::progress(&self.common)
        } else {
            QueueReset::Ignored
        }
    }

    fn notify(&self, doorbell: Doorbell) {
        self.notify.ring(doorbell);
    }

    fn ack_interrupt(&self) -> InterruptStatus {
        endpoint::acknowledge(&self.isr, self.isr_offset)
    }

    fn config_generation(&self) -> u32 {
        u32::from(CONFIG_GENERATION.read(&self.common))
    }

    fn config_len(&self) -> usize {
        self.device_len
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let too_small = Incompatible::ConfigTooSmall { offset, len: bytes.len() };
        let device = self.device.as_ref().ok_or(too_small)?;
        read_registers(device, 0, self.device_len, offset, bytes)
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let too_small = Incompatible::ConfigTooSmall { offset, len: bytes.len() };
        let device = self.device.as_ref().ok_or(too_small)?;
        write_registers(device, 0, self.device_len, offset, bytes)
    }

    /// Clears bus mastering and reads it back. A function that no longer answers counts as not cut off.
    fn cut_off(&mut self) -> bool {
        let before = command(&self.access, self.function);
        set_command(&self.access, self.function, before & !COMMAND_MASTER);
        command(&self.access, self.function) & COMMAND_MASTER == 0
    }
}
