//! Commands that are waited for (VIRTIO 1.4 §5.2.6).

use crate::bench::{ALL, Setup, able, contents, kind, read_only};

use virtio_blk::abi::{F_CONFIG_WCE, F_FLUSH, F_LIFETIME};
use virtio_blk::{
    BlkError, BlkStatus, CacheMode, DiskOptions, EndOfLife, Operation, Sector, SectorRange, TransferError,
    Unmap,
};
use virtio_core::{Error, Features, Misbehaved, QueueIndex, Wait};
use virtio_testkit::{Lie, Reply, TestHal};

// shows: blk.op.6
#[test]
fn what_is_written_is_read_on_every_ring() {
    let packed = Features::VERSION_1 | Features::RING_PACKED;
    let indirect = Features::VERSION_1 | Features::INDIRECT_DESC;
    for features in [Features::VERSION_1, indirect, packed, packed | indirect, indirect | Features::IN_ORDER]
    {
        if features.contains(Features::RING_PACKED) && cfg!(not(feature = "packed")) {
            continue;
        }
        let hal = TestHal::new();
        let bench = Setup::offering(features).build(&hal);
        let mut disk = bench.plain();
        assert_eq!(disk.capacity(), 64);
        let mut bytes = vec![0xee; 1024];
        disk.read(Sector(62), &mut bytes).unwrap();
        assert_eq!(bytes, contents(62, 1024));
        disk.write(Sector(3), &[7; 1536]).unwrap();
        disk.read(Sector(2), &mut bytes).unwrap();
        assert_eq!(bytes, [contents(2, 512), vec![7; 512]].concat());
        assert_eq!(bench.model().store[3 * 512..6 * 512], [7; 1536]);
        let seen = bench.model().take_seen();
        let buffers: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.sector, &seen.buffers[..])).collect();
        let read: &[_] = &[(16, false), (1024, true), (1, true)];
        let write: &[_] = &[(16, false), (1536, false), (1, true)];
        assert_eq!(buffers, [(kind::IN, 62, read), (kind::OUT, 3, write), (kind::IN, 2, read)]);
    }
}

#[test]
fn nothing_is_transferred_by_sending_nothing() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let mut disk = bench.plain();
    disk.read(Sector(64), &mut []).unwrap();
    disk.write(Sector(0), &[]).unwrap();
    disk.read_scattered(Sector(0), &mut [&mut [], &mut []]).unwrap();
    disk.write_gathered(Sector(0), &[]).unwrap();
    assert_eq!(bench.count(), 0);
}

#[test]
fn slices_of_any_length_make_sectors_together() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let mut disk = bench.plain();
    let (mut one, mut two, mut three) = ([0; 100], [0; 512], [0; 412]);
    disk.read_scattered(Sector(5), &mut [&mut one, &mut two, &mut [], &mut three]).unwrap();
    assert_eq!([&one[..], &two, &three].concat(), contents(5, 1024));
    disk.write_gathered(Sector(9), &[&[1; 500], &[2; 12], &[3; 512]]).unwrap();
    assert_eq!(bench.model().store[9 * 512..11 * 512], [&[1; 500][..], &[2; 12], &[3; 512]].concat());
    assert_eq!(bench.count(), 2);
}

