//! Split virtqueue layouts (VIRTIO 1.4 §2.7).
//!
//! The ring fields are in device order: little-endian, or the guest's own order on a legacy device (§2.7.3). So the
//! integers here are raw and converted in one place, the ring access.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `virtq_desc` (VIRTIO 1.4 §2.7.5).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub struct Descriptor {
    /// Where the buffer is, as the device sees it.
    pub addr: u64,
    /// Its length in bytes.
    pub len: u32,
    /// `NEXT`, `WRITE`, `INDIRECT`.
    pub flags: u16,
    /// The next descriptor of the chain, with `NEXT`.
    pub next: u16,
}

/// Descriptor flag: the chain goes on at `next` (VIRTIO 1.4 §2.7.5).
pub const DESC_F_NEXT: u16 = 1;
/// Descriptor flag: the device writes this buffer (VIRTIO 1.4 §2.7.5).
pub const DESC_F_WRITE: u16 = 2;
/// Descriptor flag: the buffer is a table of descriptors (VIRTIO 1.4 §2.7.5.3).
pub const DESC_F_INDIRECT: u16 = 4;

/// Available ring flag: no used-buffer interrupts, please (VIRTIO 1.4 §2.7.6).
pub const AVAIL_F_NO_INTERRUPT: u16 = 1;
/// Used ring flag: no available-buffer notifications, please (VIRTIO 1.4 §2.7.8).
pub const USED_F_NO_NOTIFY: u16 = 1;

/// `virtq_used_elem` (VIRTIO 1.4 §2.7.8).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UsedElem {
    /// Head of the chain that was used.
    pub id: u32,
    /// How many bytes the device says it wrote.
    pub len: u32,
}

/// Alignment of the descriptor table (VIRTIO 1.4 §2.7).
pub const DESC_ALIGN: usize = 16;
/// Alignment of the available ring (VIRTIO 1.4 §2.7).
pub const AVAIL_ALIGN: usize = 2;
/// Alignment of the used ring (VIRTIO 1.4 §2.7).
pub const USED_ALIGN: usize = 4;
/// Alignment of the used ring on a legacy device: QEMU and every other device agrees on 4096 (VIRTIO 1.4 §2.7.2).
pub const LEGACY_ALIGN: usize = 4096;

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<Descriptor>() == 16);
    // A descriptor that is not 16-byte aligned never reaches a device: it does not compile.
    assert!(align_of::<Descriptor>() == DESC_ALIGN);
    assert!(offset_of!(Descriptor, addr) == 0);
    assert!(offset_of!(Descriptor, len) == 8);
    assert!(offset_of!(Descriptor, flags) == 12);
    assert!(offset_of!(Descriptor, next) == 14);
    assert!(size_of::<UsedElem>() == 8);
    assert!(align_of::<UsedElem>() == USED_ALIGN);
    assert!(offset_of!(UsedElem, id) == 0);
    assert!(offset_of!(UsedElem, len) == 4);
};
