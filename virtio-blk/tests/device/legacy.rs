//! Disks behind a legacy interface (VIRTIO 1.4 §5.2.4.1, §5.2.6.3, §5.2.6.4).

use crate::bench::{ALL, Bench, Setup, contents};
use crate::executor::finish;

use virtio_blk::abi::{F_BLK_SIZE, F_FLUSH, F_SEG_MAX, F_SIZE_MAX, F_ZONED};
use virtio_blk::{BlkError, BlkStatus, DiskEvent, DiskOptions, Sector, SectorRange, Unmap};
use virtio_core::Features;
use virtio_core::queue::Bell;
use virtio_testkit::{Reply, TestHal};

fn legacy(hal: &TestHal, features: Features) -> Bench {
    Setup { legacy: true, ..Setup::offering(features) }.with(8, 4, 4096).with(12, 4, 4).build(hal)
}

// shows: blk.config.legacy.1, blk.op.legacy.1
#[test]
fn everything_is_in_the_guest_s_byte_order() {
    let hal = TestHal::new();
    let bench = legacy(&hal, F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH);
    let mut disk = bench.plain();
    assert_eq!((disk.capacity(), disk.limits().block_size), (64, 512));
    assert_eq!((disk.limits().size_max, disk.limits().seg_max), (Some(4096), Some(4)));
    let mut bytes = vec![0; 40 * 512];
    disk.read(Sector(3), &mut bytes).unwrap();
    assert_eq!(bytes, contents(3, 40 * 512));
    disk.write(Sector(60), &[7; 1024]).unwrap();
    assert_eq!(bench.model().store[60 * 512..62 * 512], [7; 1024]);
    disk.flush().unwrap();
    bench.device.set_config(Setup { legacy: true, sectors: 50, ..Setup::default() }.config());
    assert_eq!(disk.refresh(), Ok(Some(DiskEvent::Resized { before: 64, now: 50 })));
}

// shows: blk.legacy-framing.1
#[test]
fn header_data_and_status_are_apart() {
    // The bench looks at every request.
    let hal = TestHal::new();
    let bench = legacy(&hal, ALL);
    let mut disk = bench.owning();
    let range = [SectorRange::new(Sector(1), 1)];
    disk.read_scattered(Sector(0), &mut [&mut [0; 100], &mut [0; 412]]).unwrap();
    disk.write(Sector(0), &[0; 512]).unwrap();
    disk.flush().unwrap();
    disk.id().unwrap();
    disk.lifetime().unwrap();
    disk.discard(&range).unwrap();
    disk.write_zeroes(&range, Unmap::Keep).unwrap();
    disk.secure_erase(&range).unwrap();
    assert_eq!(bench.count(), 8);
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(0), vec![0; 512]).unwrap();
    queue.add_flush().unwrap();
    queue.add_discard(&range).unwrap();
    queue.kick();
    assert_eq!(bench.count(), 11);
    let bell = Bell::new();
    let queue = queue.awaited(&bell).unwrap();
    // What is copied through the queue's memory is apart, too.
    let mut bytes = [0; 1024];
    finish(queue.read(Sector(5), &mut bytes)).unwrap();
    assert_eq!(bytes[..], contents(5, 1024));
    finish(queue.write(Sector(7), &bytes)).unwrap();
    finish(queue.read(Sector(7), &mut bytes)).unwrap();
    assert_eq!(bytes[..], contents(5, 1024));
    finish(queue.id()).unwrap();
    finish(queue.lifetime()).unwrap();
    finish(queue.discard(&range)).unwrap();
    finish(queue.flush()).unwrap();
    assert_eq!(finish(queue.read_owned(Sector(3), vec![0; 512])).unwrap(), contents(3, 512));
}

#[test]
fn with_any_layout_they_may_share_buffers() {
    let hal = TestHal::new();
    let bench = legacy(&hal, ALL | Features::ANY_LAYOUT);
    let (mut disk, bell) = (bench.plain(), Bell::new());
    assert!(disk.features().contains(Features::ANY_LAYOUT));
    let queue = disk.awaited(&bell).unwrap();
    let mut bytes = [0; 1024];
    finish(queue.read(Sector(2), &mut bytes)).unwrap();
    assert_eq!(bytes[..], contents(2, 1024));
    finish(queue.id()).unwrap();
    finish(queue.discard(&[SectorRange::new(Sector(0), 1)])).unwrap();
}

// shows: blk.op.legacy.2
#[test]
fn lengths_mean_nothing() {
    let hal = TestHal::new();
    let bench = legacy(&hal, F_FLUSH | Features::ANY_LAYOUT);
    let mut disk = bench.owning();
    let mut bytes = [0; 512];
    for len in [0, 1, 512, 513, u32::MAX] {
        let answer = |status| [vec![7; 512], vec![status]].concat();
        bench.trick(0, move |_, _| Reply::Claim { bytes: answer(0), len });
        bytes.fill(0xee);
        disk.read(Sector(0), &mut bytes).unwrap();
        assert_eq!(bytes, [7; 512], "a length of {len}");
        bench.trick(0, move |_, _| Reply::Claim { bytes: vec![0], len });
        disk.write(Sector(0), &bytes).unwrap();
        bench.trick(0, move |_, _| Reply::Claim { bytes: answer(1), len });
        assert_eq!(disk.read(Sector(0), &mut bytes).unwrap_err().error, BlkError::Status(BlkStatus::IOERR));
        // What was not written is no status, whatever is said.
        bench.trick(0, move |_, _| Reply::Claim { bytes: vec![7; 512], len });
        let unwritten = BlkError::Status(BlkStatus::UNWRITTEN);
        assert_eq!(disk.read(Sector(0), &mut bytes).unwrap_err().error, unwritten);
        let mut queue = disk.queue().unwrap();
        for (status, result) in [(0, Ok(())), (2, Err(BlkError::Status(BlkStatus::UNSUPP)))] {
            bench.trick(0, move |_, _| Reply::Claim { bytes: answer(status), len });
            queue.add_read(Sector(0), vec![0; 512]).unwrap();
            queue.kick();
            let answer = queue.poll().unwrap().unwrap();
            assert_eq!((answer.result, answer.buffers.unwrap()), (result, vec![7; 512]));
        }
        let (queue, bell) = (disk.queue().unwrap(), Bell::new());
        let queue = queue.awaited(&bell).unwrap();
        bench.trick(0, move |_, _| Reply::Claim { bytes: answer(0), len });
        bytes.fill(0xee);
        finish(queue.read(Sector(0), &mut bytes)).unwrap();
        assert_eq!(bytes, [7; 512]);
    }
}

#[test]
fn no_legacy_disk_has_zones() {
    let hal = TestHal::new();
    let setup = Setup { legacy: true, ..Setup::offering(F_ZONED) };
    let bench = setup.with(92, 1, 1).build(&hal);
    let disk = bench.open::<()>(DiskOptions::new());
    assert!(!disk.features().contains(F_ZONED));
}
