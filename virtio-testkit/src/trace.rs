//! What happened, in one order: memory, sharing and registers together.

use std::time::Duration;

use virtio_core::transport::{QueueReset, Rings};
use virtio_core::{DeviceAddr, Leaked, QueueIndex, Status};

/// One thing that a driver did, as Hal or transport saw it.
///
/// One list serves a [`TestHal`](crate::TestHal) and all devices built on it, so that the order between them can be
/// asserted: status read as 0 *before* pages are freed, for instance.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// `Hal::dma_alloc` gave pages out.
    DmaAlloc {
        /// Where the device sees them.
        device: DeviceAddr,
        /// How many.
        pages: usize,
    },
    /// `Hal::dma_dealloc` took pages back.
    DmaDealloc {
        /// Where the device saw them.
        device: DeviceAddr,
        /// How many.
        pages: usize,
    },
    /// `Hal::private_alloc` gave pages out.
    PrivateAlloc {
        /// How many.
        pages: usize,
    },
    /// `Hal::private_dealloc` took pages back.
    PrivateDealloc {
        /// How many.
        pages: usize,
    },
    /// `Hal::share` made a segment reachable.
    Share {
        /// Where the device sees it.
        device: DeviceAddr,
        /// Its length in bytes.
        len: usize,
    },
    /// `Hal::unshare` ended a sharing.
    Unshare {
        /// Where the device saw the segment.
        device: DeviceAddr,
        /// Its length in bytes.
        len: usize,
        /// How many of them were said to be written.
        written: usize,
    },
    /// `Hal::sync_to_device` copied part of a segment.
    SyncToDevice {
        /// The segment.
        device: DeviceAddr,
        /// First byte, from the segment's start.
        offset: usize,
        /// How many bytes.
        len: usize,
    },
    /// `Hal::sync_to_cpu` copied part of a segment.
    SyncToCpu {
        /// The segment.
        device: DeviceAddr,
        /// First byte, from the segment's start.
        offset: usize,
        /// How many bytes.
        len: usize,
    },
    /// `Hal::leaked` was told of memory.
    Leaked(Leaked),
    /// An allocation or sharing was made to fail.
    Refused(crate::Call),
    /// The device status was written.
    StatusWrite(Status),
    /// The device status was read.
    StatusRead(Status),
    /// Device features were read.
    FeaturesRead {
        /// Which 32 bits.
        window: u32,
        /// The answer.
        bits: u32,
    },
    /// Driver features were written.
    FeaturesWrite {
        /// Which 32 bits.
        window: u32,
        /// The value.
        bits: u32,
    },
    /// A queue was enabled.
    QueueEnabled {
        /// Which one.
        queue: QueueIndex,
        /// Where its rings are.
        rings: Rings,
    },
    /// The reset of a queue was asked for.
    QueueResetWrite(QueueIndex),
    /// The driver looked how the reset of a queue stands.
    QueueResetRead {
        /// Which one.
        queue: QueueIndex,
        /// The answer.
        answer: QueueReset,
    },
    /// A doorbell was rung.
    Notify(QueueIndex),
    /// The interrupt status was read and cleared.
    InterruptAck,
    /// The configuration space was read.
    ConfigRead {
        /// First byte.
        offset: usize,
        /// Width of the access.
        len: usize,
    },
    /// The configuration space was written.
    ConfigWrite {
        /// First byte.
        offset: usize,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The device was cut off the bus.
    CutOff,
    /// The device interrupted.
    Interrupt,
    /// The virtual clock was moved by hand.
    Clock(Duration),
}

impl Event {
    /// Whether memory went back to the Hal or its owner: pages freed, or a sharing ended.
    #[must_use]
    pub fn gives_memory_back(&self) -> bool {
        matches!(self, Self::DmaDealloc { .. } | Self::PrivateDealloc { .. } | Self::Unshare { .. })
    }

    /// Whether this is the confirmation of a reset: device status read as 0.
    #[must_use]
    pub fn confirms_reset(&self) -> bool {
        matches!(self, Self::StatusRead(status) if status.is_empty())
    }

    /// Whether this is the confirmation of the reset of a queue.
    #[must_use]
    pub fn confirms_queue_reset(&self, of: QueueIndex) -> bool {
        matches!(self, Self::QueueResetRead { queue, answer: QueueReset::Done } if *queue == of)
    }
}
