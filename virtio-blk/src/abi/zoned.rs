//! Reports of zones (VIRTIO 1.4 §5.2.6).

use core::mem::offset_of;

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `virtio_blk_zone_descriptor`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ZoneDescriptor {
    /// Sectors that can be written.
    pub z_cap: U64,
    /// Its first sector.
    pub z_start: U64,
    /// Its write pointer, a sector.
    pub z_wp: U64,
    /// Its type.
    pub z_type: u8,
    /// Its state.
    pub z_state: u8,
    /// Zero.
    pub reserved: [u8; 38],
}

/// The start of `virtio_blk_zone_report`; descriptors follow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ZoneReport {
    /// How many descriptors follow.
    pub nr_zones: U64,
    /// Zero.
    pub reserved: [u8; 56],
}

/// Bytes of a descriptor.
pub const ZONE_DESCRIPTOR_LEN: usize = 64;
/// Bytes of a report before its descriptors.
pub const ZONE_REPORT_LEN: usize = 64;

const _: () = {
    assert!(size_of::<ZoneDescriptor>() == ZONE_DESCRIPTOR_LEN);
    assert!(offset_of!(ZoneDescriptor, z_cap) == 0);
    assert!(offset_of!(ZoneDescriptor, z_start) == 8);
    assert!(offset_of!(ZoneDescriptor, z_wp) == 16);
    assert!(offset_of!(ZoneDescriptor, z_type) == 24);
    assert!(offset_of!(ZoneDescriptor, z_state) == 25);
    assert!(offset_of!(ZoneDescriptor, reserved) == 26);
    assert!(size_of::<ZoneReport>() == ZONE_REPORT_LEN);
    assert!(offset_of!(ZoneReport, nr_zones) == 0);
    assert!(offset_of!(ZoneReport, reserved) == 8);
};