// shows: blk.op.2, blk.op.6
#[test]
fn what_cannot_be_is_not_sent() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    let beyond = |first, count| {
        Err(TransferError {
            error: BlkError::BeyondCapacity { range: SectorRange::new(Sector(first), count), capacity: 64 },
            done: 0,
        })
    };
    let mut bytes = vec![0xee; 1024];
    for first in [63, 64, 65, 1 << 55, u64::MAX - 1, u64::MAX] {
        assert_eq!(disk.read(Sector(first), &mut bytes), beyond(first, 2));
        assert_eq!(disk.write(Sector(first), &bytes), beyond(first, 2));
        let range = SectorRange::new(Sector(first), 2);
        let error = BlkError::BeyondCapacity { range, capacity: 64 };
        assert_eq!(disk.discard(&[range]).unwrap_err().error, error);
        assert_eq!(disk.write_zeroes(&[range], Unmap::Keep).unwrap_err().error, error);
        assert_eq!(disk.secure_erase(&[range]).unwrap_err().error, error);
    }
    let all = SectorRange::new(Sector(1), u64::MAX);
    assert!(matches!(disk.discard(&[all]).unwrap_err().error, BlkError::BeyondCapacity { .. }));
    for len in [1, 511, 513, 1023] {
        let wrong = Err(TransferError { error: BlkError::BadLength { bytes: len }, done: 0 });
        assert_eq!(disk.read(Sector(0), &mut bytes[..len]), wrong);
        assert_eq!(disk.write(Sector(0), &bytes[..len]), wrong);
        assert_eq!(disk.write_gathered(Sector(0), &[&bytes[..len], &[]]), wrong);
    }
    assert_eq!(bytes, [0xee; 1024]);
    assert_eq!(bench.count(), 0);
    disk.read(Sector(62), &mut bytes).unwrap();
}

// shows: blk.op.3
#[test]
fn a_read_only_disk_is_not_written() {
    let hal = TestHal::new();
    for (bench, options) in
        [(read_only(&hal), DiskOptions::new()), (able(&hal), DiskOptions::new().read_only())]
    {
        let mut disk = bench.open::<()>(options);
        assert!(disk.is_read_only());
        assert_eq!(disk.write(Sector(0), &[0; 512]).unwrap_err().error, BlkError::ReadOnly);
        let range = [SectorRange::new(Sector(0), 1)];
        assert_eq!(disk.discard(&range).unwrap_err().error, BlkError::ReadOnly);
        assert_eq!(disk.write_zeroes(&range, Unmap::Allow).unwrap_err().error, BlkError::ReadOnly);
        assert_eq!(disk.secure_erase(&range).unwrap_err().error, BlkError::ReadOnly);
        assert_eq!(bench.count(), 0);
        let mut sector = [0; 512];
        disk.read(Sector(1), &mut sector).unwrap();
        assert_eq!(sector[..], contents(1, 512));
        disk.flush().unwrap();
    }
    assert!(read_only(&hal).plain().features().contains(virtio_blk::abi::F_RO));
}

#[test]
fn every_status_is_kept_and_the_disk_goes_on() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    let mut bytes = [0; 512];
    for value in 1..=255 {
        bench.status(0, value);
        let failed = BlkError::Status(BlkStatus::new(value));
        assert_eq!(disk.read(Sector(0), &mut bytes), Err(TransferError { error: failed, done: 0 }));
        bench.status(0, value);
        assert_eq!(disk.write(Sector(0), &bytes), Err(TransferError { error: failed, done: 0 }));
        bench.status(0, value);
        assert_eq!(disk.flush(), Err(failed));
        bench.status(0, value);
        assert_eq!(disk.id(), Err(failed));
        bench.status(0, value);
        assert_eq!(disk.lifetime(), Err(failed));
        bench.status(0, value);
        let ranges = [SectorRange::new(Sector(1), 1)];
        assert_eq!(disk.discard(&ranges).unwrap_err().error, failed);
    }
    disk.read(Sector(0), &mut bytes).unwrap();
    assert_eq!(bytes[..], contents(0, 512));
    assert_eq!(BlkError::Status(BlkStatus::IOERR).to_string(), "the device answers IOERR");
}

