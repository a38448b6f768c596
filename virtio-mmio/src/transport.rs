//! The transport itself: what both versions share (VIRTIO 1.4 §4.2).

use virtio_core::config::{read_registers, write_registers};
use virtio_core::regs::Registers;
use virtio_core::transport::{
    Doorbell, DoorbellWidth, InterruptStatus, QueueReset, Rings, SharedMemory, TransportInfo,
};
use virtio_core::{DeviceId, Error, QueueIndex, Status, Transport};

use crate::regs::{
    CONFIG, CONFIG_GENERATION, DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL,
    QUEUE_NOTIFY, QUEUE_SEL, QUEUE_SIZE_MAX, STATUS, VENDOR_ID,
};
use crate::{endpoint, queue, shared};

/// Version of the register layout (VIRTIO 1.4 §4.2.2, §4.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// Version 1: what QEMU offers unless told otherwise.
    Legacy,
    /// Version 2.
    Modern,
}

/// A virtio device behind memory-mapped registers. Made by [`probe`](crate::probe()).
///
/// Queues that a device does not have read as size 0; but QEMU ignores a selection above 1023, and answers for the queue that was
/// selected before. No device type comes near that number but a network card with hundreds of queue pairs.
///
/// One queue can be reset (VIRTIO 1.4 §2.6.1) in version 2, where the device proves that it did it: QEMU 7.2 offers
/// `RING_RESET` here and goes on using the queue, which is told as [`QueueReset::Ignored`].
///
/// # Limits of version 1
/// The memory of a queue lies in one block below 2^44 bytes, as its page number has 32 bits and pages are of 4096 bytes
/// ([`RingTooHigh`](virtio_core::Incompatible::RingTooHigh)). The kernel's own pages may be larger. There are 32 feature
/// bits, no configuration generation, no shared memory, and no reset of a single queue.
#[derive(Debug)]
pub struct MmioTransport<R: Registers> {
    regs: R,
    version: Version,
    device_id: DeviceId,
    /// Version 1 only: whether the device has been told the page size since the last reset.
    page_size_known: bool,
}

impl<R: Registers> MmioTransport<R> {
    pub(crate) const fn new(regs: R, version: Version, device_id: DeviceId) -> Self {
        Self { regs, version, device_id, page_size_known: false }
    }

    /// Gives the registers back. The device is left as it is.
    #[must_use]
    pub fn into_registers(self) -> R {
        self.regs
    }

    pub(crate) const fn registers(&self) -> &R {
        &self.regs
    }

    /// Version of the registers.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// `VendorID`: who made the device (VIRTIO 1.4 §4.2.2). QEMU answers 0x554d4551, "QEMU".
    #[must_use]
    pub fn vendor_id(&self) -> u32 {
        VENDOR_ID.read(&self.regs)
    }
}

impl<R: Registers> Transport for MmioTransport<R> {
    fn info(&self) -> TransportInfo {
        let version = match self.version {
            Version::Legacy => "legacy (v1)",
            Version::Modern => "modern (v2)",
        };
        TransportInfo { name: "virtio-mmio", version }
    }

    fn device_id(&self) -> DeviceId {
        self.device_id
    }

    fn is_legacy(&self) -> bool {
        self.version == Version::Legacy
    }

    fn status(&self) -> Status {
        // Eight bits are defined. Anything above them is not 0 either: a device that is gone reads as all ones, and must not
        // look like one that has completed its reset.
        let status = Status::from_bits_retain(u8::try_from(STATUS.read(&self.regs)).unwrap_or(u8::MAX));
        // After the end of a reset, memory is read as the device left it.
        self.regs.register_before_memory();
        status
    }

    fn set_status(&mut self, status: Status) {
        if status.is_empty() {
            // A reset forgets the page size.
            self.page_size_known = false;
        }
        STATUS.write(&self.regs, u32::from(status.bits()));
    }

    fn device_features(&mut self, window: u32) -> u32 {
        if self.is_legacy() && window != 0 {
            return 0;
        }
        DEVICE_FEATURES_SEL.write(&self.regs, window);
        DEVICE_FEATURES.read(&self.regs)
    }

    fn set_driver_features(&mut self, window: u32, bits: u32) {
        if self.is_legacy() && window != 0 {
            return;
        }
        DRIVER_FEATURES_SEL.write(&self.regs, window);
        DRIVER_FEATURES.write(&self.regs, bits);
    }

    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        QUEUE_SEL.write(&self.regs, u32::from(queue.get()));
        u16::try_from(QUEUE_SIZE_MAX.read(&self.regs)).unwrap_or(u16::MAX)
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        match self.version {
            Version::Legacy => queue::enable_legacy(&self.regs, queue, rings, &mut self.page_size_known)?,
            Version::Modern => queue::enable_modern(&self.regs, queue, rings)?,
        }
        // NOTIFICATION_DATA changes the value alone: the register is 32 bits wide anyway.
        Ok(Doorbell {
            offset: QUEUE_NOTIFY.offset(),
            value: u32::from(queue.get()),
            width: DoorbellWidth::Bits32,
        })
    }

    fn reset_queue(&mut self, queue: QueueIndex) {
        match self.version {
            Version::Legacy => {}
            Version::Modern => queue::reset(&self.regs, queue),
        }
    }

    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        match self.version {
            // There is no such register, only the reset of the whole device.
            Version::Legacy => QueueReset::Ignored,
            Version::Modern => queue::reset_progress(&self.regs, queue),
        }
    }

    fn notify(&self, doorbell: Doorbell) {
        self.regs.memory_before_register();
        QUEUE_NOTIFY.write(&self.regs, doorbell.value);
    }

    fn ack_interrupt(&self) -> InterruptStatus {
        endpoint::acknowledge(&self.regs)
    }

    fn shared_memory(&mut self, id: u8) -> Option<SharedMemory> {
        match self.version {
            // There are no such registers.
            Version::Legacy => None,
            Version::Modern => shared::region(&self.regs, id),
        }
    }

    fn config_generation(&self) -> u32 {
        if self.is_legacy() { 0 } else { CONFIG_GENERATION.read(&self.regs) }
    }

    fn config_len(&self) -> usize {
        self.regs.len().saturating_sub(CONFIG)
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        read_registers(&self.regs, CONFIG, self.config_len(), offset, bytes)
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        write_registers(&self.regs, CONFIG, self.config_len(), offset, bytes)
    }
}
