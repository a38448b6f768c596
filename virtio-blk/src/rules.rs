//! What a request has to be like: checked before anything is sent (VIRTIO 1.4 §5.2.6.1).

use virtio_core::config::ByteOrder;
use virtio_core::{Error, Features, Misbehaved};

use crate::abi::{
    BlkStatus, DiscardWriteZeroes, F_DISCARD, F_FLUSH, F_LIFETIME, F_SECURE_ERASE, F_WRITE_ZEROES,
    HEADER_LEN, Header, RANGE_LEN, RequestType, UNMAP, header,
};
use crate::error::{BlkError, Operation};
use crate::limits::{Limits, RangeLimits};
use crate::options::DiskOptions;
use crate::payload::Measure;
use crate::ranges::Unmap;
use crate::sector::{SECTOR_SHIFT, SECTOR_SIZE, Sector, SectorRange};

/// A request's data, at most: a multiple of every block size, below what a chain may hold.
const MOST_BYTES: usize = 1 << 30;

/// What of a device decides on its requests. Each queue has its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Sectors.
    pub(crate) capacity: u64,
    /// Bytes of a request's data, at most.
    pub(crate) most: usize,
    /// Bytes of a segment, at most.
    pub(crate) size_max: usize,
    /// Segments of a request, at most: of its data.
    pub(crate) seg_max: usize,
    /// A request that is split ends on a multiple of so many bytes, if it can: a power of two.
    pub(crate) unit: usize,
    /// Bytes of data in the queue's own memory.
    pub(crate) room: usize,
    /// Byte order of headers.
    pub(crate) order: ByteOrder,
    pub(crate) read_only: bool,
    /// What was negotiated.
    pub(crate) features: Features,
    pub(crate) discard: RangeLimits,
    pub(crate) write_zeroes: RangeLimits,
    pub(crate) secure_erase: RangeLimits,
    /// Sectors of a zone; 0 if there are none.
    pub(crate) zone_sectors: u64,
    /// Bytes that what is written is a multiple of; 0 if there are no zones.
    pub(crate) granularity: u32,
}

