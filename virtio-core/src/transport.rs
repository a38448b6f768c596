//! What a transport does for a driver (VIRTIO 1.4 §4): plain data in, plain data out.
//!
//! The trait is object-safe and knows neither queues nor devices. Everything it is told is a number; everything that
//! owns memory or decides anything lives in [`device`](crate::device).

mod legacy;

use core::fmt;

pub use legacy::LEGACY_PAGE;

use crate::abi::status::Status;
use crate::{DeviceAddr, DeviceId, Error, Features, PhysAddr, QueueIndex};

/// Registers of one virtio device, however they are reached.
///
/// Implementations hold no queue memory. Methods that select before they access (features, queues) take `&mut self`, so
/// that nobody else selects in between; a doorbell, an interrupt acknowledgement and the status need no selection and
/// take `&self`.
///
/// # Trust
/// The trait is safe to implement, and yet a transport that claims a reset which never took place lets a device write freed
/// memory; one that is asked to enable a queue over made-up addresses lets it write there. Whoever makes the register
/// window under a transport, or hands out the [`Hal`](crate::Hal) that maps one, vouches for the code that gets it (*Honest
/// Hands*): without such a window, no transport reaches a device.
pub trait Transport {
    /// What this is, for banners and logs.
    fn info(&self) -> TransportInfo;

    /// The type of the device (VIRTIO 1.4 §5).
    fn device_id(&self) -> DeviceId;

    /// Whether the interface itself is the legacy one: no `FEATURES_OK`, 32 feature bits, rings in one block named by
    /// page number (VIRTIO 1.4 §2.2.3, §2.7.2, §3.1.2).
    fn is_legacy(&self) -> bool {
        false
    }

    /// Reads the device status (VIRTIO 1.4 §2.1).
    fn status(&self) -> Status;

    /// Writes the device status; an empty one resets the device (VIRTIO 1.4 §2.4).
    fn set_status(&mut self, status: Status);

    /// Reads 32 feature bits of the device: bits `32 * window ..` (VIRTIO 1.4 §2.2).
    fn device_features(&mut self, window: u32) -> u32;

    /// Writes 32 bits of the accepted features.
    fn set_driver_features(&mut self, window: u32, bits: u32);

    /// The largest size that the device allows for a queue; 0 if there is no such queue. A legacy PCI device dictates
    /// this size.
    fn queue_max_size(&mut self, queue: QueueIndex) -> u16;

    /// Whether the size of the queues is the device's decision ([`Transport::queue_max_size`] exactly).
    fn dictates_queue_size(&self) -> bool {
        false
    }

    /// Hands a queue to the device and switches it on (VIRTIO 1.4 §4.1.5.1.3, §4.2.3.2). The last write is the one that
    /// makes the device look.
    ///
    /// # Errors
    /// [`Incompatible`](crate::Incompatible): the queue is in use already, its address does not fit, its doorbell lies
    /// outside the registers. The device has not been given the addresses then, but for
    /// [`Incompatible::QueueRefused`](crate::Incompatible): that is found out last.
    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error>;

    /// Starts the reset of one queue (VIRTIO 1.4 §2.6.1), where `RING_RESET` was accepted. Look at
    /// [`Transport::queue_reset`] for what comes of it. The default does nothing, and says so there.
    fn reset_queue(&mut self, queue: QueueIndex) {
        let _ = queue;
    }

