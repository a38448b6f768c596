//! Disks with zones (VIRTIO 1.4 §5.2.6).

use crate::bench::{Bench, Owning, Plain, Setup, contents};

use virtio_blk::abi::{F_DISCARD, F_MQ, F_RO, F_SECURE_ERASE, F_ZONED};
use virtio_blk::{
    BlkError, BlkStatus, DiskOptions, Operation, Sector, SectorRange, Zone, ZoneModel, ZoneState, ZoneType,
    Zones,
};
use virtio_core::{Error, Features, Misbehaved};
use virtio_testkit::{Reply, TestHal};

/// Zones of 16 sectors, written 1024 bytes at a time, 8 sectors appended at once; the last zone is short.
fn zoned(model: ZoneModel, features: Features) -> Setup {
    let setup = Setup { sectors: 100, ..Setup::offering(F_ZONED | F_DISCARD | features) };
    let setup = setup.with(72, 4, 16).with(76, 4, 3).with(80, 4, 4).with(84, 4, 8).with(88, 4, 1024);
    setup.with(92, 1, model.get().into())
}

fn managed(hal: &TestHal) -> Bench {
    zoned(ZoneModel::HOST_MANAGED, Features::empty()).build(hal)
}

fn open(bench: &Bench) -> Plain {
    bench.open(DiskOptions::new().zones(Zones::Use))
}

// shows: blk.init.6, blk.init.7
#[test]
fn zones_that_were_asked_for_are_used() {
    let hal = TestHal::new();
    for (model, discards) in [(ZoneModel::HOST_MANAGED, false), (ZoneModel::HOST_AWARE, true)] {
        let bench = zoned(model, Features::empty()).build(&hal);
        let disk = open(&bench);
        assert!(disk.features().contains(F_ZONED));
        assert_eq!(bench.device.accepted().contains(F_DISCARD), discards);
        let zones = disk.limits().zones.unwrap();
        assert_eq!((zones.model, zones.zone_sectors, zones.write_granularity), (model, 16, 1024));
        assert_eq!((zones.max_open, zones.max_active, zones.max_append_sectors), (3, 4, 8));
    }
    for (offset, value) in [(72, 0), (88, 0), (88, 100), (72, 5)] {
        let bench = zoned(ZoneModel::HOST_MANAGED, Features::empty()).with(offset, 4, value).build(&hal);
        let options = DiskOptions::new().zones(Zones::Use);
        let opened = virtio_blk::Disk::<_, _, ()>::open(bench.device.transport(), hal.clone(), options);
        assert_eq!(opened.unwrap_err(), BlkError::BadZones);
    }
}

/// Type, state, start, capacity and write pointer, as they are sent.
fn descriptor(start: u64, kind: u8, state: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [14, start, start + 2] {
        bytes.extend(u64::to_le_bytes(number));
    }
    bytes.extend([kind, state]);
    bytes.resize(64, 0);
    bytes
}

fn report(count: u64, zones: &[Vec<u8>]) -> Reply {
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.resize(64, 0);
    bytes.extend(zones.concat());
    Reply::Write(bytes)
}

/// A whole answer: what is not written of it is zero.
fn whole(reply: Reply, room: usize) -> Reply {
    let Reply::Write(mut bytes) = reply else { panic!("a report is written") };
    bytes.resize(room, 0);
    bytes.push(0);
    Reply::Write(bytes)
}

// shows: blk.op.18
#[test]
fn zones_are_reported() {
    let hal = TestHal::new();
    let bench = managed(&hal);
    let mut disk = open(&bench);
    for request in 0..3 {
        bench.trick(request, |seen, _| {
            assert_eq!((seen.kind, seen.sector % 16), (16, 0));
            let asked = (seen.room - 64) / 64;
            let zones: Vec<_> = (0..asked as u64)
                .map(|nth| {
                    descriptor(
                        seen.sector + nth * 16,
                        2,
                        [1, 2, 3, 4, 13, 14, 15][(seen.sector / 16) as usize],
                    )
                })
                .collect();
            whole(report(asked as u64, &zones), seen.room)
        });
    }
    let mut zones = [Zone::NONE; 6];
    // From inside the second one.
    assert_eq!(disk.zones(Sector(20), &mut zones[..5]), Ok(5));
    assert_eq!(zones[0].start, Sector(16));
    assert_eq!((zones[0].capacity, zones[0].write_pointer), (14, Sector(18)));
    assert_eq!((zones[0].kind, zones[0].state), (ZoneType::SequentialRequired, ZoneState::ImplicitlyOpen));
    assert_eq!((zones[4].start, zones[4].state), (Sector(80), ZoneState::Full));
    let sent: Vec<_> = bench.model().take_seen().iter().map(|seen| (seen.sector, seen.room)).collect();
    assert_eq!(sent, [(16, 64 + 4 * 64), (80, 64 + 64)]);
    // There are no more than seven.
    assert_eq!(disk.zones(Sector(96), &mut zones), Ok(1));
    assert_eq!((zones[0].start, zones[0].state), (Sector(96), ZoneState::Offline));
    assert_eq!(disk.zones(Sector(0), &mut []), Ok(0));
    assert!(matches!(disk.zones(Sector(100), &mut zones), Err(BlkError::BeyondCapacity { .. })));
}

