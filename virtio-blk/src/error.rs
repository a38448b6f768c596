//! What can go wrong with a disk, and how far it got.

use core::fmt;

use virtio_core::Error;

use crate::abi::BlkStatus;
use crate::cache::CacheMode;
use crate::sector::{Sector, SectorRange};
use crate::zones::ZoneModel;

/// What a disk may be unable to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Operation {
    /// Commit what its cache holds.
    Flush,
    /// Switch its cache.
    SetCacheMode,
    /// Discard sectors.
    Discard,
    /// Write zeroes without being sent them.
    WriteZeroes,
    /// Erase for good.
    SecureErase,
    /// Tell the wear of its storage.
    Lifetime,
    /// Anything with zones.
    Zones,
    /// Append to a zone.
    ZoneAppend,
}

/// Why a disk did not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BlkError {
    /// Queue, transport, platform or caller: see there.
    Core(Error),
    /// The device answers with this status, which is not `OK`. Nothing is known of what it has done
    /// (VIRTIO 1.4 §5.2.6.1).
    Status(BlkStatus),
    /// The caller's mistake: the disk is read-only. Nothing was sent.
    ReadOnly,
    /// The caller's mistake: sectors that the disk does not have. Nothing was sent.
    BeyondCapacity {
        /// The sectors.
        range: SectorRange,
        /// How many the disk has.
        capacity: u64,
    },
    /// The caller's mistake: a length in bytes that is not a multiple of 512, or of what a zoned disk wants, or one of 0 where
    /// there must be something. Nothing was sent.
    BadLength {
        /// The length.
        bytes: usize,
    },
    /// The caller's mistake: more than one request may carry ([`Limits`](crate::Limits)), where none is split. Nothing was sent.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The longest, in bytes.
        most: usize,
    },
    /// The caller's mistake: more buffers, or longer ones, than one request may carry, or so many small ones that a sector
    /// needs more than the device takes. Nothing was sent.
    TooManyPieces,
    /// The caller's mistake: more ranges than one request may carry, where none is split. Nothing was sent.
    TooManyRanges {
        /// How many.
        ranges: usize,
        /// The most.
        most: usize,
    },
    /// The caller's mistake: a range of more sectors than one request may carry, where none is split. Nothing was sent.
    RangeTooLong {
        /// The range.
        range: SectorRange,
        /// The longest.
        most: u32,
    },
    /// The caller's mistake: not where a zone starts, or not a multiple of what a zoned disk wants. Nothing was sent.
    Misaligned(Sector),
    /// The caller's mistake: sectors of more than one zone. Nothing was sent.
    CrossesZones(SectorRange),
    /// The caller's mistake: the device has not offered that. Nothing was sent.
    Unsupported(Operation),
    /// The device misbehaves: a block size that is no power of two, or below 512.
    BadBlockSize(u32),
    /// The device misbehaves: a capacity, in sectors, whose bytes cannot be counted.
    BadCapacity(u64),
    /// The device is incompatible: its largest request is less than a sector.
    SegmentsTooSmall {
        /// Bytes of a segment.
        size_max: u32,
        /// Segments of a request.
        seg_max: u32,
    },
    /// The device is incompatible: it has zones, and the driver was not told to use them ([`Zones`](crate::Zones)).
    Zoned(ZoneModel),
    /// The device misbehaves: zones of no size, or such as no disk can have.
    BadZones,
    /// The device misbehaves: its report of zones makes no sense.
    BadZoneReport,
    /// The device misbehaves: it cannot have put the data where it says.
    BadAppend(Sector),
    /// The device misbehaves: it offers to switch its cache, and does not.
    CacheModeRefused(CacheMode),
    /// The caller's mistake: the bell serves another queue.
    BellTaken,
    /// The caller's mistake: the disk is in use, by a call that this one is made from.
    Busy,
}

