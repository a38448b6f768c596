//! Requests awaited, rung for by an interrupt handler.

use crate::bench::{Setup, able, contents, kind, ranges_of, read_only};
use crate::executor::{Woken, finish, poll};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use virtio_blk::abi::{F_FLUSH, F_SEG_MAX, F_SIZE_MAX};
use virtio_blk::{
    BlkError, BlkStatus, DiskOptions, EndOfLife, Operation, Owned, Sector, SectorRange, TransferError, Unmap,
};
use virtio_core::queue::Bell;
use virtio_core::{Features, Misbehaved, QueueIndex};
use virtio_testkit::{Event, Lie, Reply, TestHal};

#[test]
fn slices_go_in_requests_of_the_room_that_there_is() {
    for (room, at_once) in [(0, 1), (512, 1), (1500, 2), (4096, 8)] {
        let hal = TestHal::new();
        let bench = Setup { sectors: 256, ..Setup::default() }.build(&hal);
        let (mut disk, bell) = (bench.open::<()>(DiskOptions::new().room(room)), Bell::new());
        let queue = disk.awaited(&bell).unwrap();
        for sectors in [0, 1, 7, 8, 9, 40, 100] {
            let mut bytes = vec![0xee; sectors * 512];
            finish(queue.read(Sector(2), &mut bytes)).unwrap();
            assert_eq!(bytes, contents(2, sectors * 512));
            assert_eq!(bench.model().take_seen().len(), sectors.div_ceil(at_once));
            let fill = vec![u8::try_from(sectors).unwrap(); sectors * 512];
            finish(queue.write(Sector(120), &fill)).unwrap();
            assert_eq!(bench.model().store[120 * 512..(120 + sectors) * 512], fill);
            assert_eq!(bench.model().take_seen().len(), sectors.div_ceil(at_once));
        }
    }
}

#[test]
fn many_requests_of_one_transfer_are_in_flight() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let (mut disk, bell, woken) = (bench.plain(), Bell::new(), Woken::new());
    let queue = disk.awaited(&bell).unwrap();
    let mut bytes = vec![0xee; 12 * 512];
    {
        let mut reading = pin!(queue.read(Sector(1), &mut bytes));
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        assert_eq!(bench.device.held(0), 8);
        // In any order.
        for nth in (0..8).rev() {
            bench.complete(0, nth);
            bell.ring();
            assert!(woken.count() > 0);
        }
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        assert_eq!(bench.device.held(0), 4);
        for _ in 0..4 {
            bench.complete(0, 0);
        }
        assert_eq!(poll(reading, &woken), Poll::Ready(Ok(())));
    }
    assert_eq!(bytes, contents(1, 12 * 512));
}

#[test]
fn a_full_queue_is_waited_for() {
    let hal = TestHal::new();
    // A request takes two descriptors: the queue holds four.
    let bench = Setup { queue_max: 8, ..Setup::default() }.build(&hal);
    bench.model().holds = true;
    let (mut disk, bell, woken) = (bench.plain(), Bell::new(), Woken::new());
    let queue = disk.awaited(&bell).unwrap();
    let (mut one, mut two) = (vec![0; 6 * 512], vec![0; 3 * 512]);
    {
        let mut first = pin!(queue.read(Sector(0), &mut one));
        let mut second = pin!(queue.read(Sector(20), &mut two));
        let (mut ends, mut rounds) = ((None, None), 0);
        while ends != (Some(Ok(())), Some(Ok(()))) {
            if ends.0.is_none() {
                if let Poll::Ready(end) = poll(first.as_mut(), &woken) {
                    ends.0 = Some(end);
                }
            }
            if ends.1.is_none() {
                if let Poll::Ready(end) = poll(second.as_mut(), &woken) {
                    ends.1 = Some(end);
                }
            }
            assert!(bench.device.held(0) <= 4);
            if bench.device.held(0) > 0 {
                bench.complete(0, 0);
                bell.ring();
            }
            rounds += 1;
            assert!(rounds < 40);
        }
    }
    assert_eq!((one, two), (contents(0, 6 * 512), contents(20, 3 * 512)));
    bench.model().holds = false;
    let fill = vec![5; 30 * 512];
    finish(queue.write(Sector(3), &fill)).unwrap();
    assert_eq!(bench.model().store[3 * 512..33 * 512], fill);
}

