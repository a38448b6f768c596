//! Feature bits (VIRTIO 1.4 §5.2.3). The legacy ones, BARRIER (0) and SCSI (7), are never accepted.

use virtio_core::Features;

/// The most bytes of a segment are told.
pub const F_SIZE_MAX: Features = Features::bit(1);
/// The most segments of a request are told.
pub const F_SEG_MAX: Features = Features::bit(2);
/// Cylinders, heads and sectors are told.
pub const F_GEOMETRY: Features = Features::bit(4);
/// The disk is read-only.
pub const F_RO: Features = Features::bit(5);
/// The block size is told.
pub const F_BLK_SIZE: Features = Features::bit(6);
/// The cache can be flushed.
pub const F_FLUSH: Features = Features::bit(9);
/// Alignment and lengths that suit the disk are told.
pub const F_TOPOLOGY: Features = Features::bit(10);
/// The cache can be switched between writeback and writethrough.
pub const F_CONFIG_WCE: Features = Features::bit(11);
/// There may be several queues.
pub const F_MQ: Features = Features::bit(12);
/// Sectors can be discarded.
pub const F_DISCARD: Features = Features::bit(13);
/// Zeroes can be written without sending them.
pub const F_WRITE_ZEROES: Features = Features::bit(14);
/// The wear of the storage is told.
pub const F_LIFETIME: Features = Features::bit(15);
/// Sectors can be erased for good.
pub const F_SECURE_ERASE: Features = Features::bit(16);
/// The disk may have zones.
pub const F_ZONED: Features = Features::bit(17);

/// The name of a feature bit of the device type.
#[must_use]
pub const fn feature_name(bit: u32) -> Option<&'static str> {
    Some(match bit {
        0 => "BARRIER",
        1 => "SIZE_MAX",
        2 => "SEG_MAX",
        4 => "GEOMETRY",
        5 => "RO",
        6 => "BLK_SIZE",
        7 => "SCSI",
        9 => "FLUSH",
        10 => "TOPOLOGY",
        11 => "CONFIG_WCE",
        12 => "MQ",
        13 => "DISCARD",
        14 => "WRITE_ZEROES",
        15 => "LIFETIME",
        16 => "SECURE_ERASE",
        17 => "ZONED",
        _ => return None,
    })
}

const _: () = {
    assert!(F_SIZE_MAX.bits() == 1 << 1);
    assert!(F_SEG_MAX.bits() == 1 << 2);
    assert!(F_GEOMETRY.bits() == 1 << 4);
    assert!(F_RO.bits() == 1 << 5);
    assert!(F_BLK_SIZE.bits() == 1 << 6);
    assert!(F_FLUSH.bits() == 1 << 9);
    assert!(F_TOPOLOGY.bits() == 1 << 10);
    assert!(F_CONFIG_WCE.bits() == 1 << 11);
    assert!(F_MQ.bits() == 1 << 12);
    assert!(F_DISCARD.bits() == 1 << 13);
    assert!(F_WRITE_ZEROES.bits() == 1 << 14);
    assert!(F_LIFETIME.bits() == 1 << 15);
    assert!(F_SECURE_ERASE.bits() == 1 << 16);
    assert!(F_ZONED.bits() == 1 << 17);
};
