//! The device's side of virtqueues: split and packed, each written independently of the driver's, and one type over both.

mod chain;
mod links;
mod packed;
mod position;
mod split;

use virtio_core::Features;
use virtio_core::transport::Rings;

pub use chain::{Buffer, Chain};
pub use packed::PackedDeviceSide;
pub use split::SplitDeviceSide;

use crate::guest::GuestMemory;

/// The device's side of one virtqueue, in the format that was negotiated.
///
/// What is said of indices here means `avail.idx` and `used.idx` of a split queue, and positions of a packed one: the slot,
/// with the wrap counter in bit 15.
#[derive(Clone, Debug)]
pub enum DeviceQueue {
    /// A split queue (VIRTIO 1.4 §2.7).
    Split(SplitDeviceSide),
    /// A packed queue (VIRTIO 1.4 §2.8).
    Packed(PackedDeviceSide),
}

macro_rules! either {
    ($queue:expr, $side:ident => $call:expr) => {
        match $queue {
            Self::Split($side) => $call,
            Self::Packed($side) => $call,
        }
    };
}

impl DeviceQueue {
    /// Takes over rings as a driver described them, with the features it has accepted: packed with `RING_PACKED`.
    ///
    /// # Errors
    /// If they are not aligned (VIRTIO 1.4 §2.7, §2.8.11), or no legacy block (VIRTIO 1.4 §2.7.2), or of no possible size.
    pub fn new(rings: Rings, features: Features, legacy: bool) -> Result<Self, String> {
        if features.contains(Features::RING_PACKED) {
            if legacy {
                return Err("there is no legacy packed queue".into());
            }
            return PackedDeviceSide::new(rings, features).map(Self::Packed);
        }
        SplitDeviceSide::new(rings, features, legacy).map(Self::Split)
    }

    /// Where the rings are.
    #[must_use]
    pub fn rings(&self) -> Rings {
        either!(self, side => side.rings())
    }

    /// Whether `EVENT_IDX` is in force.
    #[must_use]
    pub fn event_idx(&self) -> bool {
        either!(self, side => side.event_idx())
    }

    /// How far chains were taken: an index, or a position.
    #[must_use]
    pub fn taken(&self) -> u16 {
        either!(self, side => side.taken())
    }

    /// How far chains were used: an index, or a position.
    #[must_use]
    pub fn used(&self) -> u16 {
        either!(self, side => side.used())
    }

    /// How far the driver has published: an index, or a position. With `NOTIFICATION_DATA`, a notification carries it.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn published<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        either!(self, side => side.published(memory))
    }

    /// How many chains wait.
    ///
    /// # Errors
    /// If the ring cannot be read, or the index of a split one ran ahead by more than the queue holds.
    pub fn waiting<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        either!(self, side => side.waiting(memory))
    }

    /// Takes the next available chain.
    ///
    /// # Errors
    /// If the driver's rings or descriptors are not in order.
    pub fn pop<M: GuestMemory + ?Sized>(&mut self, memory: &M) -> Result<Option<Chain>, String> {
        either!(self, side => side.pop(memory))
    }

    /// Gives one chain back, with a length that is true or not.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn finish<M: GuestMemory + ?Sized>(
        &mut self,
        memory: &M,
        chain: &Chain,
        len: u32,
    ) -> Result<(), String> {
        self.push_batch(memory, &[chain], len)
    }

    /// Gives chains back, oldest first, with one used element or descriptor (VIRTIO 1.4 §2.7.9, §2.8.9): `len` is said of
    /// the last, the others were written in full. More than one with `IN_ORDER` only.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push_batch<M: GuestMemory + ?Sized>(
        &mut self,
        memory: &M,
        chains: &[&Chain],
        len: u32,
    ) -> Result<(), String> {
        either!(self, side => side.push_batch(memory, chains, len))
    }

    /// Writes a used element or descriptor, whatever it says, and announces it. A packed queue has 16 bits for `id`.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push<M: GuestMemory + ?Sized>(&mut self, memory: &M, id: u32, len: u32) -> Result<(), String> {
        either!(self, side => side.push(memory, id, len))
    }

    /// Writes a used element or descriptor, whatever it says, and does not announce it: the index stays, or AVAIL and USED
    /// are those of the lap before.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push_unannounced<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        id: u32,
        len: u32,
    ) -> Result<(), String> {
        either!(self, side => side.push_unannounced(memory, id, len))
    }

    /// Announces so many used elements or descriptors, and writes none. The queue's own idea of it stays.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn jump<M: GuestMemory + ?Sized>(&mut self, memory: &M, by: u16) -> Result<(), String> {
        either!(self, side => side.jump(memory, by))
    }

    /// Asks for no notifications, or for some again (VIRTIO 1.4 §2.7.10, §2.8.10). A split queue has this without
    /// `EVENT_IDX` only.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn suppress_notifications<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        suppress: bool,
    ) -> Result<(), String> {
        either!(self, side => side.suppress_notifications(memory, suppress))
    }

    /// Asks for a notification when the chain with this index, or the descriptor at this position, is made available
    /// (VIRTIO 1.4 §2.7.10, §2.8.10). With `EVENT_IDX` only.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn set_avail_event<M: GuestMemory + ?Sized>(&self, memory: &M, event: u16) -> Result<(), String> {
        either!(self, side => side.set_avail_event(memory, event))
    }

    /// Writes what asks the driver for notifications, whatever it says: `avail_event` and `used.flags`, or `desc` and
    /// `flags` of the device's event suppression.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn write_suppression<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        event: u16,
        flags: u16,
    ) -> Result<(), String> {
        either!(self, side => side.write_suppression(memory, event, flags))
    }

    /// Where the driver wants to be interrupted, if it wants that at a place: an index, or a position.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn used_event<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        either!(self, side => side.used_event(memory))
    }

    /// Whether the driver wants an interrupt for what was used since [`used`](Self::used) was `before`.
    ///
    /// # Errors
    /// If the ring cannot be read, or the driver asks in a way that it must not.
    pub fn wants_interrupt<M: GuestMemory + ?Sized>(&self, memory: &M, before: u16) -> Result<bool, String> {
        either!(self, side => side.wants_interrupt(memory, before))
    }

    /// Writes rubbish over the descriptors, for devices that do. In a packed queue that includes the flags.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn overwrite_descriptors<M: GuestMemory + ?Sized>(&self, memory: &M, byte: u8) -> Result<(), String> {
        either!(self, side => side.overwrite_descriptors(memory, byte))
    }
}
