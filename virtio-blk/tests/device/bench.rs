//! A disk made of Rust: it keeps sectors, answers as a disk does or as it is told, and does not forgive a driver anything.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use virtio_blk::abi::{
    F_BLK_SIZE, F_CONFIG_WCE, F_DISCARD, F_FLUSH, F_GEOMETRY, F_LIFETIME, F_MQ, F_RO, F_SECURE_ERASE,
    F_SEG_MAX, F_SIZE_MAX, F_TOPOLOGY, F_WRITE_ZEROES,
};
use virtio_blk::{Disk, DiskOptions, Owned, Payload};
use virtio_core::{DeviceId, Features, Status};
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, Request, TestHal};

/// Everything that a disk without zones may offer, but for being read-only.
pub(crate) const ALL: Features = F_SIZE_MAX
    .union(F_SEG_MAX)
    .union(F_GEOMETRY)
    .union(F_BLK_SIZE)
    .union(F_FLUSH)
    .union(F_TOPOLOGY)
    .union(F_CONFIG_WCE)
    .union(F_MQ)
    .union(F_DISCARD)
    .union(F_WRITE_ZEROES)
    .union(F_LIFETIME)
    .union(F_SECURE_ERASE);

/// Numbers of requests.
pub(crate) mod kind {
    pub(crate) const IN: u32 = 0;
    pub(crate) const OUT: u32 = 1;
    pub(crate) const FLUSH: u32 = 4;
    pub(crate) const GET_ID: u32 = 8;
    pub(crate) const GET_LIFETIME: u32 = 10;
    pub(crate) const DISCARD: u32 = 11;
    pub(crate) const WRITE_ZEROES: u32 = 13;
    pub(crate) const SECURE_ERASE: u32 = 14;
}

/// A request, as the disk saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) queue: u16,
    pub(crate) kind: u32,
    pub(crate) sector: u64,
    /// What it was given to read behind the header.
    pub(crate) data: Vec<u8>,
    /// Bytes that it could write before the status.
    pub(crate) room: usize,
    /// Lengths of the buffers, and whether it could write them.
    pub(crate) buffers: Vec<(u32, bool)>,
}

/// What the disk does with one request, rather than what it should.
pub(crate) type Trick = Box<dyn FnOnce(&Seen, &mut Vec<u8>) -> Reply + Send>;

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) store: Vec<u8>,
    pub(crate) seen: Vec<Seen>,
    /// Requests since the start.
    served: usize,
    tricks: BTreeMap<usize, Trick>,
    /// Keeps all requests.
    pub(crate) holds: bool,
    config: Vec<u8>,
    accepted: Features,
    legacy: bool,
}

impl Model {
    fn number(&self, offset: usize) -> usize {
        let bytes = self.config[offset..offset + 4].try_into().unwrap();
        usize::try_from(if self.legacy { u32::from_ne_bytes(bytes) } else { u32::from_le_bytes(bytes) })
            .unwrap()
    }

