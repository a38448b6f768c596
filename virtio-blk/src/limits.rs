//! What a device says about itself, checked (VIRTIO 1.4 §5.2.4).

use virtio_core::config::Config;
use virtio_core::{Error, Features, Transport};

use crate::abi::{
    BlkConfig, F_BLK_SIZE, F_DISCARD, F_GEOMETRY, F_MQ, F_SECURE_ERASE, F_SEG_MAX, F_SIZE_MAX, F_TOPOLOGY,
    F_WRITE_ZEROES, F_ZONED,
};
use crate::error::BlkError;
use crate::sector::{SECTOR_SHIFT, SECTOR_SIZE};
use crate::zones::{ZoneLimits, ZoneModel};

/// A segment's length where the device says 0: a page, as it must have meant something.
const LEAST_SIZE_MAX: u32 = 4096;

/// Cylinders, heads and sectors, for who needs them (an old boot loader). The capacity does not follow from them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads.
    pub heads: u8,
    /// Sectors of a track.
    pub sectors: u8,
}

/// What suits a disk, in blocks of [`Limits::block_size`]. Hints: nothing else is forbidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Topology {
    /// Blocks of a physical block, as a power of two: the disk reads and writes so many at once.
    pub physical_block_exp: u8,
    /// The number of the first block that lies at the start of a physical one.
    pub alignment_offset: u8,
    /// The least that is not wasteful; 0 if the device does not say.
    pub min_io_size: u16,
    /// The best length; 0 if the device does not say.
    pub opt_io_size: u32,
}

/// How much one request may discard, zero or erase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RangeLimits {
    /// Sectors of a range, at most; at least 1.
    pub max_sectors: u32,
    /// Ranges of a request, at most; at least 1.
    pub max_ranges: u32,
    /// Sectors to which the ends of ranges are best aligned; at least 1.
    pub alignment: u32,
}

/// What a disk is like, and what it takes (VIRTIO 1.4 §5.2.4): read once, and checked. Its capacity, which may change, is
/// [`Disk::capacity`](crate::Disk::capacity).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a block: a power of two, at least 512. What is read and written is best aligned to it. 512 if the device does
    /// not say.
    pub block_size: u32,
    /// Bytes of a segment, at most, if the device says. Requests are split accordingly.
    pub size_max: Option<u32>,
    /// Segments of a request, at most, if the device says. Requests are split accordingly.
    pub seg_max: Option<u32>,
    /// Cylinders, heads and sectors, if the device says and none is 0.
    pub geometry: Option<Geometry>,
    /// What suits the disk, if the device says, and it makes sense.
    pub topology: Option<Topology>,
    /// The queues that the device has; at least 1.
    pub queues: u16,
    /// How much can be discarded at once, if anything.
    pub discard: Option<RangeLimits>,
    /// How much can be zeroed at once, if anything.
    pub write_zeroes: Option<RangeLimits>,
    /// How much can be erased at once, if anything.
    pub secure_erase: Option<RangeLimits>,
    /// The disk's zones, if it was opened with [`Zones::Use`](crate::Zones::Use) and has any.
    pub zones: Option<ZoneLimits>,
}

/// Everything as it is in the configuration space; 0 for what is not there.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Raw {
    pub(crate) capacity: u64,
    size_max: u32,
    seg_max: u32,
    geometry: (u16, u8, u8),
    blk_size: u32,
    topology: (u8, u8, u16, u32),
    queues: u16,
    discard: [u32; 3],
    write_zeroes: [u32; 2],
    secure_erase: [u32; 3],
    zones: [u32; 5],
    zone_model: u8,
}

impl Raw {
    /// Reads what `features` say is there, all of one state of the device.
    pub(crate) fn read<T: Transport>(config: &Config<'_, T>, features: Features) -> Result<Self, Error> {
        config.consistent(|config| Self::read_once(config, features))
    }

