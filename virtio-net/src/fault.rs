//! What was wrong with a received frame.

use core::fmt;

use crate::offload::Partial;

/// Why a received frame was dropped. The device misbehaved; its queue goes on, and the buffers of the frame were given to it
/// again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// It is shorter than its headers: virtio's, then Ethernet's.
    Short {
        /// Bytes the device says it wrote, virtio's header included.
        written: u32,
    },
    /// It is longer than a buffer of it.
    Long {
        /// Bytes the device says it wrote.
        claimed: u32,
        /// Bytes there were.
        room: usize,
    },
    /// It lies in no buffer.
    NoBuffers,
    /// It lies in more buffers than were used, or than the device ever had.
    MissingBuffers {
        /// In how many the device says it lies.
        stated: u16,
        /// How many there were.
        found: u16,
    },
    /// It lies in more buffers than a frame may: [18](crate#received-frames).
    TooManyBuffers {
        /// In how many it lies.
        stated: u16,
    },
    /// Its checksum is to be completed at a place that it does not have.
    ChecksumOutside {
        /// The place.
        partial: Partial,
        /// Bytes it has.
        len: usize,
    },
    /// It was put together in a way that was not negotiated or is not known, or from segments without a size.
    BadSegments {
        /// The header's `gso_type` (VIRTIO 1.4 §5.1.9).
        kind: u8,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { written } => write!(f, "a frame of {written} bytes, headers included"),
            Self::Long { claimed, room } => write!(f, "a frame of {claimed} bytes in a buffer of {room}"),
            Self::NoBuffers => f.write_str("a frame in 0 buffers"),
            Self::MissingBuffers { stated, found } => {
                write!(f, "a frame in {stated} buffers, of which {found} were used")
            }
            Self::TooManyBuffers { stated } => write!(f, "a frame in {stated} buffers"),
            Self::ChecksumOutside { partial: Partial { start, offset }, len } => {
                write!(f, "a checksum at {start}+{offset} of a frame of {len} bytes")
            }
            Self::BadSegments { kind } => write!(f, "a frame put together as {kind:#04x}"),
        }
    }
}

impl core::error::Error for Fault {}

/// Received frames that were dropped. Counted from when the [`Receiver`](crate::Receiver) was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drops {
    /// How many.
    pub frames: u64,
    /// What was wrong with the last one.
    pub last: Option<Fault>,
    /// Buffers that could not be given to the device again, because the platform failed or the queue broke; they are gone.
    pub buffers: u64,
}

impl Drops {
    pub(crate) fn frame(&mut self, fault: Fault) {
        self.frames = self.frames.wrapping_add(1);
        self.last = Some(fault);
    }

    pub(crate) fn add(&mut self, others: &Self) {
        self.frames = self.frames.wrapping_add(others.frames);
        self.last = others.last.or(self.last);
        self.buffers = self.buffers.wrapping_add(others.buffers);
    }

    pub(crate) fn buffer(&mut self) {
        self.buffers = self.buffers.wrapping_add(1);
    }
}
