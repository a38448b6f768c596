//! Buffers given away and fetched, many at a time.

use crate::bench::{Owning, Setup, able, contents, kind, ranges_of, read_only};

use virtio_blk::abi::{F_SEG_MAX, F_SIZE_MAX};
use virtio_blk::{
    BlkError, BlkStatus, DiskOptions, Operation, Owned, Refused, Scattered, Sector, SectorRange, Unmap,
};
use virtio_core::dma::Part;
use virtio_core::{Dma, Error, Features, Misbehaved, Misuse, QueueIndex, Wait};
use virtio_testkit::{Lie, Reply, TestHal};

// shows: blk.op.6
#[test]
fn buffers_come_back_in_the_order_in_which_they_were_used() {
    for features in
        [Features::empty(), Features::INDIRECT_DESC, Features::RING_PACKED | Features::INDIRECT_DESC]
    {
        if features.contains(Features::RING_PACKED) && cfg!(not(feature = "packed")) {
            continue;
        }
        let hal = TestHal::new();
        let bench = Setup::offering(features).build(&hal);
        bench.model().holds = true;
        let mut disk = bench.owning();
        let mut queue = disk.queue().unwrap();
        assert!(queue.poll().unwrap().is_none());
        let read = queue.add_read(Sector(4), vec![0xee; 512]).unwrap();
        let write = queue.add_write(Sector(9), vec![3; 1024]).unwrap();
        assert_eq!((bench.count(), queue.in_flight()), (0, 2));
        assert!(queue.kick());
        assert!(!queue.kick());
        assert_eq!(bench.count(), 2);
        bench.complete(0, 1);
        let answer = queue.poll().unwrap().unwrap();
        assert_eq!((answer.token, answer.buffers.unwrap().len(), answer.result), (write, 1024, Ok(())));
        assert!(queue.poll().unwrap().is_none());
        bench.complete(0, 0);
        let answer = queue.poll().unwrap().unwrap();
        assert_eq!((answer.token, answer.buffers.unwrap(), answer.result), (read, contents(4, 512), Ok(())));
        assert_eq!(bench.model().store[9 * 512..11 * 512], [3; 1024]);
    }
}

#[test]
fn a_queue_is_filled_to_its_size() {
    let hal = TestHal::new();
    for (options, fits) in [(DiskOptions::new(), 32), (DiskOptions::new().direct_chains(), 10)] {
        let setup = Setup { queue_max: 32, ..Setup::offering(Features::INDIRECT_DESC) };
        let bench = setup.build(&hal);
        bench.model().holds = true;
        let mut disk: Owning = bench.open(options);
        let mut queue = disk.queue().unwrap();
        assert_eq!((queue.size(), queue.free(), queue.index()), (32, 32, QueueIndex::new(0)));
        let tokens: Vec<_> = (0..fits).map(|at| queue.add_read(Sector(at), vec![0; 512]).unwrap()).collect();
        let full = queue.add_read(Sector(0), vec![1; 1024]).unwrap_err();
        assert_eq!(full.error, BlkError::Core(Misuse::QueueFull.into()));
        assert_eq!(full.buffers.unwrap(), [1; 1024]);
        queue.kick();
        let held = bench.device.held(0);
        assert_eq!(held as u64, fits);
        // The last first.
        for nth in (0..held).rev() {
            bench.complete(0, nth);
        }
        let mut seen = Vec::new();
        assert_eq!(queue.drain(5, |answer| seen.push(answer)).unwrap(), 5);
        while queue.drain(64, |answer| seen.push(answer)).unwrap() > 0 {}
        for (answer, (at, token)) in seen.iter().zip(tokens.iter().enumerate().rev()) {
            assert_eq!(answer.token, *token);
            assert_eq!(answer.buffers.as_deref(), Some(&contents(at as u64, 512)[..]));
        }
        assert_eq!((seen.len() as u64, queue.free()), (fits, 32));
    }
}

