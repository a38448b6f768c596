//! As a block device of `block-device-driver`.

use crate::bench::{Setup, contents};
use crate::executor::finish;

use aligned::{A4, Aligned};
use block_device_driver::{BlockDevice, blocks_to_slice};
use virtio_blk::{BlkError, BlkStatus};
use virtio_core::queue::Bell;
use virtio_testkit::TestHal;

#[test]
fn blocks_are_sectors() {
    let hal = TestHal::new();
    let bench = Setup { sectors: 100, ..Setup::default() }.build(&hal);
    let (mut disk, bell) = (bench.plain(), Bell::new());
    let mut queue = disk.awaited(&bell).unwrap();
    assert_eq!(finish(BlockDevice::size(&mut queue)), Ok(100 * 512));
    let mut blocks = [Aligned::<A4, _>([0; 512]); 20];
    finish(BlockDevice::read(&mut queue, 3, &mut blocks)).unwrap();
    assert_eq!(blocks_to_slice(&blocks), contents(3, 20 * 512));
    finish(BlockDevice::write(&mut &queue, 50, &blocks)).unwrap();
    assert_eq!(bench.model().store[50 * 512..70 * 512], contents(3, 20 * 512));
    let beyond = finish(BlockDevice::read(&mut &queue, 99, &mut blocks));
    assert!(matches!(beyond, Err(BlkError::BeyondCapacity { .. })));
    bench.status(3, 1);
    let failed = finish(BlockDevice::write(&mut queue, 0, &blocks));
    assert_eq!(failed, Err(BlkError::Status(BlkStatus::IOERR)));
}
