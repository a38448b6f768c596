//! The transport of modern devices (VIRTIO 1.4 §4.1).

mod open;
mod signals;

use virtio_core::config::{read_registers, write_registers};
use virtio_core::regs::Registers;
use virtio_core::transport::{
    Doorbell, DoorbellWidth, InterruptStatus, QueueReset, Rings, SharedMemory, TransportInfo,
};
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex, Status, Transport};

use crate::endpoint;
use crate::header::{COMMAND_INTX_DISABLE, COMMAND_MASTER, command, set_command};
use crate::notify::Notifications;
use crate::queue_reset;
use crate::regs::{
    CONFIG_GENERATION, DEVICE_FEATURE, DEVICE_FEATURE_SELECT, DEVICE_STATUS, DRIVER_FEATURE,
    DRIVER_FEATURE_SELECT, NUM_QUEUES, QUEUE_DESC_HIGH, QUEUE_DESC_LOW, QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW,
    QUEUE_DRIVER_HIGH, QUEUE_DRIVER_LOW, QUEUE_ENABLE, QUEUE_NOTIF_CONFIG_DATA, QUEUE_NOTIFY_OFF,
    QUEUE_SELECT, QUEUE_SIZE,
};
use crate::shared_memory::BarPlaces;
use crate::{ConfigAccess, FunctionAddress};

pub(crate) use signals::Signals;

/// No virtqueue is larger (VIRTIO 1.4 §2.7, §2.8).
const MAX_QUEUE_SIZE: u16 = 1 << 15;

/// A modern virtio device behind PCI.
///
/// `R` is how its BARs are reached, `A` how its configuration space is: the latter is kept to take the device off the
/// bus when nothing else helps.
#[derive(Debug)]
pub struct PciTransport<R: Registers, A: ConfigAccess> {
    common: R,
    /// What the registers that are there can carry out.
    features: Features,
    notify: Notifications<R>,
    isr: R,
    /// Where in `isr` the one byte is.
    isr_offset: usize,
    /// The device's own configuration space, if it has one, and its length: the mapping may be longer.
    device: Option<R>,
    device_len: usize,
    signals: Signals,
    places: BarPlaces,
    access: A,
    function: FunctionAddress,
    device_id: DeviceId,
}

impl<R: Registers, A: ConfigAccess> PciTransport<R, A> {
    /// The block in which the ISR status is, and where in it.
    pub(crate) const fn isr(&self) -> (&R, usize) {
        (&self.isr, self.isr_offset)
    }

    /// How the device interrupts.
    pub(crate) const fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Whether the common structure reaches as far as `queue_reset`: its mapping may be longer.
    const fn has_queue_reset(&self) -> bool {
        self.features.contains(Features::RING_RESET)
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

    /// A reset makes the device forget its vectors; with DRIVER_OK at the latest they are there again.
    fn set_status(&mut self, status: Status) {
        if status.is_empty() {
            self.signals.after_reset();
        } else if status.contains(Status::DRIVER_OK) && !status.contains(Status::FAILED) {
            // A device that is given up may read as live because it never confirmed its reset: it stays off the bus.
            if self.signals.vectors().is_some() && self.let_interrupt().is_err() {
                // What is refused here is seen in the number of vectors: the line, or nothing at all.
                self.stop_messages();
            }
            self.signals.settle();
        }
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
        if self.select(queue) { QUEUE_SIZE.read(&self.common).min(MAX_QUEUE_SIZE) } else { 0 }
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        if !self.select(queue) {
            return Err(Incompatible::NoQueue(queue).into());
        }
        if QUEUE_ENABLE.read(&self.common) != 0 {
            return Err(Incompatible::QueueBusy(queue).into());
        }
        let width = if rings.notification_data { DoorbellWidth::Bits32 } else { DoorbellWidth::Bits16 };
        // Checked before the device learns any address.
        let offset = self.notify.doorbell(queue, QUEUE_NOTIFY_OFF.read(&self.common), width)?;
        // Only now may the device access memory and interrupt: it has been reset. Earlier, a device that someone else left
        // running with bus mastering off (a kernel before this one) would have been let loose on its old rings.
        self.let_interrupt()?;
        QUEUE_SIZE.write(&self.common, rings.size);
        self.map_queue(queue)?;
        let common = &self.common;
        let value = if rings.notif_config_data { QUEUE_NOTIF_CONFIG_DATA.read(common) } else { queue.get() };
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
        // That it says it has the queue is one half of what proves, later, that it has given it back. One that does not may
        // use the rings all the same: the caller's guard resets it.
        if QUEUE_ENABLE.read(common) != 1 {
            return Err(Incompatible::QueueRefused(queue).into());
        }
        Ok(Doorbell { offset, value: u32::from(value), width })
    }

    fn reset_queue(&mut self, queue: QueueIndex) {
        if self.has_queue_reset() && self.select(queue) {
            queue_reset::start(&self.common);
        }
    }

    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        if self.has_queue_reset() && self.select(queue) {
            queue_reset::progress(&self.common)
        } else {
            QueueReset::Ignored
        }
    }

    fn notify(&self, doorbell: Doorbell) {
        self.notify.ring(doorbell);
    }

    /// With MSI-X there is nothing to read: it may be either (VIRTIO 1.4 §4.1.4.5.2).
    fn ack_interrupt(&self) -> InterruptStatus {
        match self.signals.vectors() {
            Some(_) => InterruptStatus::QUEUE | InterruptStatus::CONFIG,
            None => endpoint::acknowledge(&self.isr, self.isr_offset),
        }
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

    fn supported_features(&self) -> Features {
        self.features
    }

    fn shared_memory(&mut self, id: u8) -> Option<SharedMemory> {
        self.places.shared_memory(|offset| self.access.read32(self.function, offset), id)
    }

    /// Clears bus mastering and reads it back. A function that no longer answers counts as not cut off. Its line is switched
    /// off as well, for nobody will acknowledge what it says there.
    fn cut_off(&mut self) -> bool {
        let before = command(&self.access, self.function);
        set_command(&self.access, self.function, before & !COMMAND_MASTER | COMMAND_INTX_DISABLE);
        command(&self.access, self.function) & COMMAND_MASTER == 0
    }
}
