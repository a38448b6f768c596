//! A disk that says about itself, and answers, what libFuzzer likes: limits that make no sense, statuses that do not exist,
//! lengths that are short or too long, what it has not written, the ring's rules broken. What it gets is always a request that a
//! driver may send to such a disk; what counts as done is what it has answered in full, with the status OK.
#![no_main]

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use virtio_blk::{
    BlkError, CacheMode, Disk, DiskOptions, Owned, Scattered, Sector, SectorRange, Unmap, Zone, Zones,
};
use virtio_core::queue::Bell;
use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Features};
use virtio_testkit::{FakeDevice, FakeTransport, Lie, Reply, Request, TestHal};

type Blk = Disk<FakeTransport, TestHal, Owned<Scattered<Vec<Vec<u8>>>>>;

/// What the device, and the test, know.
#[derive(Default)]
struct World {
    script: VecDeque<u8>,
    legacy: bool,
    /// Sectors, as far as the driver knows.
    capacity: u64,
    read_only: bool,
    /// Ranges of a request and sectors of a range, at most: to discard, zero and erase.
    ranges: [(usize, u32); 3],
    zone_sectors: u64,
    /// Not every request since the last look was answered in full, with the status OK.
    failed: bool,
    /// Whether the device has ever broken the rules of a ring.
    lied: bool,
}

impl World {
    fn next(&mut self) -> u8 {
        self.script.pop_front().unwrap_or(0)
    }