    /// What has come in since the last time.
    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        core::mem::take(&mut self.seen)
    }

    fn parse(&self, request: &Request) -> Seen {
        let (header, data) = request.readable.split_at(16);
        let (kind, reserved, sector) = (&header[..4], &header[4..8], &header[8..]);
        let (kind, sector) = (kind.try_into().unwrap(), sector.try_into().unwrap());
        assert_eq!(reserved, [0; 4]);
        let buffers = request.buffers.iter().map(|buffer| (buffer.len, buffer.writable)).collect();
        Seen {
            queue: request.queue,
            kind: if self.legacy { u32::from_ne_bytes(kind) } else { u32::from_le_bytes(kind) },
            sector: if self.legacy { u64::from_ne_bytes(sector) } else { u64::from_le_bytes(sector) },
            data: data.to_vec(),
            room: request.writable.checked_sub(1).expect("there is room for a status"),
            buffers,
        }
    }

    /// What the specification has a driver do, and not do.
    fn check(&self, seen: &Seen) {
        let Seen { kind, sector, data, room, buffers, .. } = seen;
        let capacity = self.store.len() as u64 / 512;
        let transferred = data.len() + room;
        match *kind {
            kind::IN | kind::OUT => {
                assert!(transferred > 0 && transferred % 512 == 0, "{transferred} bytes");
                assert!(sector + transferred as u64 / 512 <= capacity, "beyond the end");
                assert!(if *kind == kind::IN { data.is_empty() } else { *room == 0 });
            }
            kind::FLUSH => assert_eq!((*sector, transferred), (0, 0)),
            kind::GET_ID => assert_eq!((data.len(), *room), (0, 20)),
            kind::GET_LIFETIME => assert_eq!((data.len(), *room), (0, 6)),
            kind::DISCARD | kind::WRITE_ZEROES | kind::SECURE_ERASE => {
                let (limits, flags) = match *kind {
                    kind::DISCARD => (36, 0),
                    kind::WRITE_ZEROES => (48, 1),
                    _ => (60, 0),
                };
                let (sectors, ranges) = (self.number(limits), self.number(limits + 4).max(1));
                assert!(!data.is_empty() && data.len() % 16 == 0 && data.len() / 16 <= ranges);
                assert_eq!(*room, 0);
                for (first, count, flag) in ranges_of(data) {
                    assert!(count > 0 && first + u64::from(count) <= capacity);
                    assert!(sectors == 0 || count as usize <= sectors);
                    assert!(flag <= flags, "a flag of {flag}");
                }
            }
            15.. => {}
            other => panic!("a request of type {other}"),
        }
        let has = |feature| self.accepted.contains(feature);
        if has(F_SIZE_MAX) && self.number(8) > 0 {
            assert!(buffers.iter().all(|(len, _)| *len as usize <= self.number(8).max(16)));
        }
        if has(F_SEG_MAX) {
            // Header and status do not count where they are alone.
            let alone = usize::from(buffers[0].0 == 16) + usize::from(buffers.last() == Some(&(1, true)));
            assert!(buffers.len() - alone <= self.number(12).max(1));
        }
        if self.legacy && !has(Features::ANY_LAYOUT) {
            assert_eq!((buffers[0], *buffers.last().unwrap()), ((16, false), (1, true)));
        }
    }

    /// What a disk does.
    fn serve(&mut self, seen: &Seen) -> Reply {
        let at = usize::try_from(seen.sector).unwrap() * 512;
        let mut answer = match seen.kind {
            kind::IN => self.store[at..at + seen.room].to_vec(),
            kind::GET_ID => b"a disk made of Rust\0".to_vec(),
            kind::GET_LIFETIME => vec![2, 0, 3, 0, 11, 0],
            kind::OUT => {
                self.store[at..at + seen.data.len()].copy_from_slice(&seen.data);
                vec![]
            }
            kind::DISCARD | kind::WRITE_ZEROES | kind::SECURE_ERASE => {
                for (first, count, _) in ranges_of(&seen.data) {
                    let (at, len) = (usize::try_from(first).unwrap() * 512, count as usize * 512);
                    self.store[at..at + len].fill(0);
                }
                vec![]
            }
            _ => vec![],
        };
        answer.push(0);
        Reply::Write(answer)
    }

    fn handle(&mut self, request: &Request) -> Reply {
        let seen = self.parse(request);
        self.check(&seen);
        let trick = self.tricks.remove(&self.served);
        self.served += 1;
        self.seen.push(seen.clone());
        match trick {
            Some(trick) => trick(&seen, &mut self.store),
            None if self.holds => Reply::Hold,
            None => self.serve(&seen),
        }
    }
}

/// First sector, count and flags of each range.
pub(crate) fn ranges_of(data: &[u8]) -> Vec<(u64, u32, u32)> {
    let range = |wire: &[u8]| {
        let number = |at: usize| u32::from_le_bytes(wire[at..at + 4].try_into().unwrap());
        (u64::from_le_bytes(wire[..8].try_into().unwrap()), number(8), number(12))
    };
    data.chunks(16).map(range).collect()
}

/// What a disk is like.
pub(crate) struct Setup {
    pub(crate) sectors: u64,
    pub(crate) features: Features,
    pub(crate) legacy: bool,
    pub(crate) queues: u16,
    pub(crate) queue_max: u16,
    /// Fields of the configuration space: offset, width, value.
    pub(crate) fields: Vec<(usize, usize, u64)>,
}

impl Default for Setup {
    fn default() -> Self {
        let features = Features::VERSION_1 | F_FLUSH;
        Self { sectors: 64, features, legacy: false, queues: 1, queue_max: 256, fields: vec![] }
    }
}

impl Setup {
    /// With these features.
    pub(crate) fn offering(features: Features) -> Self {
        Self { features: Features::VERSION_1 | features, ..Self::default() }
    }

    pub(crate) fn with(mut self, offset: usize, width: usize, value: u64) -> Self {
        self.fields.push((offset, width, value));
        self
    }

    pub(crate) fn config(&self) -> Vec<u8> {
        let mut config = vec![0; 96];
        let mut put = |offset: usize, width: usize, value: u64| {
            let bytes = if self.legacy && cfg!(target_endian = "big") {
                value.to_be_bytes()[8 - width..].to_vec()
            } else {
                value.to_le_bytes()[..width].to_vec()
            };
            config[offset..offset + width].copy_from_slice(&bytes);
        };
        put(0, 8, self.sectors);
        put(20, 4, 512);
        put(34, 2, self.queues.into());
        for (offset, width, value) in &self.fields {
            put(*offset, *width, *value);
        }
        config
    }

