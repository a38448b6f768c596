//! What a driver asks of its disk.

use core::time::Duration;

use virtio_core::Features;
use virtio_core::hal::DEFAULT_TIMEOUT;

use crate::cache::CacheMode;
use crate::sector::SECTOR_SIZE;

/// What to do with a disk that has zones (VIRTIO 1.4 §5.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Zones {
    /// Refuse it, with [`BlkError::Zoned`](crate::BlkError::Zoned): whoever does not know of zones writes where it must not.
    #[default]
    Refuse,
    /// Drive a host-aware disk as if it had none, which such a disk allows, and refuse a host-managed one, which does not.
    Ignore,
    /// Drive it, zones and all: [`Disk::zones`](crate::Disk::zones). What is written is checked against the granularity and cut
    /// at the ends of zones. Where a zone's write pointer is, and what capacity is left behind it, is for the caller to know
    /// (VIRTIO 1.4 §5.2.6.1): the device refuses a write that does not fit.
    Use,
}

/// What a driver asks of its disk. The default suits most.
///
/// ```
/// use virtio_blk::DiskOptions;
/// let options = DiskOptions::new().queue_size(256).queues(4);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct DiskOptions {
    pub(crate) queue_size: u16,
    pub(crate) queues: u16,
    pub(crate) room: usize,
    pub(crate) segments: u16,
    pub(crate) read_only: bool,
    pub(crate) cache_mode: Option<CacheMode>,
    pub(crate) zones: Zones,
    pub(crate) timeout: Duration,
    pub(crate) refused: Features,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl DiskOptions {
    /// One queue of 128 descriptors, whatever features the device offers, no zones.
    pub const fn new() -> Self {
        Self {
            queue_size: 128,
            queues: 1,
            room: SECTOR_SIZE,
            segments: 1,
            read_only: false,
            cache_mode: None,
            zones: Zones::Refuse,
            timeout: DEFAULT_TIMEOUT,
            refused: Features::empty(),
        }
    }

    /// Queues of `descriptors`, or as many as the device allows. With `INDIRECT_DESC`, which most devices offer, each takes a
    /// request; without, a request takes three or more.
    pub const fn queue_size(mut self, descriptors: u16) -> Self {
        self.queue_size = descriptors;
        self
    }

    /// Up to `count` queues, if the device has so many: one for each CPU, say.
    pub const fn queues(mut self, count: u16) -> Self {
        self.queues = if count == 0 { 1 } else { count };
        self
    }

    /// Room for `bytes` of data in each request that is awaited over borrowed slices
    /// ([`AsyncQueue::read`](crate::AsyncQueue::read)): rounded down to sectors, one at the least, which is the default. A
    /// queue has twice so much DMA memory for each of its descriptors. Requests that are longer are split.
    pub const fn room(mut self, bytes: usize) -> Self {
        let sectors = bytes & !(SECTOR_SIZE - 1);
        self.room = if sectors == 0 { SECTOR_SIZE } else { sectors };
        self
    }

    /// Indirect tables for requests of up to `count` buffers: for those that are [`Scattered`](crate::Scattered). 1 is the
    /// default; longer requests work as well, but take more descriptors.
    pub const fn segments(mut self, count: u16) -> Self {
        self.segments = count;
        self
    }

    /// Never writes, whatever the device allows: writing is [`BlkError::ReadOnly`](crate::BlkError::ReadOnly) then.
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Has the cache in this mode, or fails: see [`Disk::set_cache_mode`](crate::Disk::set_cache_mode).
    pub const fn cache_mode(mut self, mode: CacheMode) -> Self {
        self.cache_mode = Some(mode);
        self
    }

    /// What to do with zones.
    pub const fn zones(mut self, zones: Zones) -> Self {
        self.zones = zones;
        self
    }

    /// How long a blocking request may take: [`DEFAULT_TIMEOUT`] by default. The device is taken down after it.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Does not accept these features, even if they are offered.
    pub const fn refuse(mut self, features: Features) -> Self {
        self.refused = self.refused.union(features);
        self
    }

    /// Requests take descriptors of the ring, not a table of their own: some devices are faster at it. Then no more than a
    /// third of a queue's size can be in flight.
    pub const fn direct_chains(self) -> Self {
        self.refuse(Features::INDIRECT_DESC)
    }
}
