//! A disk for `embedded-sdmmc`, which reads and writes FAT volumes.

use core::cell::RefCell;
use core::fmt;

use embedded_sdmmc::{Block, BlockCount, BlockDevice, BlockIdx};
use virtio_core::{Hal, Transport};

use crate::device::Disk;
use crate::error::BlkError;
use crate::payload::Payload;
use crate::sector::Sector;

/// Blocks of one request.
const BLOCKS: usize = 16;

/// A disk as a `BlockDevice` of `embedded-sdmmc`, whose methods take it shared. Its blocks are sectors; consecutive ones go in
/// one request, up to 16 of them.
///
/// ```
/// use embedded_sdmmc::{Block, BlockDevice, BlockIdx};
/// use virtio_blk::{BlkError, Disk, SdmmcDisk};
/// use virtio_core::{Hal, Transport};
///
/// fn boot_signature<T: Transport, H: Hal + Clone>(disk: Disk<T, H>) -> Result<[u8; 2], BlkError> {
///     let volume = SdmmcDisk::new(disk); // what `embedded_sdmmc::VolumeManager::new` takes
///     let mut block = [Block::new()];
///     volume.read(&mut block, BlockIdx(0))?;
///     Ok([block[0][510], block[0][511]])
/// }
/// ```
pub struct SdmmcDisk<T: Transport, H: Hal + Clone, P: Payload = ()>(RefCell<Disk<T, H, P>>);

impl<T: Transport, H: Hal + Clone, P: Payload> fmt::Debug for SdmmcDisk<T, H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdmmcDisk").finish_non_exhaustive()
    }
}

impl<T: Transport, H: Hal + Clone, P: Payload> SdmmcDisk<T, H, P> {
    /// Takes a disk.
    #[must_use]
    pub const fn new(disk: Disk<T, H, P>) -> Self {
        Self(RefCell::new(disk))
    }

    /// The disk, back.
    #[must_use]
    pub fn into_inner(self) -> Disk<T, H, P> {
        self.0.into_inner()
    }

    /// Uses the disk for something else: a [flush](Disk::flush), say, which `embedded-sdmmc` does not know of.
    ///
    /// # Errors
    /// [`BlkError::Busy`] from inside of itself; what `use_it` answers.
    pub fn with<R>(
        &self,
        use_it: impl FnOnce(&mut Disk<T, H, P>) -> Result<R, BlkError>,
    ) -> Result<R, BlkError> {
        use_it(&mut *self.0.try_borrow_mut().map_err(|_| BlkError::Busy)?)
    }
}

impl<T: Transport, H: Hal + Clone, P: Payload> BlockDevice for SdmmcDisk<T, H, P> {
    type Error = BlkError;

    fn read(&self, blocks: &mut [Block], start: BlockIdx) -> Result<(), BlkError> {
        self.with(|disk| {
            let mut sector = Sector(start.0.into());
            for blocks in blocks.chunks_mut(BLOCKS) {
                let (used, mut slices) = (blocks.len(), <[&mut [u8]; BLOCKS]>::default());
                for (slice, block) in slices.iter_mut().zip(blocks) {
                    *slice = &mut block.contents;
                }
                disk.read_scattered(sector, slices.get_mut(..used).unwrap_or_default())?;
                sector = Sector(sector.0.saturating_add(used as u64));
            }
            Ok(())
        })
    }

    fn write(&self, blocks: &[Block], start: BlockIdx) -> Result<(), BlkError> {
        self.with(|disk| {
            let mut sector = Sector(start.0.into());
            for blocks in blocks.chunks(BLOCKS) {
                let (used, mut slices) = (blocks.len(), [&[][..]; BLOCKS]);
                for (slice, block) in slices.iter_mut().zip(blocks) {
                    *slice = &block.contents;
                }
                disk.write_gathered(sector, slices.get(..used).unwrap_or_default())?;
                sector = Sector(sector.0.saturating_add(used as u64));
            }
            Ok(())
        })
    }

    /// As far as it can be counted: 2 TiB are the most.
    fn num_blocks(&self) -> Result<BlockCount, BlkError> {
        self.with(|disk| Ok(BlockCount(u32::try_from(disk.capacity()).unwrap_or(u32::MAX))))
    }
}
