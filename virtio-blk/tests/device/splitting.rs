//! Transfers that are too long for one request (VIRTIO 1.4 §5.2.4).

use crate::bench::{Bench, Setup, contents, kind};

use virtio_blk::abi::{F_BLK_SIZE, F_SEG_MAX, F_SIZE_MAX};
use virtio_blk::{BlkError, BlkStatus, Sector, TransferError};
use virtio_core::{Error, Features};
use virtio_testkit::TestHal;

/// A disk that takes so much.
fn narrow(hal: &TestHal, size_max: u64, seg_max: u64) -> Bench {
    let features = F_SIZE_MAX | F_SEG_MAX | Features::INDIRECT_DESC;
    let setup = Setup { sectors: 256, ..Setup::offering(features) };
    setup.with(8, 4, size_max).with(12, 4, seg_max).build(hal)
}

fn requests(bench: &Bench) -> Vec<(u64, usize)> {
    let seen = bench.model().take_seen();
    seen.iter().map(|seen| (seen.sector, (seen.room + seen.data.len()) / 512)).collect()
}

#[test]
fn limits_of_segments_are_kept() {
    for (size_max, seg_max, at_once) in
        [(512, 1, 1), (1024, 2, 4), (100, 6, 1), (4096, 4, 32), (1 << 20, 3, 40), (700, 3, 4), (0, 0, 8)]
    {
        let hal = TestHal::new();
        let bench = narrow(&hal, size_max, seg_max);
        let mut disk = bench.plain();
        let mut bytes = vec![0xee; 40 * 512];
        disk.read(Sector(3), &mut bytes).unwrap();
        assert_eq!(bytes, contents(3, 40 * 512));
        let split = requests(&bench);
        assert_eq!(split[0], (3, at_once), "{size_max} times {seg_max}");
        assert_eq!(split.iter().map(|(_, count)| count).sum::<usize>(), 40);
        bytes.fill(5);
        disk.write(Sector(100), &bytes).unwrap();
        assert_eq!(bench.model().store[100 * 512..140 * 512], bytes);
        assert_eq!(requests(&bench)[0], (100, at_once));
    }
}

#[test]
fn lists_are_split_anywhere() {
    let hal = TestHal::new();
    let bench = narrow(&hal, 1000, 5);
    let mut disk = bench.plain();
    let lens = [100, 1500, 0, 2048, 12, 3000, 508];
    let mut slices: Vec<Vec<u8>> = lens.iter().map(|len| vec![0; *len]).collect();
    let mut lent: Vec<&mut [u8]> = slices.iter_mut().map(|slice| &mut slice[..]).collect();
    disk.read_scattered(Sector(7), &mut lent).unwrap();
    assert_eq!(slices.concat(), contents(7, 7168));
    assert!(requests(&bench).len() > 1);
    let lent: Vec<&[u8]> = slices.iter().map(|slice| &slice[..]).collect();
    disk.write_gathered(Sector(50), &lent).unwrap();
    assert_eq!(bench.model().store[50 * 512..64 * 512], contents(7, 7168));
}

#[test]
fn pieces_too_small_for_a_sector_are_named() {
    let hal = TestHal::new();
    let bench = narrow(&hal, 512, 1);
    let mut disk = bench.plain();
    let (mut one, mut two) = ([0; 256], [0; 256]);
    let failed = Err(TransferError { error: BlkError::TooManyPieces, done: 0 });
    assert_eq!(disk.read_scattered(Sector(0), &mut [&mut one, &mut two]), failed);
    assert_eq!(disk.write_gathered(Sector(0), &[&one, &two]), failed);
    assert_eq!(bench.count(), 0);
    // How far it got before them.
    let failed = Err(TransferError { error: BlkError::TooManyPieces, done: 1024 });
    assert_eq!(disk.write_gathered(Sector(0), &[&[9; 1024], &one, &two]), failed);
    assert_eq!(bench.model().store[..1024], [9; 1024]);
}

