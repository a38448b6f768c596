//! Whether what was written is safe (VIRTIO 1.4 §5.2.5, §5.2.6).

use virtio_core::config::ByteOrder;
use virtio_core::{Hal, Transport};

use crate::abi::{BlkConfig, F_CONFIG_WCE, F_FLUSH};
use crate::device::Disk;
use crate::error::{BlkError, Operation};
use crate::payload::Payload;

/// How a disk treats what is written to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CacheMode {
    /// A write is on persistent storage when its request has ended.
    WriteThrough,
    /// A write may be lost with the power until a [flush](Disk::flush) that was sent after its end has ended.
    WriteBack,
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// How the disk treats what is written to it:
    ///
    /// * what the device says, if it can switch (`CONFIG_WCE`);
    /// * otherwise [`WriteBack`](CacheMode::WriteBack) if it can be flushed (`FLUSH`), for it would not offer that for nothing;
    /// * otherwise [`WriteThrough`](CacheMode::WriteThrough). A legacy device may have a cache all the same, which nothing can
    ///   empty.
    ///
    /// # Errors
    /// [`BlkError::Core`].
    pub fn cache_mode(&self) -> Result<CacheMode, BlkError> {
        let features = self.features();
        let back = if features.contains(F_CONFIG_WCE) {
            // Anything but 0 is taken for the mode that promises less.
            self.device.config(ByteOrder::Native)?.get(BlkConfig::WRITEBACK)? != 0
        } else {
            features.contains(F_FLUSH)
        };
        Ok(if back { CacheMode::WriteBack } else { CacheMode::WriteThrough })
    }

    /// Switches the cache, if the device can (`CONFIG_WCE`), and looks whether it has.
    ///
    /// What was written before [`WriteThrough`](CacheMode::WriteThrough) was set is no safer for it: [flush](Disk::flush)
    /// (VIRTIO 1.4 §5.2.6.1).
    ///
    /// # Errors
    /// [`BlkError::Unsupported`] if it cannot and is not in that mode anyway; [`BlkError::CacheModeRefused`] if it has not;
    /// [`BlkError::Core`].
    // true by construction: blk.op.13 — the driver keeps no record of what was written, and says nothing about it here
    pub fn set_cache_mode(&mut self, mode: CacheMode) -> Result<(), BlkError> {
        if self.features().contains(F_CONFIG_WCE) {
            let value = u8::from(mode == CacheMode::WriteBack);
            self.device.set_config(ByteOrder::Native, BlkConfig::WRITEBACK, value)?;
            if self.cache_mode()? == mode { Ok(()) } else { Err(BlkError::CacheModeRefused(mode)) }
        } else if self.cache_mode()? == mode {
            Ok(())
        } else {
            Err(BlkError::Unsupported(Operation::SetCacheMode))
        }
    }
}