#[test]
fn reports_that_make_no_sense_are_named() {
    let hal = TestHal::new();
    let bench = managed(&hal);
    let mut disk = open(&bench);
    let mut zones = [Zone::NONE; 3];
    let mut wrong_capacity = descriptor(0, 1, 0);
    wrong_capacity[0] = 17;
    let cases = [
        report(0, &[]),
        report(4, &[]),
        report(u64::MAX, &[]),
        report(1, &[descriptor(16, 1, 0)]),
        report(2, &[descriptor(0, 1, 0), descriptor(0, 1, 0)]),
        report(1, &[wrong_capacity]),
    ];
    for case in cases {
        bench.trick(0, |seen, _| whole(case, seen.room));
        assert_eq!(disk.zones(Sector(0), &mut zones), Err(BlkError::BadZoneReport));
    }
    bench.status(0, 1);
    assert_eq!(disk.zones(Sector(0), &mut zones), Err(BlkError::Status(BlkStatus::IOERR)));
    // States and types that do not exist are kept.
    bench.trick(0, |seen, _| whole(report(1, &[descriptor(0, 9, 77)]), seen.room));
    assert_eq!(disk.zones(Sector(0), &mut zones[..1]), Ok(1));
    assert_eq!((zones[0].kind, zones[0].state), (ZoneType::Unknown(9), ZoneState::Unknown(77)));
}

// shows: blk.op.20, blk.op.21
#[test]
fn commands_name_the_first_sector_of_a_zone() {
    let hal = TestHal::new();
    let bench = managed(&hal);
    let mut disk = open(&bench);
    disk.zone_open(Sector(16)).unwrap();
    disk.zone_close(Sector(32)).unwrap();
    disk.zone_finish(Sector(48)).unwrap();
    disk.zone_reset(Sector(96)).unwrap();
    disk.zone_reset_all().unwrap();
    let seen = bench.model().take_seen();
    let sent: Vec<_> =
        seen.iter().map(|seen| (seen.kind, seen.sector, seen.data.len() + seen.room)).collect();
    assert_eq!(sent, [(18, 16, 0), (20, 32, 0), (22, 48, 0), (24, 96, 0), (26, 0, 0)]);
    for start in [1, 17, 99] {
        assert_eq!(disk.zone_open(Sector(start)), Err(BlkError::Misaligned(Sector(start))));
        assert_eq!(disk.zone_reset(Sector(start)), Err(BlkError::Misaligned(Sector(start))));
    }
    assert!(matches!(disk.zone_finish(Sector(112)), Err(BlkError::BeyondCapacity { .. })));
    assert_eq!(bench.count(), 0);
    for value in [3, 4, 5, 6] {
        bench.status(0, value);
        assert_eq!(disk.zone_open(Sector(0)), Err(BlkError::Status(BlkStatus::new(value))));
    }
    let mut disk = open(&zoned(ZoneModel::HOST_MANAGED, F_RO).build(&hal));
    assert_eq!(disk.zone_open(Sector(0)), Err(BlkError::ReadOnly));
    assert_eq!(disk.zone_reset_all(), Err(BlkError::ReadOnly));
}