/// Limits of what is not offered.
const NO_RANGES: RangeLimits = RangeLimits { max_sectors: 0, max_ranges: 0, alignment: 1 };

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Rules {
    pub(crate) fn new(
        capacity: u64,
        limits: &Limits,
        features: Features,
        order: ByteOrder,
        options: &DiskOptions,
        queue_size: u16,
    ) -> Self {
        let legacy = !features.contains(Features::VERSION_1);
        let size_max = limits.size_max.map_or(usize::MAX, to_usize);
        // Header and status are no segments of SEG_MAX, but they are of the queue.
        let fits = usize::from(queue_size).saturating_sub(2).max(1);
        let seg_max = limits.seg_max.map_or(usize::MAX, to_usize).min(fits);
        let most = size_max.saturating_mul(seg_max).min(MOST_BYTES) & !(SECTOR_SIZE - 1);
        let granularity = limits.zones.map_or(0, |zones| zones.write_granularity);
        let unit = to_usize(limits.block_size.max(granularity));
        let unit = if unit <= most { unit } else { SECTOR_SIZE };
        Self {
            capacity,
            most: most & !(unit - 1),
            size_max,
            seg_max,
            unit,
            // A header or a status is in the same segment.
            room: options.room.min(size_max.saturating_sub(HEADER_LEN) & !(SECTOR_SIZE - 1)),
            order: if legacy { order } else { ByteOrder::Little },
            read_only: options.read_only || features.contains(crate::abi::F_RO),
            features,
            discard: limits.discard.unwrap_or(NO_RANGES),
            write_zeroes: limits.write_zeroes.unwrap_or(NO_RANGES),
            secure_erase: limits.secure_erase.unwrap_or(NO_RANGES),
            zone_sectors: limits.zones.map_or(0, |zones| zones.zone_sectors.into()),
            granularity,
        }
    }

    /// The header of a request. By value: it is copied into the queue's memory.
    #[inline]
    pub(crate) fn header(&self, kind: RequestType, sector: Sector) -> Header {
        header(kind, sector.0, self.order)
    }

    /// Whether sectors lie on the disk.
    #[inline]
    pub(crate) fn check_range(&self, range: SectorRange) -> Result<(), BlkError> {
        match range.first.0.checked_add(range.count) {
            Some(end) if end <= self.capacity => Ok(()),
            _ => Err(BlkError::BeyondCapacity { range, capacity: self.capacity }),
        }
    }

    /// Whether so many bytes can be read from `sector` on, in however many requests.
    #[inline]
    pub(crate) fn check_read(&self, sector: Sector, bytes: usize) -> Result<(), BlkError> {
        if bytes & (SECTOR_SIZE - 1) != 0 {
            return Err(BlkError::BadLength { bytes });
        }
        self.check_range(SectorRange::new(sector, bytes as u64 >> SECTOR_SHIFT))
    }

    /// Whether so many bytes can be written from `sector` on, in however many requests.
    #[inline]
    pub(crate) fn check_write(&self, sector: Sector, bytes: usize) -> Result<(), BlkError> {
        if self.read_only {
            return Err(BlkError::ReadOnly);
        }
        self.check_read(sector, bytes)?;
        if self.granularity == 0 { Ok(()) } else { self.check_granularity(sector, bytes) }
    }

    /// Whether a write to a zoned disk is a multiple of what it wants, and where it wants it (VIRTIO 1.4 §5.2.6.1).
    #[cold]
    pub(crate) fn check_granularity(&self, sector: Sector, bytes: usize) -> Result<(), BlkError> {
        let granularity = u64::from(self.granularity);
        let offset = sector.0.saturating_mul(SECTOR_SIZE as u64);
        if offset.checked_rem(granularity).unwrap_or(0) != 0 {
            return Err(BlkError::Misaligned(sector));
        }
        if (bytes as u64).checked_rem(granularity).unwrap_or(0) != 0 {
            return Err(BlkError::BadLength { bytes });
        }
        Ok(())
    }

    /// How many bytes behind the start of a unit `sector` is.
    pub(crate) fn skew(&self, sector: Sector) -> usize {
        let [a, b, c, d, ..] = sector.0.wrapping_mul(SECTOR_SIZE as u64).to_le_bytes();
        to_usize(u32::from_le_bytes([a, b, c, d])) & self.unit.wrapping_sub(1)
    }

    /// Bytes that a request from `sector` on may have, at most.
    #[inline]
    pub(crate) fn most_from(&self, sector: Sector) -> usize {
        if self.zone_sectors == 0 { self.most } else { self.most_in_zone(sector) }
    }

    #[cold]
    fn most_in_zone(&self, sector: Sector) -> usize {
        let inside = sector.0.checked_rem(self.zone_sectors).unwrap_or(0);
        let bytes = self.zone_sectors.saturating_sub(inside).saturating_mul(SECTOR_SIZE as u64);
        usize::try_from(bytes).unwrap_or(usize::MAX).min(self.most)
    }

    /// Whether data is one request.
    #[inline]
    pub(crate) fn is_one(&self, sector: Sector, data: &Measure) -> bool {
        data.bytes <= self.most_from(sector) && data.pieces <= self.seg_max && data.longest <= self.size_max
    }

    /// Whether owned buffers are one request, and say something.
    #[inline]
    pub(crate) fn check_owned(&self, sector: Sector, data: &Measure) -> Result<(), BlkError> {
        if data.bytes == 0 {
            return Err(BlkError::BadLength { bytes: 0 });
        }
        if self.is_one(sector, data) { Ok(()) } else { Err(self.why_not_one(sector, data)) }
    }

    #[cold]
    fn why_not_one(&self, sector: Sector, data: &Measure) -> BlkError {
        if data.bytes > self.most {
            BlkError::TooLong { bytes: data.bytes, most: self.most }
        } else if data.bytes > self.most_from(sector) {
            BlkError::CrossesZones(SectorRange::new(sector, data.bytes as u64 >> SECTOR_SHIFT))
        } else {
            BlkError::TooManyPieces
        }
    }

    /// Whether the device has offered that.
    pub(crate) fn check_feature(&self, feature: Features, operation: Operation) -> Result<(), BlkError> {
        if self.features.contains(feature) { Ok(()) } else { Err(BlkError::Unsupported(operation)) }
    }

    pub(crate) fn check_flush(&self) -> Result<(), BlkError> {
        self.check_feature(F_FLUSH, Operation::Flush)
    }

    pub(crate) fn check_lifetime(&self) -> Result<(), BlkError> {
        self.check_feature(F_LIFETIME, Operation::Lifetime)
    }

    /// Whether data may lie in the queue's own memory, beside a header or a status.
    pub(crate) fn check_layout(&self) -> Result<(), BlkError> {
        if self.room == 0 {
            let size_max = u32::try_from(self.size_max).unwrap_or(u32::MAX);
            return Err(BlkError::SegmentsTooSmall { size_max, seg_max: 1 });
        }
        Ok(())
    }

    /// Whether `ranges` can be erased and so on; answers with what limits.
    pub(crate) fn check_ranges(
        &self,
        command: RangeCommand,
        ranges: &[SectorRange],
    ) -> Result<RangeLimits, BlkError> {
        let (feature, operation, limits) = match command {
            RangeCommand::Discard => (F_DISCARD, Operation::Discard, self.discard),
            RangeCommand::WriteZeroes(_) => (F_WRITE_ZEROES, Operation::WriteZeroes, self.write_zeroes),
            RangeCommand::SecureErase => (F_SECURE_ERASE, Operation::SecureErase, self.secure_erase),
        };
        self.check_feature(feature, operation)?;
        if self.read_only {
            return Err(BlkError::ReadOnly);
        }
        for range in ranges {
            self.check_range(*range)?;
            if self.zone_sectors != 0 && command == RangeCommand::SecureErase {
                let zones = |sectors: u64| sectors.checked_rem(self.zone_sectors) == Some(0);
                if !zones(range.count) || !zones(range.first.0) {
                    return Err(BlkError::Misaligned(range.first));
                }
            }
        }
        Ok(limits)
    }

    /// The ranges of one request, as they are sent: as many as there are places in `wire`.
    pub(crate) fn one_request_of<'w>(
        &self,
        command: RangeCommand,
        ranges: &[SectorRange],
        wire: &'w mut [DiscardWriteZeroes],
    ) -> Result<&'w [DiscardWriteZeroes], BlkError> {
        let limits = self.check_ranges(command, ranges)?;
        let rooms = to_usize(limits.max_ranges).min(self.room / RANGE_LEN).min(wire.len());
        // A range of no sectors says nothing, and a device may take it for an error.
        let ranges = ranges.iter().filter(|range| range.count > 0);
        let len = ranges.clone().count();
        if len == 0 {
            return Err(BlkError::BadLength { bytes: 0 });
        }
        let Some(wire) = wire.get_mut(..len).filter(|wire| wire.len() <= rooms) else {
            return Err(BlkError::TooManyRanges { ranges: len, most: rooms });
        };
        for (place, range) in wire.iter_mut().zip(ranges) {
            let count = u32::try_from(range.count).ok().filter(|count| *count <= limits.max_sectors);
            let Some(count) = count else {
                return Err(BlkError::RangeTooLong { range: *range, most: limits.max_sectors });
            };
            *place = command.wire(range.first, count);
        }
        Ok(wire)
    }
}