// shows: blk.op.2, blk.op.3, blk.op.6
#[test]
fn what_cannot_be_is_not_sent() {
    let hal = TestHal::new();
    let bench = read_only(&hal);
    let (mut disk, bell) = (bench.owning(), Bell::new());
    let queue = disk.awaited(&bell).unwrap();
    let mut bytes = vec![0xee; 1024];
    let beyond = BlkError::BeyondCapacity { range: SectorRange::new(Sector(63), 2), capacity: 64 };
    let failed = |error| Err(TransferError { error, done: 0 });
    assert_eq!(finish(queue.read(Sector(63), &mut bytes)), failed(beyond));
    assert_eq!(finish(queue.read(Sector(0), &mut bytes[..5])), failed(BlkError::BadLength { bytes: 5 }));
    assert_eq!(finish(queue.write(Sector(0), &bytes)), failed(BlkError::ReadOnly));
    let lost = finish(queue.write_owned(Sector(0), vec![1; 512])).unwrap_err();
    assert_eq!((lost.error, lost.buffers.unwrap().len()), (BlkError::ReadOnly, 512));
    let lost = finish(queue.read_owned(Sector(63), vec![1; 1024])).unwrap_err();
    assert_eq!((lost.error, lost.buffers.unwrap().len()), (beyond, 1024));
    assert_eq!(finish(queue.discard(&[SectorRange::new(Sector(0), 1)])), Err(BlkError::ReadOnly));
    assert_eq!(bench.count(), 0);

    let bench = Setup::offering(Features::empty()).build(&hal);
    let (mut disk, bell) = (bench.plain(), Bell::new());
    let queue = disk.awaited(&bell).unwrap();
    let not = |operation| Err(BlkError::Unsupported(operation));
    assert_eq!(finish(queue.flush()), not(Operation::Flush));
    assert_eq!(finish(queue.lifetime()), Err(BlkError::Unsupported(Operation::Lifetime)));
    assert_eq!(bench.count(), 0);
}

#[test]
fn a_transfer_that_fails_says_how_far_it_got() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let (mut disk, bell) = (bench.plain(), Bell::new());
    let queue = disk.awaited(&bell).unwrap();
    let mut bytes = vec![0xee; 12 * 512];
    for after in 0..12 {
        for value in [1, 2, 0x42, 255] {
            bench.status(after, value);
            let failed =
                Err(TransferError { error: BlkError::Status(BlkStatus::new(value)), done: after * 512 });
            assert_eq!(finish(queue.read(Sector(0), &mut bytes)), failed);
            assert_eq!(bytes[..after * 512], contents(0, after * 512));
            bench.status(after, value);
            assert_eq!(finish(queue.write(Sector(20), &bytes)), failed);
        }
    }
    // Lengths that do not reach the status.
    for (len, written) in [(0, 0), (100, 100), (512, 512)] {
        bench.trick(1, move |_, _| Reply::Claim { bytes: vec![0; 513], len });
        let short = BlkError::Core(Misbehaved::ShortAnswer { written, needed: 513 }.into());
        assert_eq!(
            finish(queue.read(Sector(0), &mut bytes[..1024])),
            Err(TransferError { error: short, done: 512 })
        );
    }
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![9; 512], len: u32::MAX });
    let unwritten = BlkError::Status(BlkStatus::UNWRITTEN);
    assert_eq!(finish(queue.read(Sector(0), &mut bytes[..512])).unwrap_err().error, unwritten);
    finish(queue.read(Sector(0), &mut bytes)).unwrap();
    assert_eq!(bytes, contents(0, 12 * 512));
}