// shows: blk.op.2, blk.op.3, blk.op.6
#[test]
fn what_cannot_be_comes_back_and_is_not_sent() {
    let hal = TestHal::new();
    let bench = Setup::offering(F_SIZE_MAX | F_SEG_MAX).with(8, 4, 2048).with(12, 4, 2).build(&hal);
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    let error = |refused: Refused<Vec<u8>>, len| {
        assert_eq!(refused.buffers.unwrap().len(), len);
        refused.error
    };
    for len in [0, 1, 511, 513] {
        let bad = BlkError::BadLength { bytes: len };
        assert_eq!(error(queue.add_read(Sector(0), vec![0; len]).unwrap_err(), len), bad);
        assert_eq!(error(queue.add_write(Sector(0), vec![0; len]).unwrap_err(), len), bad);
    }
    let beyond = BlkError::BeyondCapacity { range: SectorRange::new(Sector(63), 2), capacity: 64 };
    assert_eq!(error(queue.add_read(Sector(63), vec![0; 1024]).unwrap_err(), 1024), beyond);
    assert_eq!(error(queue.add_write(Sector(63), vec![0; 1024]).unwrap_err(), 1024), beyond);
    let long = BlkError::TooLong { bytes: 8192, most: 4096 };
    assert_eq!(error(queue.add_read(Sector(0), vec![0; 8192]).unwrap_err(), 8192), long);
    assert_eq!(error(queue.add_read(Sector(0), vec![0; 4096]).unwrap_err(), 4096), BlkError::TooManyPieces);
    assert_eq!(queue.add_flush(), Err(BlkError::Unsupported(Operation::Flush)));
    queue.kick();
    assert_eq!(bench.count(), 0);

    let mut disk = read_only(&hal).owning();
    let mut queue = disk.queue().unwrap();
    assert_eq!(queue.add_write(Sector(0), vec![0; 512]).unwrap_err().error, BlkError::ReadOnly);
    assert_eq!(queue.add_discard(&[SectorRange::new(Sector(0), 1)]), Err(BlkError::ReadOnly));
}

#[test]
fn each_request_has_an_end_of_its_own() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    for value in [0, 1, 2, 3, 0x42, 255] {
        bench.trick(0, move |_, _| Reply::Write([vec![7; 512], vec![value]].concat()));
        queue.add_read(Sector(0), vec![0; 512]).unwrap();
        queue.kick();
        let answer = queue.poll().unwrap().unwrap();
        let status = BlkStatus::new(value);
        let expected = if value == 0 { Ok(()) } else { Err(BlkError::Status(status)) };
        assert_eq!((answer.result, answer.buffers.unwrap().len()), (expected, 512));
    }
    // Neither data nor status count if they were not said to be written.
    for (len, written) in [(0, 0), (512, 512), (511, 511)] {
        bench.trick(0, move |_, _| Reply::Claim { bytes: vec![0; 513], len });
        queue.add_read(Sector(0), vec![0; 512]).unwrap();
        queue.kick();
        let answer = queue.poll().unwrap().unwrap();
        let short = Misbehaved::ShortAnswer { written, needed: 513 };
        assert_eq!(answer.result, Err(BlkError::Core(short.into())));
        assert!(answer.buffers.is_some());
    }
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![0], len: 0 });
    queue.add_write(Sector(0), vec![0; 512]).unwrap();
    queue.kick();
    let short = Misbehaved::ShortAnswer { written: 0, needed: 1 };
    assert_eq!(queue.poll().unwrap().unwrap().result, Err(BlkError::Core(short.into())));
    // Nor if they were said to be, and were not.
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![9; 512], len: 513 });
    queue.add_read(Sector(0), vec![0; 512]).unwrap();
    queue.kick();
    let unwritten = BlkError::Status(BlkStatus::UNWRITTEN);
    assert_eq!(queue.poll().unwrap().unwrap().result, Err(unwritten));
}

