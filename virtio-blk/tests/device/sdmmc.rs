//! As a block device of `embedded-sdmmc`.

use crate::bench::{Setup, contents};

use embedded_sdmmc::{Block, BlockCount, BlockDevice, BlockIdx};
use virtio_blk::{BlkError, SdmmcDisk, Sector};
use virtio_testkit::TestHal;

#[test]
fn blocks_are_sectors() {
    let hal = TestHal::new();
    let bench = Setup { sectors: 100, ..Setup::default() }.build(&hal);
    let volume = SdmmcDisk::new(bench.plain());
    assert_eq!(volume.num_blocks().unwrap(), BlockCount(100));
    let mut blocks = vec![Block::new(); 40];
    volume.read(&mut blocks, BlockIdx(3)).unwrap();
    let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.contents).collect();
    assert_eq!(bytes, contents(3, 40 * 512));
    let seen = bench.model().take_seen();
    assert_eq!(
        seen.iter().map(|seen| (seen.sector, seen.room)).collect::<Vec<_>>(),
        [(3, 8192), (19, 8192), (35, 4096)]
    );
    volume.write(&blocks, BlockIdx(50)).unwrap();
    assert_eq!(bench.model().store[50 * 512..90 * 512], bytes);
    assert_eq!(bench.model().take_seen().len(), 3);
    assert!(matches!(volume.read(&mut blocks, BlockIdx(99)), Err(BlkError::BeyondCapacity { .. })));
    assert!(matches!(volume.write(&blocks, BlockIdx(u32::MAX)), Err(BlkError::BeyondCapacity { .. })));
    volume.with(|disk| disk.flush()).unwrap();
    let busy = volume.with(|_| volume.num_blocks());
    assert!(matches!(busy, Err(BlkError::Busy)));
    volume.into_inner().read(Sector(0), &mut [0; 512]).unwrap();
}

#[test]
fn a_disk_of_more_than_two_tebibytes_is_cut() {
    let hal = TestHal::new();
    let bench = Setup { sectors: 1 << 33, ..Setup::default() }.build(&hal);
    assert_eq!(SdmmcDisk::new(bench.plain()).num_blocks().unwrap(), BlockCount(u32::MAX));
}
