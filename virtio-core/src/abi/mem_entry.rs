//! The address-bearing entry by which a device is told of attached memory (VIRTIO 1.4 §5.7.6.8).

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `virtio_gpu_mem_entry` (VIRTIO 1.4 §5.7.6.8): one contiguous stretch of backing memory. Little-endian on every device
/// that has it.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MemEntry {
    /// Where the device sees the stretch.
    pub addr: U64,
    /// Its length in bytes.
    pub length: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<MemEntry>() == 16);
    assert!(offset_of!(MemEntry, addr) == 0);
    assert!(offset_of!(MemEntry, length) == 8);
    assert!(offset_of!(MemEntry, padding) == 12);
};
