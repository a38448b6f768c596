//! What a disk says about itself, and which are refused (VIRTIO 1.4 §5.2.4, §5.2.5).

use crate::bench::{ALL, Plain, Setup, able};

use virtio_blk::abi::{
    F_BLK_SIZE, F_DISCARD, F_FLUSH, F_GEOMETRY, F_MQ, F_RO, F_SEG_MAX, F_SIZE_MAX, F_TOPOLOGY,
    F_WRITE_ZEROES, F_ZONED,
};
use virtio_blk::{
    BlkError, CacheMode, Disk, DiskOptions, Geometry, Operation, RangeLimits, Topology, ZoneModel, Zones,
};
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex, Status};
use virtio_testkit::{Call, Event, FakeDevice, TestHal};

/// Looks at a disk that was opened.
fn open<V>(setup: Setup, options: DiskOptions, look: impl FnOnce(Plain) -> V) -> Result<V, BlkError> {
    let hal = TestHal::new();
    let bench = setup.build(&hal);
    Disk::open(bench.device.transport(), hal.clone(), options).map(look)
}

#[test]
fn everything_it_says_is_there() {
    let hal = TestHal::new();
    let bench = Setup::offering(ALL)
        .with(8, 4, 0x10000)
        .with(12, 4, 17)
        .with(16, 2, 300)
        .with(18, 1, 4)
        .with(19, 1, 5)
        .with(20, 4, 4096)
        .with(24, 1, 3)
        .with(25, 1, 2)
        .with(26, 2, 16)
        .with(28, 4, 32)
        .with(34, 2, 9)
        .with(36, 4, 100)
        .with(40, 4, 2)
        .with(44, 4, 8)
        .with(48, 4, 200)
        .with(52, 4, 3)
        .with(56, 1, 1)
        .with(60, 4, 300)
        .with(64, 4, 4)
        .with(68, 4, 16)
        .build(&hal);
    let disk = bench.plain();
    let limits = *disk.limits();
    assert_eq!((disk.capacity(), limits.block_size), (64, 4096));
    assert_eq!((limits.size_max, limits.seg_max), (Some(0x10000), Some(17)));
    assert_eq!(limits.geometry, Some(Geometry { cylinders: 300, heads: 4, sectors: 5 }));
    let topology = Topology { physical_block_exp: 3, alignment_offset: 2, min_io_size: 16, opt_io_size: 32 };
    assert_eq!(limits.topology, Some(topology));
    assert_eq!((limits.queues, disk.queue_count()), (9, 1));
    let range = |max_sectors, max_ranges, alignment| Some(RangeLimits { max_sectors, max_ranges, alignment });
    assert_eq!(limits.discard, range(100, 2, 8));
    assert_eq!(limits.write_zeroes, range(200, 3, 1));
    assert_eq!(limits.secure_erase, range(300, 4, 16));
    assert_eq!(disk.zeroing_may_unmap(), Ok(true));
    assert_eq!(disk.features() & ALL, ALL);
    assert!(!disk.is_read_only() && disk.transport_info().is_ok());
}

#[test]
fn what_is_not_offered_is_not_read() {
    // A space that ends behind the capacity.
    let hal = TestHal::new();
    let legacy_bits = Features::bit(0) | Features::bit(7) | Features::bit(3);
    let setup = Setup::offering(legacy_bits | F_RO | F_FLUSH);
    let config = setup.config()[..8].to_vec();
    let bench = setup.build_with(&hal, |builder| builder.config(config));
    let disk = bench.plain();
    assert_eq!(disk.limits().topology, None);
    // And the legacy features BARRIER and SCSI are nobody's.
    assert_eq!(bench.device.accepted(), Features::VERSION_1 | F_RO | F_FLUSH);
}

#[test]
fn nonsense_is_refused_by_name() {
    let new = |setup| open(setup, DiskOptions::new(), drop).unwrap_err();
    for size in [0, 256, 511, 513, u64::from(u32::MAX)] {
        let bad = BlkError::BadBlockSize(u32::try_from(size).unwrap());
        assert_eq!(new(Setup::offering(F_BLK_SIZE).with(20, 4, size)), bad);
    }
    for sectors in [1 << 55, u64::MAX] {
        assert_eq!(new(Setup { sectors, ..Setup::default() }), BlkError::BadCapacity(sectors));
    }
    let small = Setup::offering(F_SIZE_MAX | F_SEG_MAX).with(8, 4, 100).with(12, 4, 5);
    assert_eq!(new(small), BlkError::SegmentsTooSmall { size_max: 100, seg_max: 5 });
}