    fn read_once<T: Transport>(config: &Config<'_, T>, features: Features) -> Result<Self, Error> {
        let has = |feature| features.contains(feature);
        let mut raw = Self { capacity: config.get(BlkConfig::CAPACITY)?, ..Self::default() };
        if has(F_SIZE_MAX) {
            raw.size_max = config.get(BlkConfig::SIZE_MAX)?;
        }
        if has(F_SEG_MAX) {
            raw.seg_max = config.get(BlkConfig::SEG_MAX)?;
        }
        if has(F_GEOMETRY) {
            raw.geometry = (
                config.get(BlkConfig::CYLINDERS)?,
                config.get(BlkConfig::HEADS)?,
                config.get(BlkConfig::SECTORS)?,
            );
        }
        if has(F_BLK_SIZE) {
            raw.blk_size = config.get(BlkConfig::BLK_SIZE)?;
        }
        if has(F_TOPOLOGY) {
            raw.topology = (
                config.get(BlkConfig::PHYSICAL_BLOCK_EXP)?,
                config.get(BlkConfig::ALIGNMENT_OFFSET)?,
                config.get(BlkConfig::MIN_IO_SIZE)?,
                config.get(BlkConfig::OPT_IO_SIZE)?,
            );
        }
        if has(F_MQ) {
            raw.queues = config.get(BlkConfig::NUM_QUEUES)?;
        }
        if has(F_DISCARD) {
            raw.discard = [
                config.get(BlkConfig::MAX_DISCARD_SECTORS)?,
                config.get(BlkConfig::MAX_DISCARD_SEG)?,
                config.get(BlkConfig::DISCARD_SECTOR_ALIGNMENT)?,
            ];
        }
        if has(F_WRITE_ZEROES) {
            raw.write_zeroes = [
                config.get(BlkConfig::MAX_WRITE_ZEROES_SECTORS)?,
                config.get(BlkConfig::MAX_WRITE_ZEROES_SEG)?,
            ];
        }
        if has(F_SECURE_ERASE) {
            raw.secure_erase = [
                config.get(BlkConfig::MAX_SECURE_ERASE_SECTORS)?,
                config.get(BlkConfig::MAX_SECURE_ERASE_SEG)?,
                config.get(BlkConfig::SECURE_ERASE_SECTOR_ALIGNMENT)?,
            ];
        }
        if has(F_ZONED) {
            raw.zones = [
                config.get(BlkConfig::ZONE_SECTORS)?,
                config.get(BlkConfig::MAX_OPEN_ZONES)?,
                config.get(BlkConfig::MAX_ACTIVE_ZONES)?,
                config.get(BlkConfig::MAX_APPEND_SECTORS)?,
                config.get(BlkConfig::WRITE_GRANULARITY)?,
            ];
            raw.zone_model = config.get(BlkConfig::ZONE_MODEL)?;
        }
        Ok(raw)
    }

    /// The same, checked.
    pub(crate) fn check(&self, features: Features) -> Result<Limits, BlkError> {
        let has = |feature| features.contains(feature);
        check_capacity(self.capacity)?;
        let block_size = if has(F_BLK_SIZE) { self.blk_size } else { 512 };
        if !block_size.is_power_of_two() || block_size < 512 {
            return Err(BlkError::BadBlockSize(block_size));
        }
        // 0 cannot be meant: a request has at least one segment.
        let size_max = if self.size_max == 0 { LEAST_SIZE_MAX } else { self.size_max };
        let size_max = has(F_SIZE_MAX).then_some(size_max);
        let seg_max = has(F_SEG_MAX).then_some(self.seg_max.max(1));
        if let (Some(size_max), Some(seg_max)) = (size_max, seg_max) {
            if u64::from(size_max).saturating_mul(seg_max.into()) < SECTOR_SIZE as u64 {
                return Err(BlkError::SegmentsTooSmall { size_max, seg_max });
            }
        }
        let (cylinders, heads, sectors) = self.geometry;
        let geometry =
            (cylinders != 0 && heads != 0 && sectors != 0).then_some(Geometry { cylinders, heads, sectors });
        let (physical_block_exp, alignment_offset, min_io_size, opt_io_size) = self.topology;
        // A physical block that cannot be counted in bytes is none: without the hints, a disk is as good.
        let countable = block_size.leading_zeros() > u32::from(physical_block_exp);
        let topology = (has(F_TOPOLOGY) && countable).then_some(Topology {
            physical_block_exp,
            alignment_offset,
            min_io_size,
            opt_io_size,
        });
        let [zeroed, zeroes] = self.write_zeroes;
        let zones =
            if has(F_ZONED) { ZoneLimits::check(self.zones, ZoneModel::new(self.zone_model))? } else { None };
        Ok(Limits {
            block_size,
            size_max,
            seg_max,
            geometry,
            topology,
            // Every disk has the first queue, whatever it says.
            queues: self.queues.max(1),
            discard: has(F_DISCARD).then(|| RangeLimits::new(self.discard)),
            write_zeroes: has(F_WRITE_ZEROES).then(|| RangeLimits::new([zeroed, zeroes, 1])),
            secure_erase: has(F_SECURE_ERASE).then(|| RangeLimits::new(self.secure_erase)),
            zones,
        })
    }
}

