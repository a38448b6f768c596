//! Packed virtqueue layouts (VIRTIO 1.4 §2.8).
//!
//! Integers are little-endian and raw here, converted where the ring is accessed: there is no legacy packed ring.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `pvirtq_desc` (VIRTIO 1.4 §2.8.13).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub struct PackedDescriptor {
    /// Where the buffer is, as the device sees it.
    pub addr: u64,
    /// Its length in bytes; in a used descriptor, how many bytes the device says it wrote.
    pub len: u32,
    /// Names the buffer: the device answers with it.
    pub id: u16,
    /// `NEXT`, `WRITE`, `INDIRECT` as in a split queue, and `AVAIL` and `USED`.
    pub flags: u16,
}

/// Descriptor flag: the list goes on in the next descriptor of the ring (VIRTIO 1.4 §2.8.13).
pub const PACKED_F_NEXT: u16 = 1;
/// Descriptor flag: the device writes this buffer; in a used descriptor: its length is valid (VIRTIO 1.4 §2.8.5).
pub const PACKED_F_WRITE: u16 = 2;
/// Descriptor flag: the buffer is a table of descriptors (VIRTIO 1.4 §2.8.7).
pub const PACKED_F_INDIRECT: u16 = 4;
/// Descriptor flag: equals the driver's wrap counter when the descriptor is made available (VIRTIO 1.4 §2.8.1).
pub const PACKED_F_AVAIL: u16 = 1 << 7;
/// Descriptor flag: differs from the driver's wrap counter when made available, equals the device's when used
/// (VIRTIO 1.4 §2.8.1).
pub const PACKED_F_USED: u16 = 1 << 15;

/// `pvirtq_event_suppress` (VIRTIO 1.4 §2.8.14).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4))]
pub struct EventSuppression {
    /// A position in the ring (15 bits) and the wrap counter there (bit 15).
    pub desc: u16,
    /// `ENABLE`, `DISABLE` or `DESC`, in the low 2 bits.
    pub flags: u16,
}

/// Event flags: notify of everything (VIRTIO 1.4 §2.8.10).
pub const EVENT_ENABLE: u16 = 0;
/// Event flags: notify of nothing (VIRTIO 1.4 §2.8.10).
pub const EVENT_DISABLE: u16 = 1;
/// Event flags: notify when the named descriptor is passed; with `EVENT_IDX` only (VIRTIO 1.4 §2.8.10).
pub const EVENT_DESC: u16 = 2;
/// The bits of [`EventSuppression::flags`] that carry the mode; the rest is reserved.
pub const EVENT_MASK: u16 = 3;
/// Bit 15 of [`EventSuppression::desc`] and of a notification's position: the wrap counter.
pub const WRAP_BIT: u16 = 1 << 15;

/// Alignment of the descriptor ring (VIRTIO 1.4 §2.8.11).
pub const RING_ALIGN: usize = 16;
/// Alignment of both event suppression structures (VIRTIO 1.4 §2.8.11).
pub const EVENT_ALIGN: usize = 4;

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<PackedDescriptor>() == 16);
    assert!(align_of::<PackedDescriptor>() == RING_ALIGN);
    assert!(offset_of!(PackedDescriptor, addr) == 0);
    assert!(offset_of!(PackedDescriptor, len) == 8);
    assert!(offset_of!(PackedDescriptor, id) == 12);
    assert!(offset_of!(PackedDescriptor, flags) == 14);
    assert!(size_of::<EventSuppression>() == 4);
    assert!(align_of::<EventSuppression>() == EVENT_ALIGN);
    assert!(offset_of!(EventSuppression, desc) == 0);
    assert!(offset_of!(EventSuppression, flags) == 2);
};
