//! Discarding, zeroing and erasing (VIRTIO 1.4 §5.2.6).

use virtio_core::config::ByteOrder;
use virtio_core::queue::Slices;
use virtio_core::{Hal, Transport};
use zerocopy::IntoBytes;

use crate::abi::{BlkConfig, DiscardWriteZeroes, F_WRITE_ZEROES, RequestType};
use crate::device::Disk;
use crate::error::{BlkError, RangesError};
use crate::limits::RangeLimits;
use crate::payload::Payload;
use crate::rules::RangeCommand;
use crate::sector::{Sector, SectorRange};

/// Ranges of one request, at most.
pub(crate) const RANGES: usize = 16;

/// Whether sectors that are zeroed may lose their place in the storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unmap {
    /// They keep it.
    Keep,
    /// They may lose it, as if they had been discarded; they read as zeroes all the same.
    Allow,
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// Tells the disk that what is in these sectors is not needed any more. What reading them brings afterwards may be
    /// anything. What is too much for one request is several, one after the other.
    ///
    /// # Errors
    /// [`BlkError::Unsupported`], [`BlkError::ReadOnly`], [`BlkError::BeyondCapacity`]: nothing was sent. Otherwise as for
    /// [`Disk::read`].
    // true by construction: blk.op.15 — what is read comes from the device, each time
    pub fn discard(&mut self, ranges: &[SectorRange]) -> Result<(), RangesError> {
        self.ranges(RangeCommand::Discard, ranges)
    }

    /// Has these sectors read as zeroes, without sending any.
    ///
    /// # Errors
    /// As for [`Disk::discard`].
    pub fn write_zeroes(&mut self, ranges: &[SectorRange], unmap: Unmap) -> Result<(), RangesError> {
        self.ranges(RangeCommand::WriteZeroes(unmap), ranges)
    }

    /// Erases these sectors so that nobody can restore them, copies that the storage has made included.
    ///
    /// # Errors
    /// As for [`Disk::discard`]; [`BlkError::Misaligned`] for parts of zones.
    pub fn secure_erase(&mut self, ranges: &[SectorRange]) -> Result<(), RangesError> {
        self.ranges(RangeCommand::SecureErase, ranges)
    }

    /// Whether [`Unmap::Allow`] makes a difference: if not, zeroing frees no storage. It may change.
    ///
    /// # Errors
    /// [`BlkError::Core`].
    pub fn zeroing_may_unmap(&self) -> Result<bool, BlkError> {
        Ok(self.features().contains(F_WRITE_ZEROES)
            && self.device.config(ByteOrder::Native)?.get(BlkConfig::WRITE_ZEROES_MAY_UNMAP)? != 0)
    }

    fn ranges(&mut self, command: RangeCommand, ranges: &[SectorRange]) -> Result<(), RangesError> {
        let limits = self.rules.check_ranges(command, ranges);
        let limits = limits.map_err(|error| RangesError { error, done: 0 })?;
        let at_once = usize::try_from(limits.max_ranges).unwrap_or(usize::MAX).min(RANGES);
        let mut parts = ranges.iter().flat_map(|range| Parts { rest: *range, limits });
        let mut done = 0_u64;
        loop {
            let (mut wire, mut used, mut sectors) = ([DiscardWriteZeroes::default(); RANGES], 0, 0);
            for (place, (first, count)) in wire.iter_mut().take(at_once).zip(&mut parts) {
                *place = command.wire(first, count);
                (used, sectors) = (used + 1, u64::from(count).saturating_add(sectors));
            }
            if used == 0 {
                return Ok(());
            }
            let wire = wire.get(..used).unwrap_or_default();
            self.request(command.kind(), Sector(0), Slices::to_read(&[wire.as_bytes()]), 0)
                .map_err(|error| RangesError { error, done })?;
            done = done.saturating_add(sectors);
        }
    }

    /// Waits until everything whose end was seen before is on persistent storage (VIRTIO 1.4 §5.2.6.2).
    ///
    /// # Errors
    /// [`BlkError::Unsupported`] if the device has no such command, which says nothing about its cache: see
    /// [`Disk::cache_mode`]. Otherwise as for [`Disk::read`].
    pub fn flush(&mut self) -> Result<(), BlkError> {
        self.rules.check_flush()?;
        self.request(RequestType::FLUSH, Sector(0), Slices::to_read(&[]), 0)
    }
}

/// A range, in parts of as many sectors as a request may have in one. They end at the alignment that suits the disk, if they
/// can.
struct Parts {
    rest: SectorRange,
    limits: RangeLimits,
}

impl Iterator for Parts {
    type Item = (Sector, u32);

    fn next(&mut self) -> Option<(Sector, u32)> {
        let SectorRange { first, count } = self.rest;
        let most = u64::from(self.limits.max_sectors);
        let len = if count <= most {
            count
        } else {
            let end = first.0.saturating_add(most);
            let beyond = end.checked_rem(self.limits.alignment.into()).unwrap_or(0);
            if beyond < most { most.saturating_sub(beyond) } else { most }
        };
        self.rest = SectorRange::new(Sector(first.0.saturating_add(len)), count.saturating_sub(len));
        Some((first, u32::try_from(len).ok().filter(|len| *len > 0)?))
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn ranges_are_cut_at_their_alignment() {
        let parts = |first, count, max_sectors, alignment| {
            let limits = RangeLimits { max_sectors, max_ranges: 1, alignment };
            let range = SectorRange::new(Sector(first), count);
            let parts = Parts { rest: range, limits };
            parts.map(|(first, count)| (first.0, count)).collect::<Vec<_>>()
        };
        assert_eq!(parts(5, 0, 10, 1), []);
        assert_eq!(parts(5, 10, 10, 8), [(5, 10)]);
        assert_eq!(parts(5, 25, 10, 1), [(5, 10), (15, 10), (25, 5)]);
        assert_eq!(parts(5, 25, 10, 8), [(5, 3), (8, 8), (16, 8), (24, 6)]);
        // One that never can.
        assert_eq!(parts(5, 25, 10, 64), [(5, 10), (15, 10), (25, 5)]);
        assert_eq!(
            parts(0, 1 << 33, u32::MAX, 1),
            [(0, u32::MAX), (u64::from(u32::MAX), u32::MAX), (2 * u64::from(u32::MAX), 2)]
        );
    }
}
