//! Sectors: what a disk is counted in.

use core::fmt;

/// Bytes of a sector, on every disk: what its blocks are is another matter (VIRTIO 1.4 §5.2.5).
pub const SECTOR_SIZE: usize = 512;
/// The same as a shift.
pub(crate) const SECTOR_SHIFT: u32 = 9;

const _: () = assert!(SECTOR_SIZE == 1 << SECTOR_SHIFT);

// true by construction: blk.op.17 — every address that is sent is one of these, and none is in bytes
/// A place on a disk: the number of a sector of 512 bytes, from 0 on. Not of a block, which may be longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sector(pub u64);

impl Sector {
    /// The sector that starts at byte `offset` of the disk; `None` if none does.
    #[must_use]
    pub const fn from_bytes(offset: u64) -> Option<Self> {
        if offset & (SECTOR_SIZE as u64 - 1) == 0 { Some(Self(offset >> SECTOR_SHIFT)) } else { None }
    }

    /// The sector so many bytes further on, of a transfer that lies on the disk.
    pub(crate) const fn after(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes >> SECTOR_SHIFT))
    }
}

impl fmt::Display for Sector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sectors in a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SectorRange {
    /// The first.
    pub first: Sector,
    /// How many.
    pub count: u64,
}

impl SectorRange {
    /// `count` sectors from `first` on.
    #[must_use]
    pub const fn new(first: Sector, count: u64) -> Self {
        Self { first, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_start_at_multiples_of_512() {
        assert_eq!(Sector::from_bytes(0), Some(Sector(0)));
        assert_eq!(Sector::from_bytes(1024), Some(Sector(2)));
        assert_eq!(Sector::from_bytes(1023), None);
        assert_eq!(Sector::from_bytes(u64::MAX - 511), Some(Sector(u64::MAX >> 9)));
        assert_eq!(Sector(3).after(1024), Sector(5));
    }
}