/// A capacity whose last byte can be counted.
pub(crate) const fn check_capacity(sectors: u64) -> Result<u64, BlkError> {
    if sectors <= u64::MAX >> SECTOR_SHIFT { Ok(sectors) } else { Err(BlkError::BadCapacity(sectors)) }
}

impl RangeLimits {
    /// Of sectors, ranges and alignment. 0 sectors is no limit, as devices that have none say; 0 ranges is 1, for the command is
    /// offered; 0 for the alignment is none.
    fn new([sectors, ranges, alignment]: [u32; 3]) -> Self {
        Self {
            max_sectors: if sectors == 0 { u32::MAX } else { sectors },
            max_ranges: ranges.max(1),
            alignment: alignment.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_named() {
        let block = |blk_size| Raw { blk_size, ..Raw::default() }.check(F_BLK_SIZE);
        for good in [512, 1024, 4096, 1 << 31] {
            assert_eq!(block(good).unwrap().block_size, good);
        }
        for bad in [0, 1, 256, 511, 513, 4095, u32::MAX] {
            assert_eq!(block(bad), Err(BlkError::BadBlockSize(bad)));
        }
        // Without the feature the field means nothing.
        assert_eq!(Raw { blk_size: 3, ..Raw::default() }.check(Features::empty()).unwrap().block_size, 512);

        for (capacity, good) in [(0, true), (u64::MAX >> 9, true), (1 << 55, false), (u64::MAX, false)] {
            let outcome = Raw { capacity, ..Raw::default() }.check(Features::empty());
            assert_eq!(outcome.is_ok(), good);
            if !good {
                assert_eq!(outcome, Err(BlkError::BadCapacity(capacity)));
            }
        }
    }

    #[test]
    fn segments_hold_a_sector() {
        let both = F_SIZE_MAX | F_SEG_MAX;
        let check = |size_max, seg_max| Raw { size_max, seg_max, ..Raw::default() }.check(both);
        let told =
            |size_max, seg_max| check(size_max, seg_max).map(|limits| (limits.size_max, limits.seg_max));
        assert_eq!(told(0, 0), Ok((Some(4096), Some(1))));
        assert_eq!(told(512, 1), Ok((Some(512), Some(1))));
        assert_eq!(told(256, 2), Ok((Some(256), Some(2))));
        assert_eq!(told(u32::MAX, u32::MAX), Ok((Some(u32::MAX), Some(u32::MAX))));
        assert_eq!(told(511, 1), Err(BlkError::SegmentsTooSmall { size_max: 511, seg_max: 1 }));
        assert_eq!(told(1, 2), Err(BlkError::SegmentsTooSmall { size_max: 1, seg_max: 2 }));
    }

    #[test]
    fn hints_that_make_no_sense_are_dropped() {
        let topology = |exp| {
            let raw = Raw { topology: (exp, 0, 1, 8), blk_size: 4096, ..Raw::default() };
            raw.check(F_TOPOLOGY | F_BLK_SIZE).unwrap().topology
        };
        assert_eq!(topology(3).unwrap().opt_io_size, 8);
        assert!(topology(18).is_some());
        assert!(topology(20).is_none());
        assert!(topology(255).is_none());
        let geometry = |geometry| Raw { geometry, ..Raw::default() }.check(F_GEOMETRY).unwrap().geometry;
        assert_eq!(geometry((3, 2, 1)), Some(Geometry { cylinders: 3, heads: 2, sectors: 1 }));
        assert_eq!(geometry((3, 0, 1)), None);
    }

    #[test]
    fn limits_of_zero_are_none_or_the_least() {
        let features = F_DISCARD | F_WRITE_ZEROES | F_SECURE_ERASE | F_MQ;
        let none = Raw::default().check(features).unwrap();
        let least = Some(RangeLimits { max_sectors: u32::MAX, max_ranges: 1, alignment: 1 });
        assert_eq!((none.discard, none.write_zeroes, none.secure_erase), (least, least, least));
        assert_eq!(none.queues, 1);
        let raw = Raw { discard: [8, 2, 4], queues: 7, ..Raw::default() };
        let some = raw.check(features).unwrap();
        assert_eq!(some.discard, Some(RangeLimits { max_sectors: 8, max_ranges: 2, alignment: 4 }));
        assert_eq!(some.queues, 7);
        assert_eq!(raw.check(Features::empty()).unwrap().discard, None);
    }
}