// shows: blk.op.22, blk.op.23, blk.op.24, blk.op.25
#[test]
fn appending_goes_to_a_zone_and_comes_back_with_a_place() {
    let hal = TestHal::new();
    let bench = managed(&hal);
    let mut disk = open(&bench);
    let answer = |at: u64| Reply::Write([&at.to_le_bytes()[..], &[0]].concat());
    bench.trick(0, move |seen, _| {
        assert_eq!((seen.kind, seen.sector, seen.data.len(), seen.room), (15, 32, 2048, 8));
        answer(36)
    });
    assert_eq!(disk.zone_append(Sector(32), &[1; 2048]), Ok(Sector(36)));
    bench.model().take_seen();
    for len in [0, 512, 1536] {
        assert_eq!(disk.zone_append(Sector(32), &vec![1; len]), Err(BlkError::BadLength { bytes: len }));
    }
    let long = BlkError::TooLong { bytes: 5120, most: 4096 };
    assert_eq!(disk.zone_append(Sector(32), &[1; 5120]), Err(long));
    assert_eq!(disk.zone_append(Sector(34), &[1; 1024]), Err(BlkError::Misaligned(Sector(34))));
    assert_eq!(bench.count(), 0);
    for at in [0, 31, 45, 48, u64::MAX] {
        bench.trick(0, move |_, _| answer(at));
        assert_eq!(disk.zone_append(Sector(32), &[1; 2048]), Err(BlkError::BadAppend(Sector(at))));
    }
    bench.status(0, 3);
    let invalid = BlkError::Status(BlkStatus::ZONE_INVALID_CMD);
    assert_eq!(disk.zone_append(Sector(32), &[1; 1024]), Err(invalid));
    bench.trick(0, |_, _| Reply::Claim { bytes: vec![0; 9], len: 8 });
    let short = Misbehaved::ShortAnswer { written: 8, needed: 9 };
    assert_eq!(disk.zone_append(Sector(32), &[1; 1024]), Err(BlkError::Core(Error::from(short))));

    let bench = zoned(ZoneModel::HOST_MANAGED, Features::empty()).with(84, 4, 0).build(&hal);
    let error = open(&bench).zone_append(Sector(0), &[1; 1024]).unwrap_err();
    assert_eq!(error, BlkError::Unsupported(Operation::ZoneAppend));
}

// shows: blk.op.26
#[test]
fn writes_are_as_the_zones_want_them() {
    let hal = TestHal::new();
    let bench = zoned(ZoneModel::HOST_MANAGED, F_MQ).build(&hal);
    let mut disk: Owning = bench.open(DiskOptions::new().zones(Zones::Use));
    let fail = |error| Err(virtio_blk::TransferError { error, done: 0 });
    assert_eq!(disk.write(Sector(0), &[1; 512]), fail(BlkError::BadLength { bytes: 512 }));
    assert_eq!(disk.write(Sector(1), &[1; 1024]), fail(BlkError::Misaligned(Sector(1))));
    assert_eq!(bench.count(), 0);
    // Reads need no more than a sector; neither crosses from zone to zone.
    let mut bytes = vec![0; 40 * 512];
    disk.read(Sector(5), &mut bytes).unwrap();
    assert_eq!(bytes, contents(5, 40 * 512));
    disk.write(Sector(10), &[9; 20 * 512]).unwrap();
    let sent: Vec<_> = bench.model().take_seen();
    let sent: Vec<_> = sent.iter().map(|seen| (seen.sector, (seen.room + seen.data.len()) / 512)).collect();
    assert_eq!(sent, [(5, 11), (16, 16), (32, 13), (10, 6), (16, 14)]);
    let mut queue = disk.queue().unwrap();
    let crossing = SectorRange::new(Sector(14), 4);
    assert_eq!(
        queue.add_read(Sector(14), vec![0; 2048]).unwrap_err().error,
        BlkError::CrossesZones(crossing)
    );
    assert_eq!(
        queue.add_write(Sector(15), vec![0; 1024]).unwrap_err().error,
        BlkError::Misaligned(Sector(15))
    );
    queue.add_write(Sector(14), vec![0; 1024]).unwrap();
}

// shows: blk.op.text.1
#[test]
fn whole_zones_are_erased() {
    let hal = TestHal::new();
    let bench = zoned(ZoneModel::HOST_MANAGED, F_SECURE_ERASE).with(68, 4, 16).build(&hal);
    let mut disk = open(&bench);
    disk.secure_erase(&[SectorRange::new(Sector(16), 32)]).unwrap();
    for range in [SectorRange::new(Sector(16), 8), SectorRange::new(Sector(8), 16)] {
        assert_eq!(disk.secure_erase(&[range]).unwrap_err().error, BlkError::Misaligned(range.first));
    }
    assert_eq!(bench.count(), 1);
}

#[test]
fn a_disk_without_zones_has_none() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let mut disk = open(&bench);
    let not = BlkError::Unsupported(Operation::Zones);
    assert_eq!(disk.zones(Sector(0), &mut [Zone::NONE]), Err(not));
    assert_eq!(disk.zone_open(Sector(0)), Err(not));
    assert_eq!(disk.zone_append(Sector(0), &[0; 512]), Err(not));
}
