//! Requests: a header, data, and a status behind them (VIRTIO 1.4 §5.2.6).

use core::fmt;
use core::mem::offset_of;
use core::ops::Deref;

use virtio_core::config::ByteOrder;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a request asks for (VIRTIO 1.4 §5.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestType(u32);

// true by construction: blk.op.legacy.3 — FLUSH_OUT, 5, has no name here, and numbers come from names only
impl RequestType {
    /// Read.
    pub const IN: Self = Self(0);
    /// Write.
    pub const OUT: Self = Self(1);
    /// Commit what the cache holds.
    pub const FLUSH: Self = Self(4);
    /// Tell the name of the disk.
    pub const GET_ID: Self = Self(8);
    /// Tell the wear of the storage.
    pub const GET_LIFETIME: Self = Self(10);
    /// Discard sectors.
    pub const DISCARD: Self = Self(11);
    /// Write zeroes.
    pub const WRITE_ZEROES: Self = Self(13);
    /// Erase for good.
    pub const SECURE_ERASE: Self = Self(14);
    /// Write at a zone's write pointer.
    pub const ZONE_APPEND: Self = Self(15);
    /// Tell of zones.
    pub const ZONE_REPORT: Self = Self(16);
    /// Open a zone.
    pub const ZONE_OPEN: Self = Self(18);
    /// Close a zone.
    pub const ZONE_CLOSE: Self = Self(20);
    /// Fill a zone up.
    pub const ZONE_FINISH: Self = Self(22);
    /// Empty a zone.
    pub const ZONE_RESET: Self = Self(24);
    /// Empty all zones.
    pub const ZONE_RESET_ALL: Self = Self(26);

    /// Its number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for RequestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestType({})", self.0)
    }
}

/// How a request ended, in the device's words (VIRTIO 1.4 §5.2.6). Values without a name are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BlkStatus(u8);

impl BlkStatus {
    /// It was done.
    pub const OK: Self = Self(0);
    /// The device or the driver is at fault.
    pub const IOERR: Self = Self(1);
    /// The device does not know the request.
    pub const UNSUPP: Self = Self(2);
    /// A zone is not in a state for it.
    pub const ZONE_INVALID_CMD: Self = Self(3);
    /// A write that is not at the zone's write pointer.
    pub const ZONE_UNALIGNED_WP: Self = Self(4);
    /// Too many open zones.
    pub const ZONE_OPEN_RESOURCE: Self = Self(5);
    /// Too many active zones.
    pub const ZONE_ACTIVE_RESOURCE: Self = Self(6);
    /// What is in the status's place before the device has written it: a value that the specification does not have.
    pub const UNWRITTEN: Self = Self(0xff);

    /// The status of this value.
    #[must_use]
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// Its value on the wire.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The name that the specification has for it.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::OK => "OK",
            Self::IOERR => "IOERR",
            Self::UNSUPP => "UNSUPP",
            Self::ZONE_INVALID_CMD => "ZONE_INVALID_CMD",
            Self::ZONE_UNALIGNED_WP => "ZONE_UNALIGNED_WP",
            Self::ZONE_OPEN_RESOURCE => "ZONE_OPEN_RESOURCE",
            Self::ZONE_ACTIVE_RESOURCE => "ZONE_ACTIVE_RESOURCE",
            _ => return None,
        })
    }
}

impl fmt::Display for BlkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "unknown status {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for BlkStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlkStatus({self})")
    }
}

/// Bytes of a header: type, reserved, sector.
pub(crate) const HEADER_LEN: usize = 16;
/// Bytes of a disk's name.
pub(crate) const ID_LEN: usize = 20;
/// Bytes of an answer to `GET_LIFETIME`.
pub(crate) const LIFETIME_LEN: usize = 6;
/// Bytes of a range to discard.
pub(crate) const RANGE_LEN: usize = 16;
/// Flag of a range: what is zeroed may be unmapped.
pub(crate) const UNMAP: u32 = 1;

/// The header of a request: three numbers in device order. By value: it is copied to its place, and never lives anywhere
/// else. Aligned, for it is copied by words then.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Header([u8; HEADER_LEN]);

impl Deref for Header {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The header of a request for `sector`.
#[inline]
pub(crate) fn header(kind: RequestType, sector: u64, order: ByteOrder) -> Header {
    let (kind, sector) = match order {
        ByteOrder::Little => (u64::from(kind.0).to_le_bytes(), sector.to_le_bytes()),
        // Two numbers of 32 bits: the second one is zero.
        ByteOrder::Native => {
            let [a, b, c, d] = kind.0.to_ne_bytes();
            ([a, b, c, d, 0, 0, 0, 0], sector.to_ne_bytes())
        }
    };
    let [a, b, c, d, e, f, g, h] = kind;
    let [i, j, k, l, m, n, o, p] = sector;
    Header([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}

/// `virtio_blk_discard_write_zeroes`: a range to discard, zero or erase.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DiscardWriteZeroes {
    /// Its first sector.
    pub(crate) sector: U64,
    /// Its length in sectors.
    pub(crate) num_sectors: U32,
    /// [`UNMAP`] or 0.
    pub(crate) flags: U32,
}

const _: () = {
    assert!(size_of::<DiscardWriteZeroes>() == RANGE_LEN);
    assert!(offset_of!(DiscardWriteZeroes, sector) == 0);
    assert!(offset_of!(DiscardWriteZeroes, num_sectors) == 8);
    assert!(offset_of!(DiscardWriteZeroes, flags) == 12);
};

#[cfg(test)]
mod tests {
    use super::*;

    // shows: blk.op.legacy.1
    #[test]
    fn headers_are_in_device_order() {
        let little = header(RequestType::OUT, 0x0102_0304_0506_0708, ByteOrder::Little);
        assert_eq!(*little, [1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        let native = header(RequestType::OUT, 0x0102_0304_0506_0708, ByteOrder::Native);
        assert_eq!(native[..4], 1_u32.to_ne_bytes());
        assert_eq!(native[4..8], [0; 4]);
        assert_eq!(native[8..], 0x0102_0304_0506_0708_u64.to_ne_bytes());
    }

    #[test]
    fn statuses_have_names_or_values() {
        extern crate alloc;
        use alloc::string::ToString;
        assert_eq!(BlkStatus::IOERR.to_string(), "IOERR");
        assert_eq!(BlkStatus::new(0x42).to_string(), "unknown status 0x42");
        assert_eq!(BlkStatus::UNWRITTEN.name(), None);
    }
}