    /// How the reset of a queue stands. [`QueueReset::Done`] is a proof: the device has stopped using the queue's memory. It
    /// is answered only if both the reset and the enable register were read back as 0.
    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        let _ = queue;
        QueueReset::Ignored
    }

    /// Rings a doorbell: exactly one register write, after a barrier that puts earlier memory writes before it.
    fn notify(&self, doorbell: Doorbell);

    /// Reads why the device interrupts and acknowledges it (VIRTIO 1.4 §4.1.4.5, §4.2.3.4).
    fn ack_interrupt(&self) -> InterruptStatus;

    /// A number that changes whenever the configuration space may have (VIRTIO 1.4 §2.5.2). A constant where the
    /// transport has none.
    fn config_generation(&self) -> u32;

    /// Whether [`Transport::config_generation`] means anything; legacy transports have none.
    fn has_config_generation(&self) -> bool {
        !self.is_legacy()
    }

    /// Bytes in the device's configuration space, as far as the transport can tell.
    fn config_len(&self) -> usize;

    /// Reads 1, 2 or 4 bytes of the configuration space in one access of that width, in the order they have in the
    /// device's memory.
    ///
    /// # Errors
    /// [`Incompatible::ConfigTooSmall`](crate::Incompatible) outside the space or at another width.
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error>;

    /// Writes 1, 2 or 4 bytes of the configuration space in one access of that width.
    ///
    /// # Errors
    /// As for [`Transport::read_config`].
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error>;

    /// Queue and transport features that this transport can carry out; the others are not accepted from a device that offers
    /// them. The default leaves out what PCI alone has: `NOTIF_CONFIG_DATA` (VIRTIO 1.4 §4.1.5.2).
    fn supported_features(&self) -> Features {
        !Features::NOTIF_CONFIG_DATA
    }

    /// Where one of the device's shared-memory regions lies (VIRTIO 1.4 §2.10): for
    /// [`Hal::map_mmio`](crate::Hal::map_mmio). `None` if there is none of this id.
    fn shared_memory(&mut self, id: u8) -> Option<SharedMemory> {
        let _ = id;
        None
    }

    /// Keeps the device off the bus for good, if the transport has such a switch (PCI's bus mastering): a second stop
    /// after a reset that was not confirmed. Answers whether the device is cut off now.
    fn cut_off(&mut self) -> bool {
        false
    }
}

/// What a transport is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransportInfo {
    /// Its name: `"virtio-mmio"`, `"virtio-pci"`.
    pub name: &'static str,
    /// Its version: `"legacy"` or `"modern"`, with a register version where there is one.
    pub version: &'static str,
}

impl fmt::Display for TransportInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Where the rings of a queue lie, as the device sees them. For a legacy interface they are one contiguous block that
/// starts with the descriptor area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rings {
    /// Entries.
    pub size: u16,
    /// Descriptor area: the descriptor table of a split queue, the descriptor ring of a packed one.
    pub descriptor: DeviceAddr,
    /// Driver area: the available ring, or the driver's event suppression of a packed queue.
    pub driver: DeviceAddr,
    /// Device area: the used ring, or the device's event suppression of a packed queue.
    pub device: DeviceAddr,
    /// `NOTIFICATION_DATA` was accepted: a notification is 32 bits wide and carries a position in the ring
    /// ([`Doorbell::at`]).
    pub notification_data: bool,
    /// `NOTIF_CONFIG_DATA` was accepted: a notification names the queue by a number that the device has chosen, instead of by
    /// its index (VIRTIO 1.4 §4.1.5.2).
    pub notif_config_data: bool,
}

impl Rings {
    /// The same rings, notified of as the accepted features say.
    pub(crate) const fn with(mut self, features: Features) -> Self {
        self.notification_data = features.contains(Features::NOTIFICATION_DATA);
        self.notif_config_data = features.contains(Features::NOTIF_CONFIG_DATA);
        self
    }
}

/// Memory of the device's that the driver may map (VIRTIO 1.4 §2.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SharedMemory {
    /// Where it is.
    pub address: PhysAddr,
    /// Its length in bytes; never 0, and the end does not wrap.
    pub len: u64,
}

/// How the reset of one queue stands (VIRTIO 1.4 §2.6.1, §4.1.4.3.2, §4.2.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum QueueReset {
    /// The device is at it.
    Ongoing,
    /// It is over: the device does not use the queue's memory any more.
    Done,
    /// The device does not do it: the queue is as live as before. QEMU 7.2's virtio-mmio offers `RING_RESET` and is like
    /// that.
    Ignored,
}