#[test]
fn requests_end_on_blocks_if_they_can() {
    let hal = TestHal::new();
    let features = F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE;
    let setup = Setup { sectors: 256, ..Setup::offering(features) };
    let bench = setup.with(8, 4, 3000).with(12, 4, 4).with(20, 4, 4096).build(&hal);
    let mut disk = bench.plain();
    assert_eq!(disk.limits().block_size, 4096);
    let mut bytes = vec![0; 20 * 512];
    disk.read(Sector(0), &mut bytes).unwrap();
    assert_eq!(bytes, contents(0, 20 * 512));
    assert_eq!(requests(&bench), [(0, 16), (16, 4)]);
}

#[test]
fn a_transfer_that_fails_says_how_far_it_got() {
    let hal = TestHal::new();
    let bench = narrow(&hal, 1024, 2);
    let mut disk = bench.plain();
    let mut bytes = vec![0xee; 16 * 512];
    for after in 0..4 {
        bench.status(after, 1);
        let failed = Err(TransferError { error: BlkError::Status(BlkStatus::IOERR), done: after * 2048 });
        assert_eq!(disk.read(Sector(0), &mut bytes), failed);
        assert_eq!(bytes[..after * 2048], contents(0, after * 2048));
        assert_eq!(requests(&bench).len(), after + 1, "nothing is sent behind it");
        bench.status(after, 1);
        assert_eq!(disk.write(Sector(0), &bytes), failed);
        requests(&bench);
    }
    assert_eq!(
        TransferError { error: BlkError::Status(BlkStatus::IOERR), done: 512 }.to_string(),
        "the device answers IOERR (512 bytes were done before)"
    );
}

/// The Hal shares in small segments: more than the device takes, or than its queue holds.
#[test]
fn memory_in_many_segments_is_more_requests() {
    for (seg_max, queue_max, longest) in [(8, 256, 8), (200, 16, 14), (1000, 256, 126)] {
        let hal = TestHal::new();
        hal.set_max_segment(100);
        let features = F_SIZE_MAX | F_SEG_MAX;
        let setup = Setup { sectors: 256, queue_max, ..Setup::offering(features) };
        let bench = setup.with(8, 4, 1 << 20).with(12, 4, seg_max).build(&hal);
        let mut disk = bench.plain();
        let mut bytes = vec![0; 64 * 512];
        disk.read(Sector(1), &mut bytes).unwrap();
        assert_eq!(bytes, contents(1, 64 * 512));
        bytes.fill(3);
        disk.write(Sector(1), &bytes).unwrap();
        assert_eq!(bench.model().store[512..65 * 512], bytes);
        let seen = bench.model().take_seen();
        assert!(seen.iter().all(|seen| seen.buffers.len() <= longest + 2));
        assert!(seen.iter().any(|seen| seen.kind == kind::OUT) && seen.len() > 2);
    }
    // Not even a sector.
    let hal = TestHal::new();
    hal.set_max_segment(100);
    let bench = narrow(&hal, 1 << 20, 5);
    let mut bytes = vec![0; 1024];
    let error = bench.plain().read(Sector(0), &mut bytes).unwrap_err();
    assert_eq!(error.error, BlkError::Core(Error::Caller(virtio_core::Misuse::TooManySegments)));
    assert_eq!(bench.count(), 0);
}

#[test]
fn a_failed_sharing_ends_nothing_but_the_transfer() {
    let hal = TestHal::new();
    let bench = narrow(&hal, 1024, 2);
    let mut disk = bench.plain();
    let mut bytes = vec![0; 8 * 512];
    let mut failures = 0;
    for n in 1.. {
        hal.fail_nth(n);
        match disk.read(Sector(0), &mut bytes) {
            Ok(()) => break,
            Err(failed) => {
                assert!(matches!(failed.error, BlkError::Core(Error::Platform(_))));
                assert_eq!(bytes[..failed.done], contents(0, failed.done));
                failures += 1;
            }
        }
    }
    assert!(failures >= 4, "{failures}");
    assert_eq!(bytes, contents(0, 8 * 512));
}
