//! What stands in ring memory (VIRTIO 1.4 §2.7, §2.8), as the device and the floor see it.

/// More descriptors of this chain follow.
pub const NEXT: u16 = 1;
/// The device writes this buffer.
pub const WRITE: u16 = 2;
/// This descriptor names a table of descriptors.
pub const INDIRECT: u16 = 4;
/// Packed: the driver's mark.
pub const AVAIL: u16 = 1 << 7;
/// Packed: the device's mark.
pub const USED: u16 = 1 << 15;
/// Packed event suppression: notify at the position named.
pub const EVENT_AT: u16 = 2;

/// A descriptor of a split queue (VIRTIO 1.4 §2.7.5).
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct SplitDescriptor {
    /// Where the buffer is.
    pub address: u64,
    /// Its bytes.
    pub len: u32,
    /// `NEXT`, `WRITE`, `INDIRECT`.
    pub flags: u16,
    /// The next of the chain.
    pub next: u16,
}

/// An element of the used ring (VIRTIO 1.4 §2.7.8).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UsedElement {
    /// The head of the chain.
    pub id: u32,
    /// Bytes written.
    pub len: u32,
}

/// A descriptor of a packed queue (VIRTIO 1.4 §2.8.13).
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct PackedDescriptor {
    /// Where the buffer is.
    pub address: u64,
    /// Its bytes.
    pub len: u32,
    /// The buffer id.
    pub id: u16,
    /// As for a split queue, and `AVAIL` and `USED`.
    pub flags: u16,
}

/// Event suppression of a packed queue (VIRTIO 1.4 §2.8.14).
#[repr(C, align(4))]
#[derive(Clone, Copy)]
pub struct Suppression {
    /// Position, with the wrap counter in bit 15.
    pub position: u16,
    /// 0 always, 1 never, 2 at the position.
    pub flags: u16,
}

// The numbers of the specification.
const _: () = assert!(size_of::<SplitDescriptor>() == 16 && size_of::<PackedDescriptor>() == 16);
const _: () = assert!(size_of::<UsedElement>() == 8 && size_of::<Suppression>() == 4);