/// A device that says less than it must says nothing: neither status nor data count.
#[test]
fn lengths_that_do_not_reach_the_status_are_named() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    let mut bytes = [0xee; 512];
    for len in [0, 1, 511, 512] {
        let short = BlkError::Core(Misbehaved::ShortAnswer { written: len, needed: 513 }.into());
        bench.trick(0, move |_, _| Reply::Claim { bytes: vec![0; 513], len });
        assert_eq!(disk.read(Sector(0), &mut bytes).unwrap_err().error, short);
    }
    let none = BlkError::Core(Misbehaved::ShortAnswer { written: 0, needed: 1 }.into());
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![0], len: 0 });
    assert_eq!(disk.write(Sector(0), &bytes).unwrap_err().error, none);
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![0], len: 0 });
    assert_eq!(disk.flush(), Err(none));
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![0; 21], len: 20 });
    let short = BlkError::Core(Misbehaved::ShortAnswer { written: 20, needed: 21 }.into());
    assert_eq!(disk.id(), Err(short));
    // One that says too much has written no more than there is room for.
    for len in [513, 514, u32::MAX] {
        bench.trick(0, move |_, _| Reply::Claim { bytes: [vec![9; 512], vec![0]].concat(), len });
        disk.read(Sector(0), &mut bytes).unwrap();
        assert_eq!(bytes, [9; 512]);
    }
}

/// The status of an earlier request, in the same place, is not that of one whose status was not written.
#[test]
fn a_status_that_was_not_written_is_none() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    let mut bytes = [0xee; 512];
    disk.read(Sector(0), &mut bytes).unwrap();
    let unwritten = BlkError::Status(BlkStatus::UNWRITTEN);
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![9; 512], len: 513 });
    assert_eq!(disk.read(Sector(0), &mut bytes).unwrap_err().error, unwritten);
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![], len: 1 });
    assert_eq!(disk.write(Sector(0), &bytes).unwrap_err().error, unwritten);
}

// shows: blk.op.4, blk.op.5, blk.init.1
#[test]
fn a_flush_carries_nothing() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    disk.flush().unwrap();
    let seen = bench.model().take_seen();
    assert_eq!((seen[0].kind, seen[0].sector, seen[0].data.len(), seen[0].room), (kind::FLUSH, 0, 0, 0));
    assert_eq!(seen[0].buffers, [(16, false), (1, true)]);
}

#[test]
fn what_is_not_offered_is_named_and_not_sent() {
    let hal = TestHal::new();
    let bench = Setup::offering(Features::empty()).build(&hal);
    let mut disk = bench.plain();
    let range = [SectorRange::new(Sector(0), 1)];
    let not = BlkError::Unsupported;
    assert_eq!(disk.flush(), Err(not(Operation::Flush)));
    assert_eq!(disk.lifetime(), Err(not(Operation::Lifetime)));
    assert_eq!(disk.discard(&range).unwrap_err().error, not(Operation::Discard));
    assert_eq!(disk.write_zeroes(&range, Unmap::Keep).unwrap_err().error, not(Operation::WriteZeroes));
    assert_eq!(disk.secure_erase(&range).unwrap_err().error, not(Operation::SecureErase));
    assert_eq!(disk.zone_reset_all(), Err(not(Operation::Zones)));
    assert_eq!(disk.set_cache_mode(CacheMode::WriteBack), Err(not(Operation::SetCacheMode)));
    assert_eq!(disk.zeroing_may_unmap(), Ok(false));
    assert_eq!(bench.count(), 0);
}

// shows: blk.op.8
#[test]
fn names_have_twenty_bytes_and_perhaps_no_end() {
    let hal = TestHal::new();
    let bench = able(&hal);
    let mut disk = bench.plain();
    assert_eq!(disk.id().unwrap().as_str(), Some("a disk made of Rust"));
    bench.trick(0, |_, _| Reply::Write([vec![b'x'; 20], vec![0]].concat()));
    assert_eq!(disk.id().unwrap().as_bytes(), [b'x'; 20]);
    bench.trick(0, |_, _| Reply::Write(vec![0; 21]));
    assert_eq!(disk.id().unwrap().as_bytes(), b"");
}

#[test]
fn wear_is_told() {
    let hal = TestHal::new();
    let bench = Setup::offering(F_LIFETIME).build(&hal);
    let lifetime = bench.plain().lifetime().unwrap();
    assert_eq!((lifetime.end_of_life, lifetime.wear_a, lifetime.wear_b), (EndOfLife::Warning, 3, 11));
}