/// How to notify the device of one queue: which register, what value, how wide. Computed once, when the queue is
/// enabled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Doorbell {
    /// Byte offset in the transport's notification registers.
    pub offset: usize,
    /// The value to write.
    pub value: u32,
    /// Its width.
    pub width: DoorbellWidth,
}

impl Doorbell {
    /// The same doorbell, rung with a position in the ring (VIRTIO 1.4 §2.9): the upper half of a 32-bit value.
    #[must_use]
    pub const fn at(mut self, position: u16) -> Self {
        let [a, b, ..] = self.value.to_le_bytes();
        let [c, d] = position.to_le_bytes();
        self.value = u32::from_le_bytes([a, b, c, d]);
        self
    }
}

/// Width of a doorbell write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DoorbellWidth {
    /// 16 bits: PCI without `NOTIFICATION_DATA`.
    Bits16,
    /// 32 bits.
    Bits32,
}

bitflags::bitflags! {
    /// Why a device interrupts.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct InterruptStatus: u32 {
        /// Buffers were used, on any queue.
        const QUEUE = 1;
        /// The configuration space or the device status changed.
        const CONFIG = 2;
    }
}
crate::defmt_bits!(InterruptStatus);

macro_rules! forward {
    ($(#[$meta:meta])* impl<$param:ident> for $target:ty) => {
        $(#[$meta])*
        impl<$param: Transport + ?Sized> Transport for $target {
            fn info(&self) -> TransportInfo { (**self).info() }
            fn device_id(&self) -> DeviceId { (**self).device_id() }
            fn is_legacy(&self) -> bool { (**self).is_legacy() }
            fn status(&self) -> Status { (**self).status() }
            fn set_status(&mut self, status: Status) { (**self).set_status(status) }
            fn device_features(&mut self, window: u32) -> u32 { (**self).device_features(window) }
            fn set_driver_features(&mut self, window: u32, bits: u32) { (**self).set_driver_features(window, bits) }
            fn queue_max_size(&mut self, queue: QueueIndex) -> u16 { (**self).queue_max_size(queue) }
            fn dictates_queue_size(&self) -> bool { (**self).dictates_queue_size() }
            fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
                (**self).enable_queue(queue, rings)
            }
            fn reset_queue(&mut self, queue: QueueIndex) { (**self).reset_queue(queue) }
            fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset { (**self).queue_reset(queue) }
            fn notify(&self, doorbell: Doorbell) { (**self).notify(doorbell) }
            fn ack_interrupt(&self) -> InterruptStatus { (**self).ack_interrupt() }
            fn config_generation(&self) -> u32 { (**self).config_generation() }
            fn has_config_generation(&self) -> bool { (**self).has_config_generation() }
            fn config_len(&self) -> usize { (**self).config_len() }
            fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
                (**self).read_config(offset, bytes)
            }
            fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
                (**self).write_config(offset, bytes)
            }
            fn supported_features(&self) -> Features { (**self).supported_features() }
            fn shared_memory(&mut self, id: u8) -> Option<SharedMemory> { (**self).shared_memory(id) }
            fn cut_off(&mut self) -> bool { (**self).cut_off() }
        }
    };
}

forward!(impl<T> for &mut T);

macro_rules! forward_interrupts {
    ($(#[$meta:meta])* impl<$param:ident> for $target:ty) => {
        $(#[$meta])*
        impl<$param: crate::Interrupts> crate::Interrupts for $target {
            type Endpoint = $param::Endpoint;
            fn vectors(&self) -> u16 { (**self).vectors() }
            fn signals_by_message(&self) -> bool { (**self).signals_by_message() }
            fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error> { (**self).endpoint(vector) }
        }
    };
}

forward_interrupts!(impl<T> for &mut T);
forward_interrupts!(
    #[cfg(feature = "alloc")]
    impl<T> for alloc::boxed::Box<T>
);

forward!(
    #[cfg(feature = "alloc")]
    impl<T> for alloc::boxed::Box<T>
);