// shows: blk.op.4, blk.op.5, blk.op.7, blk.op.9, blk.op.11, blk.op.10, blk.op.14
#[test]
fn commands_without_buffers() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    let range = |first, count| SectorRange::new(Sector(first), count);
    queue.add_flush().unwrap();
    queue.add_discard(&[range(1, 10), range(20, 3)]).unwrap();
    queue.add_write_zeroes(&[range(30, 20)], Unmap::Allow).unwrap();
    queue.add_secure_erase(&[range(40, 8)]).unwrap();
    queue.kick();
    for _ in 0..4 {
        let answer = queue.poll().unwrap().unwrap();
        assert_eq!((answer.result, answer.buffers), (Ok(()), None));
    }
    let seen = bench.model().take_seen();
    let told: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.sector, ranges_of(&seen.data))).collect();
    assert_eq!(
        told,
        [
            (kind::FLUSH, 0, vec![]),
            (kind::DISCARD, 0, vec![(1, 10, 0), (20, 3, 0)]),
            (kind::WRITE_ZEROES, 0, vec![(30, 20, 1)]),
            (kind::SECURE_ERASE, 0, vec![(40, 8, 0)]),
        ]
    );
    // None is split.
    let many = [range(0, 1); 4];
    assert_eq!(queue.add_discard(&many), Err(BlkError::TooManyRanges { ranges: 4, most: 3 }));
    let long = range(0, 11);
    assert_eq!(queue.add_discard(&[long]), Err(BlkError::RangeTooLong { range: long, most: 10 }));
    assert_eq!(queue.add_discard(&[]), Err(BlkError::BadLength { bytes: 0 }));
    queue.kick();
    assert_eq!(bench.count(), 0);
}

#[cfg(feature = "alloc")]
#[test]
fn several_buffers_are_one_request() {
    let hal = TestHal::new();
    for indirect in [true, false] {
        let bench = Setup::offering(Features::INDIRECT_DESC).build(&hal);
        let options = if indirect { DiskOptions::new().segments(3) } else { DiskOptions::new() };
        let mut disk = bench.open::<Owned<Scattered<Vec<Vec<u8>>>>>(options);
        let mut queue = disk.queue().unwrap();
        let free = queue.free();
        queue.add_read(Sector(1), Scattered(vec![vec![0; 500], vec![0; 512], vec![0; 12]])).unwrap();
        assert_eq!(free - queue.free(), if indirect { 1 } else { 5 });
        queue.kick();
        let Scattered(lists) = queue.poll().unwrap().unwrap().buffers.unwrap();
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [500, 512, 12]);
        assert_eq!(lists.concat(), contents(1, 1024));
        queue.add_write(Sector(5), Scattered(vec![vec![1; 256], vec![2; 256]])).unwrap();
        queue.kick();
        let answer = queue.poll().unwrap().unwrap();
        assert_eq!(answer.result, Ok(()));
        assert_eq!(bench.model().store[5 * 512..6 * 512], [[1; 256], [2; 256]].concat());
        let refused = queue.add_write(Sector(5), Scattered(vec![vec![1; 256], vec![2; 255]])).unwrap_err();
        assert_eq!(refused.error, BlkError::BadLength { bytes: 511 });
        assert_eq!(refused.buffers.unwrap().0.len(), 2);
    }
}

#[test]
fn an_array_of_buffers_is_one_request() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let mut disk = bench.open::<Owned<Scattered<[Vec<u8>; 2]>>>(DiskOptions::new());
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(1), Scattered([vec![0; 512], vec![0; 512]])).unwrap();
    queue.add_write(Sector(2), Scattered([vec![4; 100], vec![5; 412]])).unwrap();
    queue.kick();
    assert_eq!(queue.poll().unwrap().unwrap().buffers.unwrap().0.concat(), contents(1, 1024));
    assert_eq!(queue.poll().unwrap().unwrap().buffers.unwrap().0[1], [5; 412]);
}