#[test]
fn cancelling_writes_to_nothing_and_frees_nothing_early() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let (mut disk, bell, woken) = (bench.owning(), Bell::new(), Woken::new());
    let queue = disk.awaited(&bell).unwrap();
    let mut bytes = vec![0xee; 3 * 512];
    {
        let mut reading = pin!(queue.read(Sector(0), &mut bytes));
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        bench.complete(0, 1);
        let mut owned = pin!(queue.read_owned(Sector(5), vec![0; 512]));
        assert!(poll(owned.as_mut(), &woken).is_pending());
    }
    assert_eq!(bench.device.held(0), 3, "the device has them all the same");
    for _ in 0..3 {
        bench.complete(0, 0);
    }
    assert_eq!(bytes[512..], [0xee; 1024]);
    bench.model().holds = false;
    finish(queue.read(Sector(9), &mut bytes)).unwrap();
    assert_eq!(bytes, contents(9, 3 * 512));
    bench.model().holds = true;
    assert!(poll(pin!(queue.read(Sector(9), &mut bytes)), &woken).is_pending());
    assert!(poll(pin!(queue.write_owned(Sector(9), vec![0; 512])), &woken).is_pending());
    drop(queue);
    drop(disk);
    hal.finish();
}

#[test]
fn owned_buffers_are_not_copied() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let (mut disk, bell) = (bench.owning(), Bell::new());
    let queue = disk.awaited(&bell).unwrap();
    let buffer = vec![0; 4096];
    let place = buffer.as_ptr();
    let buffer = finish(queue.read_owned(Sector(1), buffer)).unwrap();
    assert_eq!((buffer.as_ptr(), &buffer[..]), (place, &contents(1, 4096)[..]));
    let buffer = finish(queue.write_owned(Sector(40), buffer)).unwrap();
    assert_eq!(bench.model().store[40 * 512..48 * 512], buffer);
    assert_eq!(bench.model().seen[0].buffers, [(16, false), (4096, true), (1, true)]);
    bench.status(0, 1);
    let lost = finish(queue.read_owned(Sector(1), buffer)).unwrap_err();
    assert_eq!((lost.error, lost.buffers.unwrap().len()), (BlkError::Status(BlkStatus::IOERR), 4096));
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![0; 513], len: 512 });
    let lost = finish(queue.read_owned(Sector(1), vec![0; 512])).unwrap_err();
    let short = Misbehaved::ShortAnswer { written: 512, needed: 513 };
    assert_eq!(lost.error, BlkError::Core(short.into()));
}

// shows: blk.op.4, blk.op.5, blk.op.7, blk.op.8, blk.op.9, blk.op.10, blk.op.11, blk.op.14
#[test]
fn the_other_commands() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let (mut disk, bell) = (bench.open::<Owned<Box<[u8]>>>(DiskOptions::new()), Bell::new());
    let queue = disk.awaited(&bell).unwrap();
    let range = |first, count| [SectorRange::new(Sector(first), count)];
    finish(queue.flush()).unwrap();
    finish(queue.discard(&range(1, 10))).unwrap();
    finish(queue.write_zeroes(&range(30, 20), Unmap::Keep)).unwrap();
    finish(queue.secure_erase(&range(40, 8))).unwrap();
    assert_eq!(finish(queue.id()).unwrap().as_str(), Some("a disk made of Rust"));
    assert_eq!(finish(queue.lifetime()).unwrap().end_of_life, EndOfLife::Warning);
    let seen = bench.model().take_seen();
    let told: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.sector, ranges_of(&seen.data))).collect();
    assert_eq!(
        told,
        [
            (kind::FLUSH, 0, vec![]),
            (kind::DISCARD, 0, vec![(1, 10, 0)]),
            (kind::WRITE_ZEROES, 0, vec![(30, 20, 0)]),
            (kind::SECURE_ERASE, 0, vec![(40, 8, 0)]),
            (kind::GET_ID, 0, vec![]),
            (kind::GET_LIFETIME, 0, vec![]),
        ]
    );
    for value in [1, 2, 9] {
        let failed = Err(BlkError::Status(BlkStatus::new(value)));
        bench.status(0, value);
        assert_eq!(finish(queue.flush()), failed);
        bench.status(0, value);
        assert_eq!(finish(queue.id()).map(drop), failed);
    }
    let many = [range(0, 1)[0]; 4];
    let error = BlkError::TooManyRanges { ranges: 4, most: 3 };
    assert_eq!(finish(queue.discard(&many)), Err(error));
}

