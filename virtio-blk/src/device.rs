//! The driver, brought up (VIRTIO 1.4 §5.2.5).

use core::marker::PhantomData;

use virtio_core::config::ByteOrder;
use virtio_core::device::{Device, Driver, Init, Wanted};
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Features, Hal, Transport, log_info};

use crate::abi::{
    BlkConfig, BlkStatus, F_BLK_SIZE, F_CONFIG_WCE, F_DISCARD, F_FLUSH, F_GEOMETRY, F_LIFETIME, F_MQ, F_RO,
    F_SECURE_ERASE, F_SEG_MAX, F_SIZE_MAX, F_TOPOLOGY, F_WRITE_ZEROES, F_ZONED, HEADER_LEN, REQUESTQ,
};
use crate::error::BlkError;
use crate::limits::{Limits, Raw};
use crate::options::{DiskOptions, Zones};
use crate::payload::Payload;
use crate::rules::Rules;
use crate::zones::ZoneModel;

/// What is accepted of any disk. The legacy features BARRIER and SCSI are not, ever.
const OPTIONAL: Features = F_SIZE_MAX
    .union(F_SEG_MAX)
    .union(F_GEOMETRY)
    .union(F_RO)
    .union(F_BLK_SIZE)
    .union(F_FLUSH)
    .union(F_TOPOLOGY)
    .union(F_CONFIG_WCE)
    .union(F_MQ)
    .union(F_DISCARD)
    .union(F_WRITE_ZEROES)
    .union(F_LIFETIME)
    .union(F_SECURE_ERASE);

/// A disk (VIRTIO 1.4 §5.2).
///
/// `P` is what its requests carry: `()`, made by [`Disk::new`], is for callers that wait or await over slices that they keep;
/// with [`Owned<B>`](crate::Owned), buffers can be given away, too.
///
/// Dropping it resets the device and frees everything. See the [crate](crate) for an example.
#[derive(Debug)]
pub struct Disk<T: Transport, H: Hal + Clone, P: Payload = ()> {
    pub(crate) device: Device<T, H>,
    pub(crate) rules: Rules,
    limits: Limits,
    options: DiskOptions,
    queues: u16,
    payload: PhantomData<fn() -> P>,
}

virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone, P: Payload] Disk<T, H, P> {
        device: device, transport: T, hal: H, error: BlkError,
    }
}

impl<T: Transport, H: Hal + Clone> Disk<T, H> {
    /// Brings a disk up, as [`DiskOptions::new`] has it.
    ///
    /// # Errors
    /// As for [`Disk::open`].
    pub fn new(transport: T, hal: H) -> Result<Self, BlkError> {
        Self::open(transport, hal, DiskOptions::new())
    }
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// Brings a disk up.
    ///
    /// # Errors
    /// [`BlkError::Zoned`] if it has zones that were not asked for; [`BlkError::BadBlockSize`], [`BlkError::BadCapacity`],
    /// [`BlkError::SegmentsTooSmall`] and [`BlkError::BadZones`] for what cannot be; [`BlkError::Unsupported`] and
    /// [`BlkError::CacheModeRefused`] if it has no such cache as was asked for. [`BlkError::Core`]: it is no disk, it lacks a
    /// queue, it refuses its features, it does not reset, or the platform has no memory. The device is reset then, or marked as
    /// failed.
    pub fn open(transport: T, hal: H, options: DiskOptions) -> Result<Self, BlkError> {
        let legacy = transport.is_legacy();
        let mut init = Init::start(transport, hal, DeviceId::BLOCK)?;
        let optional = decide(&mut init, &options, legacy)?;
        let init = init.negotiate(&Wanted { optional, refused: options.refused, ..Wanted::default() })?;
        let features = init.features();
        let raw = Raw::read(&init.config(ByteOrder::Native)?, features)?;
        let limits = raw.check(features)?;
        let queues = options.queues.min(limits.queues);
        let specs = (REQUESTQ..queues).map(|index| spec::<P>(index, &options, &limits));
        let mut init = init.queues_each(specs)?;
        let size = (REQUESTQ..queues).map(|index| init.queue_size(index)).min().unwrap_or(0);
        let rules = Rules::new(raw.capacity, &limits, features, ByteOrder::Native, &options, size);
        let device = init.live()?;
        let mut disk = Self { device, rules, limits, options, queues, payload: PhantomData };
        if let Some(mode) = options.cache_mode {
            disk.set_cache_mode(mode)?;
        }
        log_info!("blk: {} sectors, {} queues of {}", raw.capacity, queues, size);
        Ok(disk)
    }

    /// Sectors of the disk. It may be resized: [`Disk::attend`], [`Disk::refresh`].
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.rules.capacity
    }

    /// What the device says about itself, checked.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether nothing can be written: the device says so (`RO`), or the [options](DiskOptions::read_only).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.rules.read_only
    }

    /// The queues that are used: as many as were asked for, if the device has them.
    #[must_use]
    pub fn queue_count(&self) -> u16 {
        self.queues
    }

    pub(crate) fn options(&self) -> &DiskOptions {
        &self.options
    }

    /// Resets the device and brings it up again, with the same options: after [`DiskEvent::NeedsReset`](crate::DiskEvent), or any
    /// [`BlkError::Core`]. Buffers that were with it are dropped, and whether what was in flight has been done is not known.
    /// Interrupts are off until enabled, and endpoints have to be [taken anew](virtio_core::interrupt). On an error the
    /// transport is gone: find the device again.
    ///
    /// # Errors
    /// As for [`Disk::open`].
    pub fn recover(self) -> Result<Self, BlkError> {
        let options = self.options;
        self.device.rebuild(|transport, hal| Self::open(transport, hal, options))
    }
}

/// What to want of a device that offers what it does.
fn decide<T: Transport, H: Hal + Clone>(
    init: &mut Init<T, H, Driver>,
    options: &DiskOptions,
    legacy: bool,
) -> Result<Features, BlkError> {
    // No legacy device has zones (VIRTIO 1.4 §5.2.5.2).
    if legacy || !init.offered()?.contains(F_ZONED) {
        return Ok(OPTIONAL);
    }
    let model = ZoneModel::new(init.config(ByteOrder::Little)?.get(BlkConfig::ZONE_MODEL)?);
    match (model, options.zones) {
        (ZoneModel::NONE, _) | (ZoneModel::HOST_AWARE, Zones::Ignore) => Ok(OPTIONAL),
        // Not even if it is offered (VIRTIO 1.4 §5.2.5.1).
        (ZoneModel::HOST_MANAGED, Zones::Use) => Ok((OPTIONAL | F_ZONED) - F_DISCARD),
        (ZoneModel::HOST_AWARE, Zones::Use) => Ok(OPTIONAL | F_ZONED),
        // Before FEATURES_OK: what is dropped here is marked FAILED.
        _ => Err(BlkError::Zoned(model)),
    }
}

/// The declaration of a queue.
fn spec<P: Payload>(index: u16, options: &DiskOptions, limits: &Limits) -> QueueSpec {
    // Header and status are segments of the chain, and none of SEG_MAX.
    let seg_max = limits.seg_max.and_then(|most| u16::try_from(most).ok()).unwrap_or(u16::MAX);
    QueueSpec::new::<P::Carried>(index, options.queue_size)
        .at_least(3)
        .header(HEADER_LEN.saturating_add(options.room))
        .response(options.room.saturating_add(1))
        .status(BlkStatus::UNWRITTEN.get())
        .ignores_legacy_lengths()
        .framed()
        .indirect(options.segments.saturating_add(2))
        .longest(seg_max.saturating_add(2))
}