impl fmt::Display for BlkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sectors = |range: &SectorRange| (range.first, range.count);
        match self {
            Self::Core(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the device answers {status}"),
            Self::ReadOnly => f.write_str("the request is impossible: the disk is read-only"),
            Self::BeyondCapacity { range, capacity } => {
                let (first, count) = sectors(range);
                write!(f, "the request is impossible: {count} sectors from {first} on a disk of {capacity}")
            }
            Self::BadLength { bytes } => write!(f, "the request is impossible: a length of {bytes} bytes"),
            Self::TooLong { bytes, most } => {
                write!(f, "the request is impossible: {bytes} bytes, where {most} are the most")
            }
            Self::TooManyPieces => {
                f.write_str("the request is impossible: more buffers, or longer ones, than the device takes")
            }
            Self::TooManyRanges { ranges, most } => {
                write!(f, "the request is impossible: {ranges} ranges, where {most} are the most")
            }
            Self::RangeTooLong { range, most } => {
                let count = range.count;
                write!(f, "the request is impossible: a range of {count} sectors, where {most} are the most")
            }
            Self::Misaligned(sector) => {
                write!(f, "the request is impossible: sector {sector} is not aligned as the disk wants it")
            }
            Self::CrossesZones(range) => {
                let (first, count) = sectors(range);
                write!(f, "the request is impossible: {count} sectors from {first} lie in several zones")
            }
            Self::Unsupported(operation) => {
                write!(f, "the request is impossible: the device does not offer {operation:?}")
            }
            Self::BadBlockSize(size) => write!(f, "the device misbehaved: blocks of {size} bytes"),
            Self::BadCapacity(sectors) => write!(f, "the device misbehaved: {sectors} sectors"),
            Self::SegmentsTooSmall { size_max, seg_max } => {
                write!(f, "the device is incompatible: it takes {seg_max} times {size_max} bytes at most")
            }
            Self::Zoned(model) => write!(f, "the device is incompatible: a {model} zoned disk"),
            Self::BadZones => f.write_str("the device misbehaved: its zones are impossible"),
            Self::BadZoneReport => f.write_str("the device misbehaved: its report of zones is impossible"),
            Self::BadAppend(sector) => {
                write!(f, "the device misbehaved: it says it has appended at {sector}")
            }
            Self::CacheModeRefused(mode) => {
                write!(f, "the device misbehaved: it does not switch its cache to {mode:?}")
            }
            Self::BellTaken => f.write_str("the request is impossible: the bell serves another queue"),
            Self::Busy => f.write_str("the request is impossible: the disk is in use"),
        }
    }
}

impl core::error::Error for BlkError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for BlkError {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

/// A transfer that failed, and how far it got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TransferError {
    /// Why.
    pub error: BlkError,
    /// Bytes from the start on that were transferred: by the requests before the one that failed, into which a long transfer
    /// is split. Nothing is known of those behind.
    pub done: usize,
}

/// Ranges that were not all discarded, zeroed or erased, and how far that got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RangesError {
    /// Why.
    pub error: BlkError,
    /// Sectors of the ranges, from the first on, that are done: by the requests before the one that failed. Nothing is known
    /// of those behind (VIRTIO 1.4 §5.2.6.1).
    pub done: u64,
}

/// An owned request that was not added, with its buffers.
#[derive(Debug)]
pub struct Refused<B> {
    /// Why.
    pub error: BlkError,
    /// The buffers, untouched: always there.
    pub buffers: Option<B>,
}

/// An awaited request over owned buffers that failed.
#[derive(Debug)]
pub struct Lost<B> {
    /// Why.
    pub error: BlkError,
    /// The buffers, unless the device may still use them: then they stay with the queue until the device is reset.
    pub buffers: Option<B>,
}

macro_rules! around_blk_error {
    ($($name:ident $(<$buffers:ident>)?: {$($detail:tt)*});+) => { $(
        impl$(<$buffers>)? fmt::Display for $name$(<$buffers>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                around_blk_error!(@show self f $($detail)*)
            }
        }

        impl$(<$buffers: fmt::Debug>)? core::error::Error for $name$(<$buffers>)? {
            fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
                Some(&self.error)
            }
        }

        impl$(<$buffers>)? From<$name$(<$buffers>)?> for BlkError {
            fn from(failed: $name$(<$buffers>)?) -> Self {
                failed.error
            }
        }
    )+ };
    (@show $self:ident $f:ident alone) => { $self.error.fmt($f) };
    (@show $self:ident $f:ident done of $unit:literal) => {
        write!($f, "{} ({} {} were done before)", $self.error, $self.done, $unit)
    };
}

around_blk_error! {
    TransferError: {done of "bytes"};
    RangesError: {done of "sectors"};
    Refused<B>: {alone};
    Lost<B>: {alone}
}

impl TransferError {
    /// An error before anything was sent.
    pub(crate) const fn at_once(error: BlkError) -> Self {
        Self { error, done: 0 }
    }
}