    fn number32(&self, bytes: &[u8]) -> u32 {
        let bytes = bytes.try_into().unwrap();
        if self.legacy { u32::from_ne_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn number64(&self, bytes: &[u8]) -> u64 {
        let bytes = bytes.try_into().unwrap();
        if self.legacy { u64::from_ne_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }

    /// Whether a driver may send this to such a disk.
    fn check(&self, request: &Request) {
        let (header, data) = request.readable.split_at(16);
        let (kind, sector) = (self.number32(&header[..4]), self.number64(&header[8..]));
        assert_eq!(header[4..8], [0; 4]);
        let room = request.writable.checked_sub(1).expect("a status is answered");
        let sectors = (data.len() + room) as u64 / 512;
        let inside =
            |first: u64, count: u64| first.checked_add(count).is_some_and(|end| end <= self.capacity);
        let mut may_write = true;
        match kind {
            0 | 1 => {
                assert!(sectors > 0 && (data.len() + room).is_multiple_of(512) && inside(sector, sectors));
                assert!(if kind == 0 { data.is_empty() } else { room == 0 });
                if self.zone_sectors > 0 {
                    assert!(sector % self.zone_sectors + sectors <= self.zone_sectors);
                }
                may_write = kind == 1;
            }
            4 => assert_eq!((sector, data.len(), room), (0, 0, 0)),
            8 => assert_eq!((data.len(), room), (0, 20)),
            10 => assert_eq!((data.len(), room), (0, 6)),
            11 | 13 | 14 => {
                let (most, longest) = self.ranges[[11, 13, 14].iter().position(|of| *of == kind).unwrap()];
                assert!(
                    !data.is_empty() && data.len().is_multiple_of(16) && data.len() / 16 <= most && room == 0
                );
                for range in data.chunks(16) {
                    let number = |at: usize| u32::from_le_bytes(range[at..at + 4].try_into().unwrap());
                    let first = u64::from_le_bytes(range[..8].try_into().unwrap());
                    assert!(number(8) > 0 && number(8) <= longest && inside(first, number(8).into()));
                    assert!(number(12) == 0 || kind == 13 && number(12) == 1);
                }
            }
            15 | 16 | 18 | 20 | 22 | 24 => {
                assert!(
                    self.zone_sectors > 0
                        && sector.is_multiple_of(self.zone_sectors)
                        && sector < self.capacity
                );
            }
            26 => assert_eq!(sector, 0),
            other => panic!("a request of type {other}"),
        }
        let harmless = matches!(kind, 4 | 8 | 10 | 16);
        assert!(!self.read_only || harmless || !may_write, "a read-only disk is written");
    }

    /// Answers as the next two bytes say; honestly when there are no more.
    fn answer(&mut self, request: &Request) -> Reply {
        self.check(request);
        let room = request.writable;
        let (how, number) = (self.next(), self.next());
        let (len, wide) = (usize::from(number) * 4, u32::from(number));
        let mut all = vec![number; room];
        all[room - 1] = 0;
        let ignored = self.legacy;
        let (good, reply) = match how % 10 {
            0..=2 => (true, Reply::Write(all)),
            3 => {
                all[room - 1] = number;
                (number == 0, Reply::Write(all))
            }
            4 => (len >= room, Reply::Write(all[..len.min(room)].to_vec())),
            5 => (ignored || wide as usize >= room, Reply::Claim { bytes: all, len: wide }),
            6 => (true, Reply::Claim { bytes: all, len: u32::MAX - wide }),
            7 => (len >= room, Reply::Claim { bytes: all[..len.min(room)].to_vec(), len: u32::MAX }),
            8 => (
                false,
                Reply::Lie(if how < 128 {
                    Lie::UsedId { id: wide, len: 1 }
                } else {
                    Lie::UsedIndex(number.into())
                }),
            ),
            _ => (false, Reply::Hold),
        };
        self.failed |= !good;
        self.lied |= matches!(reply, Reply::Lie(_));
        reply
    }
}

/// The world, which a failed assertion of the device does not poison.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What the driver has learned.
    fn learn(&self, disk: &Blk) {
        let limits = *disk.limits();
        let ranges = |limits: Option<virtio_blk::RangeLimits>| {
            limits.map_or((0, 0), |limits| (limits.max_ranges as usize, limits.max_sectors))
        };
        let mut world = self.lock();
        world.capacity = disk.capacity();
        world.read_only = disk.is_read_only();
        world.ranges = [limits.discard, limits.write_zeroes, limits.secure_erase].map(ranges);
        world.zone_sectors = limits.zones.map_or(0, |zones| zones.zone_sectors.into());
        assert!(limits.block_size.is_power_of_two() && limits.block_size >= 512 && limits.queues > 0);
        assert!(disk.capacity().checked_mul(512).is_some());
    }

    /// Whether all that was asked for since the last call was answered in full.
    fn take_failed(&self) -> bool {
        std::mem::take(&mut self.lock().failed)
    }

    /// What is done was answered in full. (What was answered in full may still fail, for another reason.)
    fn judge<V, E>(&self, outcome: &Result<V, E>) {
        let failed = self.take_failed();
        assert!(outcome.is_err() || !failed, "that was no OK");
    }
}

fuzz_target!(|input: &[u8]| {
    let [how, a, b, c, config @ ..] = input else { return };
    let (config, script) = config.split_at(config.len().min(96));
    let hal = TestHal::new();
    let shared = Shared::default();
    let mut features = Features::from_bits_retain(u128::from(u32::from_le_bytes([*a, *b, *c, 0]) & 0x3_ffff));
    features |= Features::VERSION_1;
    for (bit, feature) in
        [(4, Features::INDIRECT_DESC), (8, Features::RING_PACKED), (16, Features::ANY_LAYOUT)]
    {
        if how & bit != 0 {
            features |= feature;
        }
    }
    if how & 32 != 0 {
        hal.set_max_segment(200);
    }
    let mut builder = FakeDevice::builder(DeviceId::BLOCK).features(features).config(config);
    for queue in 0..2 {
        let shared = shared.clone();
        builder = builder.queue(queue, 16, move |request| shared.lock().answer(&request));
    }
    let legacy = how & 1 != 0;
    let device = if legacy { builder.legacy() } else { builder }.build(&hal);
    {
        let mut world = shared.lock();
        (world.legacy, world.script) = (legacy, script.iter().copied().collect());
    }
    let zones = if how & 2 != 0 { Zones::Use } else { Zones::Ignore };
    let options = DiskOptions::new().queues(2).room(1024).segments(2).zones(zones);
    if let Ok(disk) = Blk::open(device.transport(), hal.clone(), options) {
        drive(disk, &shared, &device);
    }
    if shared.lock().lied {
        // The device holds what it said it had used: to its side of the ring, the driver then gives the same twice.
        drop(hal.take_faults());
    }
});

/// Does this and that with a disk, and recovers it when it has to.
fn drive(mut disk: Blk, shared: &Shared, device: &FakeDevice) {
    for _ in 0..24 {
        shared.learn(&disk);
        shared.take_failed();
        let (operation, number) = {
            let mut world = shared.lock();
            (world.next(), world.next())
        };
        match run(&mut disk, shared, device, operation, number) {
            Ok(()) => {}
            Err(BlkError::Core(_)) => match disk.recover() {
                Ok(again) => disk = again,
                Err(_) => return,
            },
            Err(_) => {}
        }
        if shared.lock().script.is_empty() {
            break;
        }
    }
}

/// Where a test reads: near the start, near the end, or beyond it.
fn place(disk: &Blk, number: u8) -> Sector {
    let near = u64::from(number & 63);
    Sector(match number >> 6 {
        0 | 1 => near,
        2 => disk.capacity().saturating_sub(near),
        _ => u64::MAX - near,
    })
}

fn run(
    disk: &mut Blk,
    shared: &Shared,
    device: &FakeDevice,
    operation: u8,
    number: u8,
) -> Result<(), BlkError> {
    let (sector, len) = (place(disk, number), usize::from(operation >> 4) * 700 / 512 * 512);
    let ranges =
        [SectorRange::new(sector, (operation >> 4).into()), SectorRange::new(Sector(number.into()), 40)];
    let mut bytes = vec![0xee; len];
    match operation & 15 {
        0 => {
            let outcome = disk.read(sector, &mut bytes);
            shared.judge(&outcome);
            assert!(
                outcome.as_ref().is_ok_and(|()| true)
                    || outcome.as_ref().is_err_and(|failed| failed.done <= len)
            );
            outcome?;
        }
        1 => {
            let outcome = disk.write(sector, &bytes);
            shared.judge(&outcome);
            assert!(!disk.is_read_only() || outcome.is_err());
            outcome?;
        }
        2 => {
            let (one, two) = bytes.split_at_mut(len / 3);
            let outcome = disk.read_scattered(sector, &mut [one, &mut [], two]);
            shared.judge(&outcome);
            outcome?;
            let (one, two) = bytes.split_at(len / 5);
            let outcome = disk.write_gathered(sector, &[one, two]);
            shared.judge(&outcome);
            outcome?;
        }
        3 => {
            let outcome = disk.flush();
            shared.judge(&outcome);
            outcome?;
        }
        4 => {
            let outcome = disk.discard(&ranges);
            shared.judge(&outcome);
            outcome?;
        }
        5 => {
            let outcome =
                disk.write_zeroes(&ranges, if number & 1 == 0 { Unmap::Keep } else { Unmap::Allow });
            shared.judge(&outcome);
            outcome?;
        }
        6 => {
            let outcome = disk.secure_erase(&ranges);
            shared.judge(&outcome);
            outcome?;
        }
        7 => {
            let outcome = disk.id();
            shared.judge(&outcome);
            assert!(outcome?.as_bytes().len() <= 20);
            let outcome = disk.lifetime();
            shared.judge(&outcome);
            outcome?;
        }
        8 => {
            let mode = if number & 1 == 0 { CacheMode::WriteBack } else { CacheMode::WriteThrough };
            if disk.set_cache_mode(mode).is_ok() {
                assert_eq!(disk.cache_mode()?, mode);
            }
        }
        9 => {
            let mut zones = [Zone::NONE; 9];
            let outcome = disk.zones(sector, &mut zones);
            shared.judge(&outcome);
            assert!(outcome? <= 9);
        }
        10 => {
            let outcome = disk.zone_append(sector, &bytes);
            shared.judge(&outcome);
            if let Ok(at) = outcome {
                assert!(at.0 >= sector.0);
            }
            for command in [Blk::zone_open, Blk::zone_close, Blk::zone_finish, Blk::zone_reset] {
                shared.take_failed();
                let outcome = command(disk, sector);
                shared.judge(&outcome);
            }
            let outcome = disk.zone_reset_all();
            shared.judge(&outcome);
        }
        11 | 12 => owned(disk, shared, sector, len, &ranges)?,
        13 | 14 => awaited(disk, shared, sector, &mut bytes, &ranges)?,
        _ => {
            let mut config = device.config();
            if let Some(byte) = config.get_mut(usize::from(number) % 96) {
                *byte = byte.wrapping_add(operation);
            }
            device.set_config(config);
            disk.attend(InterruptStatus::CONFIG)?;
        }
    }
    Ok(())
}

/// Buffers, as many as fit, on both queues.
fn owned(
    disk: &mut Blk,
    shared: &Shared,
    sector: Sector,
    len: usize,
    ranges: &[SectorRange],
) -> Result<(), BlkError> {
    let buffers = || Scattered(vec![vec![0xee; len / 2], vec![0xee; len - len / 2]]);
    let whole = |buffers: Option<Scattered<Vec<Vec<u8>>>>| {
        // Of this call, or of an earlier one whose requests were held.
        let lens: Vec<usize> = buffers.unwrap().0.iter().map(Vec::len).collect();
        let len: usize = lens.iter().sum();
        assert_eq!(lens, [len / 2, len - len / 2]);
    };
    for mut queue in disk.queues()? {
        for _ in 0..6 {
            if let Err(refused) = queue.add_read(sector, buffers()) {
                whole(refused.buffers);
            }
            if let Err(refused) = queue.add_write(sector, buffers()) {
                whole(refused.buffers);
            }
        }
        let _ = (queue.add_flush(), queue.add_discard(ranges), queue.add_write_zeroes(ranges, Unmap::Keep));
        let _ = queue.add_secure_erase(ranges);
        queue.kick();
        let (mut ended, mut good) = (0, true);
        while let Some(answer) = queue.poll()? {
            good &= answer.result.is_ok();
            if answer.buffers.is_some() {
                whole(answer.buffers);
            }
            ended += 1;
            assert!(ended <= 16);
        }
        let failed = shared.take_failed();
        assert!(!failed || !good || queue.in_flight() > 0, "that was no OK");
        queue.refresh().ok();
    }
    Ok(())
}

/// A future, until it ends, or the device keeps quiet: then it is dropped.
fn finish<V>(future: impl Future<Output = V>) -> Option<V> {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    (0..64).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn awaited(
    disk: &mut Blk,
    shared: &Shared,
    sector: Sector,
    bytes: &mut [u8],
    ranges: &[SectorRange],
) -> Result<(), BlkError> {
    let bell = Bell::new();
    let queue = disk.awaited(&bell)?;
    if let Some(outcome) = finish(queue.read(sector, bytes)) {
        shared.judge(&outcome);
        outcome?;
    }
    shared.take_failed();
    if let Some(outcome) = finish(queue.write(sector, bytes)) {
        shared.judge(&outcome);
        outcome?;
    }
    shared.take_failed();
    if let Some(outcome) = finish(queue.read_owned(sector, Scattered(vec![bytes.to_vec()]))) {
        shared.judge(&outcome);
        assert_eq!(outcome?.0[0].len(), bytes.len());
    }
    shared.take_failed();
    if let Some(outcome) = finish(queue.write_owned(sector, Scattered(vec![bytes.to_vec()]))) {
        shared.judge(&outcome);
        assert_eq!(outcome?.0[0].len(), bytes.len());
    }
    shared.take_failed();
    for outcome in [
        finish(queue.flush()),
        finish(queue.discard(ranges)),
        finish(queue.write_zeroes(ranges, Unmap::Allow)),
        finish(queue.secure_erase(ranges)),
        finish(queue.id()).map(|outcome| outcome.map(drop)),
        finish(queue.lifetime()).map(|outcome| outcome.map(drop)),
    ] {
        outcome.transpose()?;
    }
    queue.refresh().ok();
    Ok(())
}
