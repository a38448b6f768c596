//! What a disk has to tell besides the ends of requests (VIRTIO 1.4 §5.2.6.1).

use virtio_core::config::{ByteOrder, Config};
use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Hal, Transport};

use crate::abi::BlkConfig;
use crate::device::Disk;
use crate::error::BlkError;
use crate::limits::check_capacity;
use crate::payload::Payload;

/// What a disk has to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DiskEvent {
    /// It was resized. Requests are checked against its new capacity from now on.
    Resized {
        /// Sectors before.
        before: u64,
        /// Sectors now.
        now: u64,
    },
    /// Something else in its configuration may have changed, such as the mode of its cache.
    ConfigChanged,
    /// It has met an error that it cannot recover from, and was reset: [`Disk::recover`] brings it up again.
    NeedsReset,
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// Follows up on an interrupt that an [`Endpoint`](virtio_core::Endpoint) has acknowledged in its handler; a kernel that
    /// polls may call it at any time, with [`InterruptStatus::CONFIG`]. Look at what the device has done after this, too.
    ///
    /// # Errors
    /// As for [`Disk::refresh`].
    pub fn attend(&mut self, status: InterruptStatus) -> Result<Option<DiskEvent>, BlkError> {
        match self.device.attend(status)? {
            None => Ok(None),
            Some(DeviceEvent::NeedsReset) => Ok(Some(DiskEvent::NeedsReset)),
            Some(_) => Ok(Some(self.refresh()?.unwrap_or(DiskEvent::ConfigChanged))),
        }
    }

    /// Reads the disk's capacity again, and says if it has changed.
    ///
    /// # Errors
    /// [`BlkError::BadCapacity`]: the old one stays. [`BlkError::Core`].
    pub fn refresh(&mut self) -> Result<Option<DiskEvent>, BlkError> {
        let now = read_capacity(&self.device.config(ByteOrder::Native)?)?;
        Ok(resized(&mut self.rules.capacity, now))
    }
}

/// The capacity, in sectors, as the device says it now: of one state of it, on a legacy transport too
/// (VIRTIO 1.4 §2.5.4).
pub(crate) fn read_capacity<T: Transport>(config: &Config<'_, T>) -> Result<u64, BlkError> {
    check_capacity(config.get(BlkConfig::CAPACITY)?)
}

/// Replaces a capacity.
pub(crate) fn resized(capacity: &mut u64, now: u64) -> Option<DiskEvent> {
    let before = core::mem::replace(capacity, now);
    (before != now).then_some(DiskEvent::Resized { before, now })
}
