//! A disk for the crates that use `block-device-driver`.

use aligned::{A4, Aligned};
use block_device_driver::{BlockDevice, blocks_to_slice, blocks_to_slice_mut};
use virtio_core::{Hal, Transport};

use crate::error::BlkError;
use crate::payload::Payload;
use crate::sector::{SECTOR_SHIFT, SECTOR_SIZE, Sector};
use crate::tasks::AsyncQueue;

/// Blocks are sectors; they are copied, as [`AsyncQueue::read`] and [`AsyncQueue::write`] do it. Several tasks can have one
/// each, for it is implemented for a reference, too.
impl<T: Transport, H: Hal, P: Payload> BlockDevice<SECTOR_SIZE> for &AsyncQueue<'_, T, H, P> {
    type Error = BlkError;
    type Align = A4;

    async fn read(
        &mut self,
        block_address: u32,
        data: &mut [Aligned<A4, [u8; SECTOR_SIZE]>],
    ) -> Result<(), BlkError> {
        Ok(AsyncQueue::read(self, Sector(block_address.into()), blocks_to_slice_mut(data)).await?)
    }

    async fn write(
        &mut self,
        block_address: u32,
        data: &[Aligned<A4, [u8; SECTOR_SIZE]>],
    ) -> Result<(), BlkError> {
        Ok(AsyncQueue::write(self, Sector(block_address.into()), blocks_to_slice(data)).await?)
    }

    async fn size(&mut self) -> Result<u64, BlkError> {
        // A capacity whose bytes cannot be counted was refused.
        Ok(self.capacity() << SECTOR_SHIFT)
    }
}

impl<T: Transport, H: Hal, P: Payload> BlockDevice<SECTOR_SIZE> for AsyncQueue<'_, T, H, P> {
    type Error = BlkError;
    type Align = A4;

    async fn read(
        &mut self,
        block_address: u32,
        data: &mut [Aligned<A4, [u8; SECTOR_SIZE]>],
    ) -> Result<(), BlkError> {
        BlockDevice::read(&mut &*self, block_address, data).await
    }

    async fn write(
        &mut self,
        block_address: u32,
        data: &[Aligned<A4, [u8; SECTOR_SIZE]>],
    ) -> Result<(), BlkError> {
        BlockDevice::write(&mut &*self, block_address, data).await
    }

    async fn size(&mut self) -> Result<u64, BlkError> {
        BlockDevice::size(&mut &*self).await
    }
}