// shows: blk.init.2, blk.init.3
#[test]
fn the_cache_follows_from_what_is_negotiated() {
    let hal = TestHal::new();
    for (features, field, mode) in [
        (Features::empty(), 1, CacheMode::WriteThrough),
        (F_FLUSH, 0, CacheMode::WriteBack),
        (F_FLUSH | F_CONFIG_WCE, 0, CacheMode::WriteThrough),
        (F_FLUSH | F_CONFIG_WCE, 1, CacheMode::WriteBack),
        (F_FLUSH | F_CONFIG_WCE, 9, CacheMode::WriteBack),
    ] {
        let bench = Setup::offering(features).with(32, 1, field).build(&hal);
        assert_eq!(bench.plain().cache_mode(), Ok(mode), "{features:?}");
    }
}

// shows: blk.op.12
#[test]
fn the_cache_is_switched_and_looked_at() {
    let hal = TestHal::new();
    let bench = Setup::offering(ALL).with(8, 4, 4096).with(32, 1, 1).build(&hal);
    let mut disk = bench.plain();
    disk.set_cache_mode(CacheMode::WriteThrough).unwrap();
    assert_eq!(bench.device.config()[32], 0);
    assert_eq!(disk.cache_mode(), Ok(CacheMode::WriteThrough));
    disk.set_cache_mode(CacheMode::WriteBack).unwrap();
    assert_eq!(bench.device.config()[32], 1);
    drop(disk);
    bench.open::<()>(DiskOptions::new().cache_mode(CacheMode::WriteThrough));
    assert_eq!(bench.device.config()[32], 0);

    let stubborn = Setup::offering(ALL).with(8, 4, 4096).with(32, 1, 1);
    let stubborn =
        stubborn.build_with(&hal, |builder| builder.on_config_write(|config, _, _| config[32] = 1));
    let refused = BlkError::CacheModeRefused(CacheMode::WriteThrough);
    assert_eq!(stubborn.plain().set_cache_mode(CacheMode::WriteThrough), Err(refused));

    // What it is anyway needs no switch.
    let fixed = Setup::offering(F_FLUSH).build(&hal);
    assert_eq!(fixed.plain().set_cache_mode(CacheMode::WriteBack), Ok(()));
}

#[test]
fn a_silent_disk_is_given_up() {
    for clock in [true, false] {
        let hal = TestHal::new();
        if !clock {
            hal.without_clock(Some(100));
        }
        let bench = able(&hal);
        bench.model().holds = true;
        let mut disk = bench.open::<()>(DiskOptions::new().timeout(core::time::Duration::from_secs(2)));
        let mut bytes = [0; 512];
        let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(0)));
        let failed = |error| Err(TransferError { error: BlkError::Core(error), done: 0 });
        assert_eq!(disk.read(Sector(0), &mut bytes), failed(timeout.into()));
        assert_eq!(disk.read(Sector(0), &mut bytes), failed(Error::Down));
        assert_eq!(disk.flush(), Err(BlkError::Core(Error::Down)));
        assert_eq!(disk.cache_mode(), Err(BlkError::Core(Error::Down)));
        bench.model().holds = false;
        let mut disk = disk.recover().unwrap();
        disk.read(Sector(4), &mut bytes).unwrap();
        assert_eq!(bytes[..], contents(4, 512));
    }
}

#[test]
fn a_broken_ring_takes_the_disk_down() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let mut disk = bench.plain();
    bench.trick(0, |_, _| Reply::Lie(Lie::UsedId { id: 999, len: 513 }));
    let broken = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 999 };
    let mut bytes = [0; 512];
    assert_eq!(disk.read(Sector(0), &mut bytes).unwrap_err().error, BlkError::Core(broken.into()));
    assert_eq!(disk.read(Sector(0), &mut bytes).unwrap_err().error, BlkError::Core(Error::Down));
}