/// A command that takes ranges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RangeCommand {
    Discard,
    WriteZeroes(Unmap),
    SecureErase,
}

impl RangeCommand {
    pub(crate) const fn kind(self) -> RequestType {
        match self {
            Self::Discard => RequestType::DISCARD,
            Self::WriteZeroes(_) => RequestType::WRITE_ZEROES,
            Self::SecureErase => RequestType::SECURE_ERASE,
        }
    }

    /// A range, as it is sent.
    pub(crate) fn wire(self, first: Sector, count: u32) -> DiscardWriteZeroes {
        let flags = if self == Self::WriteZeroes(Unmap::Allow) { UNMAP } else { 0 };
        DiscardWriteZeroes { sector: first.0.into(), num_sectors: count.into(), flags: flags.into() }
    }
}

/// What became of a request whose answer ends in a status. It counts only if what the device says it wrote reaches that far
/// (`copied`); if not, `lengths` says how much it wrote, and how much it had to.
#[inline]
pub(crate) fn judge(
    copied: bool,
    status: u8,
    lengths: impl FnOnce() -> (u32, usize),
) -> Result<(), BlkError> {
    if !copied {
        return Err(short(lengths()));
    }
    let status = BlkStatus::new(status);
    if status == BlkStatus::OK { Ok(()) } else { Err(BlkError::Status(status)) }
}

#[cold]
fn short((written, needed): (u32, usize)) -> BlkError {
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    Error::from(Misbehaved::ShortAnswer { written, needed }).into()
}
