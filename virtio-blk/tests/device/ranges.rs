//! Discarding, zeroing and erasing (VIRTIO 1.4 §5.2.6).

use crate::bench::{Bench, able, contents, kind, ranges_of};
use crate::executor::finish;

use virtio_blk::{BlkError, BlkStatus, RangesError, Sector, SectorRange, Unmap};
use virtio_core::queue::Bell;
use virtio_testkit::{Reply, TestHal};

fn range(first: u64, count: u64) -> SectorRange {
    SectorRange::new(Sector(first), count)
}

/// A request: its type and its ranges.
#[derive(PartialEq, Eq, Debug)]
struct Sent(u32, Vec<(u64, u32, u32)>);

fn requests(bench: &Bench) -> Vec<Sent> {
    let seen = bench.model().take_seen();
    seen.iter().map(|seen| Sent(seen.kind, ranges_of(&seen.data))).collect()
}

// shows: blk.op.7, blk.op.9, blk.op.14
#[test]
fn discarding_keeps_the_limits() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    // 10 sectors a range, 3 ranges a request, aligned to 4.
    disk.discard(&[range(2, 25), range(40, 1), range(50, 0)]).unwrap();
    let first = vec![(2, 10, 0), (12, 8, 0), (20, 7, 0)];
    assert_eq!(requests(&bench), [Sent(kind::DISCARD, first), Sent(kind::DISCARD, vec![(40, 1, 0)])]);
    disk.discard(&[]).unwrap();
    disk.discard(&[range(64, 0)]).unwrap();
    assert_eq!(bench.count(), 0);
}

// shows: blk.op.7, blk.op.11
#[test]
fn zeroing_keeps_the_limits() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    // 20 sectors a range, 2 ranges a request.
    disk.write_zeroes(&[range(0, 45)], Unmap::Allow).unwrap();
    let first = vec![(0, 20, 1), (20, 20, 1)];
    assert_eq!(
        requests(&bench),
        [Sent(kind::WRITE_ZEROES, first), Sent(kind::WRITE_ZEROES, vec![(40, 5, 1)])]
    );
    disk.write_zeroes(&[range(46, 1)], Unmap::Keep).unwrap();
    assert_eq!(requests(&bench), [Sent(kind::WRITE_ZEROES, vec![(46, 1, 0)])]);
    let mut bytes = vec![0xee; 47 * 512];
    disk.read(Sector(0), &mut bytes).unwrap();
    assert_eq!(bytes, [vec![0; 45 * 512], contents(45, 512), vec![0; 512]].concat());
}

// shows: blk.op.7, blk.op.10
#[test]
fn erasing_keeps_the_limits() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    // 8 sectors a range, 1 range a request.
    disk.secure_erase(&[range(0, 9), range(20, 8)]).unwrap();
    let erased = |first, count| Sent(kind::SECURE_ERASE, vec![(first, count, 0)]);
    assert_eq!(requests(&bench), [erased(0, 8), erased(8, 1), erased(20, 8)]);
}

// shows: blk.op.16
#[test]
fn what_failed_in_part_counts_as_not_done() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    let ranges = [range(0, 10), range(12, 10), range(24, 10), range(36, 10), range(48, 10)];
    let failed = |done| Err(RangesError { error: BlkError::Status(BlkStatus::IOERR), done });
    // Three ranges in the first request, two in the second.
    bench.status(0, 1);
    assert_eq!(disk.discard(&ranges), failed(0));
    bench.status(1, 1);
    let error = disk.discard(&ranges);
    assert_eq!(error, failed(30));
    assert_eq!(error.unwrap_err().to_string(), "the device answers IOERR (30 sectors were done before)");
    bench.trick(1, |_, _| Reply::Claim { bytes: vec![0], len: 0 });
    assert_eq!(disk.discard(&ranges).unwrap_err().done, 30);
    disk.discard(&ranges).unwrap();
}

/// Found by fuzzing: a request that is not split sent them as they were.
#[test]
fn ranges_of_no_sectors_are_left_out() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    let ranges = [range(1, 0), range(2, 3), range(9, 0), range(9, 0), range(7, 1)];
    queue.add_discard(&ranges).unwrap();
    queue.kick();
    assert_eq!(requests(&bench), [Sent(kind::DISCARD, vec![(2, 3, 0), (7, 1, 0)])]);
    assert_eq!(queue.add_discard(&[range(5, 0)]), Err(BlkError::BadLength { bytes: 0 }));
    let bell = Bell::new();
    let queue = queue.awaited(&bell).unwrap();
    finish(queue.discard(&ranges)).unwrap();
    assert_eq!(requests(&bench), [Sent(kind::DISCARD, vec![(2, 3, 0), (7, 1, 0)])]);
    assert_eq!(finish(queue.discard(&[range(5, 0)])), Err(BlkError::BadLength { bytes: 0 }));
}