#[test]
fn every_kind_of_buffer_is_taken() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let mut disk = bench.open::<Owned<Dma<[u8], TestHal>>>(DiskOptions::new());
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(7), Dma::zeroed_slice(hal.clone(), 4096).unwrap()).unwrap();
    queue.kick();
    let pages = queue.poll().unwrap().unwrap().buffers.unwrap();
    assert_eq!(pages.as_slice(), contents(7, 4096));
    drop((pages, disk));

    let mut disk = bench.open::<Owned<&'static mut [u8]>>(DiskOptions::new());
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(7), Box::leak(Box::new([0; 512]))).unwrap();
    queue.kick();
    assert_eq!(queue.poll().unwrap().unwrap().buffers.unwrap(), contents(7, 512));
    drop(disk);

    let mut disk = bench.open::<Owned<Part<Box<[u8]>>>>(DiskOptions::new());
    let mut queue = disk.queue().unwrap();
    let page = vec![9; 4096].into_boxed_slice();
    queue.add_read(Sector(7), Part::new(page, 1024..1536).unwrap()).unwrap();
    queue.kick();
    let page = queue.poll().unwrap().unwrap().buffers.unwrap().into_inner();
    assert_eq!(page[..], [vec![9; 1024], contents(7, 512), vec![9; 2560]].concat());
}

#[test]
fn waiting_for_one_of_many() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    let tokens = [0, 1, 2].map(|at| queue.add_read(Sector(at), vec![0; 512]).unwrap());
    queue.kick();
    for _ in 0..2 {
        bench.complete(0, 0);
    }
    assert_eq!(queue.wait(tokens[1]).unwrap().buffers.unwrap(), contents(1, 512));
    assert_eq!(queue.poll().unwrap().unwrap().token, tokens[0]);
    let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(0)));
    assert_eq!(queue.wait(tokens[2]).unwrap_err(), BlkError::Core(timeout.into()));
    bench.complete(0, 0);
    assert_eq!(queue.wait(tokens[2]).unwrap().token, tokens[2]);
    assert!(matches!(queue.wait(tokens[2]), Err(BlkError::Core(Error::Caller(Misuse::NoSuchRequest)))));
}

#[test]
fn waiting_and_giving_away_take_turns() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    let token = queue.add_read(Sector(3), vec![0; 512]).unwrap();
    queue.kick();
    bench.model().holds = false;
    let mut bytes = [0; 512];
    disk.read(Sector(8), &mut bytes).unwrap();
    assert_eq!(bytes[..], contents(8, 512));
    bench.complete(0, 0);
    disk.write(Sector(9), &bytes).unwrap();
    let answer = disk.queue().unwrap().poll().unwrap().unwrap();
    assert_eq!((answer.token, answer.buffers.unwrap()), (token, contents(3, 512)));
}

#[test]
fn dropped_in_mid_flight() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    for at in 0..3 {
        queue.add_read(Sector(at), vec![0; 512]).unwrap();
    }
    queue.kick();
    queue.add_write(Sector(9), vec![0; 512]).unwrap();
    assert_eq!(bench.device.held(0), 3);
    drop(disk);
    // The Hal's own check: the device was reset first, and all is freed.
    assert!(hal.outstanding().is_none());
    hal.finish();
}

#[test]
fn a_broken_queue_says_so_and_is_brought_up_again() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(0), vec![0; 512]).unwrap();
    queue.kick();
    bench.device.lie(0, Lie::UsedId { id: 300, len: 8 });
    let broken: Error = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 300 }.into();
    assert_eq!(queue.poll().unwrap_err(), BlkError::Core(broken));
    assert_eq!(queue.drain(1, |_| ()).unwrap_err(), BlkError::Core(broken));
    let refused = queue.add_read(Sector(0), vec![0; 512]).unwrap_err();
    assert_eq!((refused.error, refused.buffers.unwrap().len()), (BlkError::Core(broken), 512));
    bench.model().holds = false;
    let mut disk = disk.recover().unwrap();
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(2), vec![0; 512]).unwrap();
    queue.kick();
    assert_eq!(queue.poll().unwrap().unwrap().buffers.unwrap(), contents(2, 512));
}

#[test]
fn every_failed_sharing_gives_the_buffer_back() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        hal.set_max_segment(128);
        let bench = Setup::default().build(&hal);
        let mut disk = bench.owning();
        hal.fail_nth(n);
        match disk.queue().unwrap().add_write(Sector(0), vec![0xee; 512]) {
            Err(refused) => {
                assert!(matches!(refused.error, BlkError::Core(Error::Platform(_))));
                assert_eq!(refused.buffers.unwrap(), [0xee; 512]);
                failures += 1;
            }
            Ok(_) => break,
        }
    }
    assert!(failures >= 4, "{failures}");
}