#[test]
fn segments_that_are_too_short_for_a_sector_and_its_header() {
    let hal = TestHal::new();
    let setup = Setup::offering(F_SIZE_MAX | F_SEG_MAX | F_FLUSH).with(8, 4, 520).with(12, 4, 9);
    let bench = setup.build(&hal);
    let (mut disk, bell) = (bench.owning(), Bell::new());
    let queue = disk.awaited(&bell).unwrap();
    let small = BlkError::SegmentsTooSmall { size_max: 520, seg_max: 1 };
    assert_eq!(finish(queue.read(Sector(0), &mut [0; 512])).unwrap_err().error, small);
    assert_eq!(finish(queue.write(Sector(0), &[0; 512])).unwrap_err().error, small);
    assert_eq!(finish(queue.read_owned(Sector(1), vec![0; 512])).unwrap(), contents(1, 512));
    finish(queue.flush()).unwrap();
}

#[test]
fn a_queue_that_is_given_up_or_breaks_wakes_everybody() {
    for gives_up in [true, false] {
        let hal = TestHal::new();
        let bench = Setup::default().build(&hal);
        bench.model().holds = true;
        let (mut disk, bell, woken) = (bench.owning(), Bell::new(), Woken::new());
        let queue = disk.awaited(&bell).unwrap();
        let mut bytes = vec![0; 4 * 512];
        let mut reading = Box::pin(queue.read(Sector(0), &mut bytes));
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        bench.complete(0, 0);
        let why = if gives_up {
            queue.fail(Misbehaved::NeedsReset);
            Misbehaved::NeedsReset
        } else {
            bench.device.lie(0, Lie::UsedId { id: 600, len: 513 });
            bell.ring();
            Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 600 }
        };
        assert!(woken.count() > 0);
        let Poll::Ready(Err(failed)) = poll(reading.as_mut(), &woken) else { panic!("it ends") };
        assert_eq!(failed.error, BlkError::Core(why.into()));
        drop(reading);
        drop(queue);
        bench.model().holds = false;
        let mut disk = disk.recover().unwrap();
        let queue = disk.awaited(&bell).unwrap();
        finish(queue.read(Sector(0), &mut bytes)).unwrap();
        assert_eq!(bytes, contents(0, 4 * 512));
    }
}

#[test]
fn a_bell_serves_one_queue() {
    let hal = TestHal::new();
    let (bench, bell) = (Setup::default().build(&hal), Bell::new());
    let other = Setup::default().build(&hal);
    let (mut one, mut two) = (bench.plain(), other.plain());
    let queue = one.awaited(&bell).unwrap();
    assert_eq!(two.awaited(&bell).unwrap_err(), BlkError::BellTaken);
    drop(queue);
    assert!(two.awaited(&bell).is_ok());
}

/// Many tasks, one notification: the executor says when.
#[test]
fn in_batches_the_executor_notifies() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let (mut disk, bell) = (bench.owning(), Bell::new());
    let queue = disk.awaited(&bell).unwrap().in_batches();
    let mut tasks: Vec<_> =
        (0..4).map(|at| Box::pin(queue.read_owned(Sector(at * 2), vec![0; 512]))).collect();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(tasks.iter_mut().all(|task| task.as_mut().poll(&mut cx).is_pending()));
    assert_eq!(bench.count(), 0, "the disk has heard of nothing");
    hal.clear_trace();
    assert!(queue.kick());
    assert_eq!(bench.count(), 4);
    let notified = |event: &Event| matches!(event, Event::Notify(_));
    assert_eq!(hal.trace().iter().filter(|event| notified(event)).count(), 1);
    for (task, at) in tasks.iter_mut().zip(0..) {
        let Poll::Ready(read) = task.as_mut().poll(&mut cx) else { panic!("it is done") };
        assert_eq!(read.unwrap(), contents(at * 2, 512));
    }
}