#[test]
fn a_space_that_ends_too_early_is_named() {
    for (feature, offset, len) in [
        (F_SIZE_MAX, 8, 4),
        (F_SEG_MAX, 12, 4),
        (F_GEOMETRY, 18, 1),
        (F_BLK_SIZE, 20, 4),
        (F_TOPOLOGY, 28, 4),
        (F_MQ, 34, 2),
        (F_DISCARD, 44, 4),
        (F_WRITE_ZEROES, 52, 4),
        (F_ZONED, 92, 1),
    ] {
        let hal = TestHal::new();
        let setup = Setup::offering(feature);
        let config = setup.config()[..offset].to_vec();
        let bench = setup.build_with(&hal, |builder| builder.config(config));
        let error = Disk::new(bench.device.transport(), hal.clone()).unwrap_err();
        assert_eq!(error, BlkError::Core(Incompatible::ConfigTooSmall { offset, len }.into()));
    }
}

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = FakeDevice::builder(DeviceId::NET).build(&hal);
    let error = Disk::new(other.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, BlkError::Core(Incompatible::WrongDevice(DeviceId::NET).into()));
    let error = open(Setup { queues: 0, ..Setup::default() }, DiskOptions::new(), drop).unwrap_err();
    assert_eq!(error, BlkError::Core(Incompatible::NoQueue(QueueIndex::new(0)).into()));
    let tiny = Incompatible::QueueTooSmall { queue: QueueIndex::new(0), max: 2, needed: 3 };
    let error = open(Setup { queue_max: 2, ..Setup::default() }, DiskOptions::new(), drop).unwrap_err();
    assert_eq!(error, BlkError::Core(tiny.into()));
    let error = open(Setup::default(), DiskOptions::new().queue_size(0), drop).unwrap_err();
    assert!(matches!(error, BlkError::Core(Error::Caller(_))));
    let error =
        open(Setup::default(), DiskOptions::new().cache_mode(CacheMode::WriteThrough), drop).unwrap_err();
    assert_eq!(error, BlkError::Unsupported(Operation::SetCacheMode));
}

// shows: blk.init.5, blk.init.8
#[test]
fn zones_that_were_not_asked_for_are_refused() {
    for (model, zones) in [
        (ZoneModel::HOST_MANAGED, Zones::Refuse),
        (ZoneModel::HOST_MANAGED, Zones::Ignore),
        (ZoneModel::HOST_AWARE, Zones::Refuse),
    ] {
        let hal = TestHal::new();
        let bench = Setup::offering(F_ZONED).with(92, 1, model.get().into()).build(&hal);
        let options = DiskOptions::new().zones(zones);
        let opened = Disk::<_, _, ()>::open(bench.device.transport(), hal.clone(), options);
        assert_eq!(opened.unwrap_err(), BlkError::Zoned(model));
        let status = bench.device.status();
        assert!(status.contains(Status::FAILED) && !status.contains(Status::FEATURES_OK));
        assert!(!hal.trace().iter().any(|event| matches!(event, Event::DmaAlloc { .. })));
    }
    // One that does not exist.
    let error = open(Setup::offering(F_ZONED).with(92, 1, 3), DiskOptions::new().zones(Zones::Use), drop)
        .unwrap_err();
    assert!(matches!(error, BlkError::Zoned(model) if model.get() == 3));
}

// shows: blk.init.5, blk.init.9, blk.init.10
#[test]
fn zones_that_need_not_be_known_are_ignored() {
    for (model, options) in [
        (ZoneModel::NONE, DiskOptions::new()),
        (ZoneModel::NONE, DiskOptions::new().zones(Zones::Use)),
        (ZoneModel::HOST_AWARE, DiskOptions::new().zones(Zones::Ignore)),
    ] {
        let setup = Setup::offering(F_ZONED | F_DISCARD).with(92, 1, model.get().into());
        let look = |disk: Plain| (disk.features(), disk.limits().zones);
        let (features, zones) = open(setup, options, look).unwrap();
        assert!(!features.contains(F_ZONED) && features.contains(F_DISCARD));
        assert_eq!(zones, None);
    }
}

// shows: blk.init.4
#[test]
fn the_mode_of_the_cache_is_not_looked_at_before_the_features_are_settled() {
    let hal = TestHal::new();
    let bench = Setup::offering(ALL).with(8, 4, 4096).build(&hal);
    drop(bench.open::<()>(DiskOptions::new().cache_mode(CacheMode::WriteThrough)));
    let trace = hal.trace();
    let settled = trace.iter().position(
        |event| matches!(event, Event::StatusWrite(status) if status.contains(Status::FEATURES_OK)),
    );
    let looked = trace.iter().position(|event| matches!(event, Event::ConfigRead { offset: 32, .. }));
    assert!(settled.unwrap() < looked.unwrap());
}

#[test]
fn features_can_be_declined() {
    let hal = TestHal::new();
    let bench = Setup::offering(F_FLUSH | Features::INDIRECT_DESC | Features::EVENT_IDX).build(&hal);
    let options = DiskOptions::new().direct_chains().refuse(F_FLUSH);
    let disk = bench.open::<()>(options);
    assert_eq!(disk.features(), Features::VERSION_1 | Features::EVENT_IDX);
}

/// Whichever allocation fails: an error, and nothing is left behind (the Hal's own check at its end).
#[test]
fn every_failed_allocation_is_survived() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        let bench = able(&hal);
        hal.fail_nth(n);
        match Disk::new(bench.device.transport(), hal.clone()) {
            Err(error) => {
                assert!(matches!(error, BlkError::Core(Error::Platform(_))), "{error}");
                failures += 1;
            }
            Ok(_) => {
                assert!(!hal.has_failed());
                break;
            }
        }
    }
    assert!(failures > 3, "{failures}");
    let hal = TestHal::new();
    hal.fail_nth_of(Call::DmaAlloc, 1);
    assert!(Disk::new(able(&hal).device.transport(), hal.clone()).is_err());
}