    pub(crate) fn build(self, hal: &TestHal) -> Bench {
        self.build_with(hal, |builder| builder)
    }

    /// The disk; `more` says what else it is like.
    pub(crate) fn build_with(self, hal: &TestHal, more: impl FnOnce(Builder) -> Builder) -> Bench {
        let store = (0..self.sectors.min(1 << 16) * 512).map(pattern).collect();
        let config = self.config();
        let model = Model { store, config: config.clone(), legacy: self.legacy, ..Model::default() };
        let model = Arc::new(Mutex::new(model));
        let mut builder = FakeDevice::builder(DeviceId::BLOCK).features(self.features).config(config);
        for queue in 0..self.queues {
            let model = model.clone();
            builder = builder.queue(queue, self.queue_max, move |request| lock(&model).handle(&request));
        }
        let builder = more(if self.legacy { builder.legacy() } else { builder });
        Bench { hal: hal.clone(), device: builder.build(hal), model }
    }
}

/// What byte `at` of a new disk holds.
pub(crate) fn pattern(at: u64) -> u8 {
    let [byte, ..] = (at / 512 + at % 512 * 7 + 1).to_le_bytes();
    byte
}

/// Bytes of a new disk.
pub(crate) fn contents(sector: u64, bytes: usize) -> Vec<u8> {
    (sector * 512..).take(bytes).map(pattern).collect()
}

fn lock(model: &Mutex<Model>) -> MutexGuard<'_, Model> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A disk, and the test's way to it.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) hal: TestHal,
    pub(crate) device: FakeDevice,
    model: Arc<Mutex<Model>>,
}

pub(crate) type Plain = Disk<FakeTransport, TestHal>;
pub(crate) type Owning = Disk<FakeTransport, TestHal, Owned<Vec<u8>>>;

impl Bench {
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        lock(&self.model)
    }

    /// A driver.
    pub(crate) fn open<P: Payload>(&self, options: DiskOptions) -> Disk<FakeTransport, TestHal, P> {
        let disk = Disk::open(self.device.transport(), self.hal.clone(), options).unwrap();
        self.model().accepted = self.device.accepted();
        assert!(self.device.status().contains(Status::DRIVER_OK));
        disk
    }

    pub(crate) fn plain(&self) -> Plain {
        self.open(DiskOptions::new())
    }

    pub(crate) fn owning(&self) -> Owning {
        self.open(DiskOptions::new())
    }

    /// The request after `skip` more is answered like this.
    pub(crate) fn trick(
        &self,
        skip: usize,
        trick: impl FnOnce(&Seen, &mut Vec<u8>) -> Reply + Send + 'static,
    ) {
        let mut model = self.model();
        let at = model.served + skip;
        model.tricks.insert(at, Box::new(trick));
    }

    /// The request after `skip` more ends with this status; what could be written before it is `0xdd`.
    pub(crate) fn status(&self, skip: usize, status: u8) {
        self.trick(skip, move |seen, _| Reply::Write([vec![0xdd; seen.room], vec![status]].concat()));
    }

    /// Completes the `nth` held request of a queue, as a disk does.
    pub(crate) fn complete(&self, queue: u16, nth: usize) {
        let readable = self.device.held_readable(queue)[nth].clone();
        let seen = {
            let model = self.model();
            let sector = readable[8..16].try_into().unwrap();
            let same = |seen: &&Seen| {
                seen.queue == queue
                    && seen.sector == u64::from_le_bytes(sector)
                    && seen.data == readable[16..]
            };
            model.seen.iter().rev().find(same).unwrap().clone()
        };
        let Reply::Write(answer) = self.model().serve(&seen) else { panic!("a disk answers") };
        self.device.complete(queue, nth, &answer);
    }

    /// How many requests have come in.
    pub(crate) fn count(&self) -> usize {
        self.model().seen.len()
    }
}

/// A disk that can do everything.
pub(crate) fn able(hal: &TestHal) -> Bench {
    Setup::offering(ALL)
        .with(8, 4, 1 << 20)
        .with(12, 4, 64)
        .with(36, 4, 10)
        .with(40, 4, 3)
        .with(44, 4, 4)
        .with(48, 4, 20)
        .with(52, 4, 2)
        .with(60, 4, 8)
        .with(64, 4, 1)
        .with(68, 4, 8)
        .build(hal)
}

/// A disk that cannot be written.
pub(crate) fn read_only(hal: &TestHal) -> Bench {
    Setup::offering(ALL | F_RO).with(8, 4, 1 << 20).with(12, 4, 64).build(hal)
}
