//! What a scenario stands on: a device side that somebody wrote, a driver side of the public API, payloads that know what
//! must come back.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Lend, Stretch};
use virtio_core::queue::{Done, Port, QueueSpec, Rejected, Request, Token};
use virtio_core::{DeviceId, Error, Features, Hal};

use crate::counted::Counted;

/// The longest wait; nothing in here takes that long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const ID: DeviceId = DeviceId::ENTROPY;
/// Room for a header, and for a response.
pub(crate) const ROOM: usize = 16;

/// Everything about queues that a device can offer.
pub(crate) const ALL: Features = Features::VERSION_1
    .union(Features::EVENT_IDX)
    .union(Features::INDIRECT_DESC)
    .union(Features::IN_ORDER)
    .union(Features::NOTIFICATION_DATA)
    .union(Features::RING_RESET)
    .union(Features::RING_PACKED)
    .union(Features::ACCESS_PLATFORM)
    .union(Features::ORDER_PLATFORM);
pub(crate) const ALL_LEGACY: Features = Features::EVENT_IDX.union(Features::INDIRECT_DESC);

/// One device and its queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// What is to be negotiated. The device offers more.
    pub(crate) features: Features,
    pub(crate) legacy: bool,
    /// Entries of each queue.
    pub(crate) size: u16,
    /// Entries of an indirect table.
    pub(crate) table: u16,
    /// Whether the device answers at the doorbell, instead of keeping what it gets.
    pub(crate) answers: bool,
}

impl Config {
    pub(crate) const fn new(features: Features, size: u16) -> Self {
        let table = if size < 4 { size } else { 4 };
        Self { features: features.union(Features::VERSION_1), legacy: false, size, table, answers: false }
    }

    pub(crate) const fn legacy(features: Features, size: u16) -> Self {
        let features = features.difference(Features::VERSION_1);
        Self { legacy: true, features, ..Self::new(features, size) }
    }

    pub(crate) const fn answering(self) -> Self {
        Self { answers: true, ..self }
    }

    pub(crate) const fn has(&self, feature: Features) -> bool {
        self.features.contains(feature)
    }

    /// How many descriptors of the ring a request of so many segments takes while the queue is nearly empty.
    pub(crate) fn descriptors(&self, segments: u16) -> u16 {
        let table = self.has(Features::INDIRECT_DESC) && segments > 1 && segments <= self.table;
        if table { 1 } else { segments }
    }
}

/// A request that a device holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// What it may read.
    pub(crate) readable: Vec<u8>,
    /// How many buffers it may read, and how many it may write.
    pub(crate) buffers: (usize, usize),
    /// How many bytes it may write.
    pub(crate) room: usize,
}

/// What a device breaks the rules with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Untruth {
    /// It uses a request of this id.
    Id(u32),
    /// It announces so many, and writes none.
    Advance(u16),
    /// It writes over the descriptors.
    Descriptors(u8),
    /// It asks for notifications in words that mean nothing.
    Suppression(u16, u16),
}

/// What the platform may do to a driver.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// No segment is longer than this.
    Segments(usize),
    /// The so-manieth allocation or sharing from here fails; 0 takes it back.
    Failure(u64),
}

/// A device side with two queues of one kind.
pub(crate) trait Rig: Sized {
    type T: virtio_core::Transport;
    type H: Hal + Clone + 'static;

    /// The device offers [`ALL`], or [`ALL_LEGACY`], as far as it can.
    fn new(config: &Config) -> Self;
    fn transport(&self) -> Self::T;
    fn hal(&self) -> Self::H;
    /// Takes what is available, and holds it.
    fn work(&self, queue: u16);
    /// What it holds, oldest first.
    fn held(&self, queue: u16) -> Vec<Held>;
    fn count(&self, queue: u16) -> usize;
    /// Uses one of them: writes as much as fits, and says that it was that, or `claim`.
    fn complete(&self, queue: u16, nth: usize, bytes: &[u8], claim: Option<u32>);
    /// Uses the oldest, at once where it can: only the last may be short.
    fn complete_batch(&self, queue: u16, answers: &[Vec<u8>]);
    /// The driver has reset the queue.
    fn forget(&self, queue: u16);
    fn interrupts(&self) -> usize;
    /// Asks for no notifications, or for some again; not with `EVENT_IDX`.
    fn suppress(&self, queue: u16, suppress: bool);
    /// Asks for a notification at this index or position; with `EVENT_IDX`.
    fn kick_at(&self, queue: u16, event: u16);
    fn lie(&self, queue: u16, untruth: Untruth);
    /// Answers whether the platform can do that.
    fn trouble(&self, _trouble: Trouble) -> bool {
        false
    }
    /// Nothing is left, and no rule was broken.
    fn finish(self);
}

/// What an honest device answers to so many bytes.
pub(crate) fn answer(readable: &[u8], room: usize) -> Vec<u8> {
    let mut byte = readable.iter().fold(0x5a_u8, |sum, byte| sum.rotate_left(1).wrapping_add(*byte));
    let mut next = || {
        byte = byte.wrapping_mul(5).wrapping_add(7);
        byte
    };
    (0..room).map(|_| next()).collect()
}

/// Counts what it was given to as that goes.
#[derive(Debug, Default)]
pub(crate) struct Witness(pub(crate) Option<Arc<AtomicUsize>>);

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl PartialEq for Witness {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Witness {}

/// A payload of many segments, with all that is needed to tell whether what came back is right.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scatter {
    pub(crate) id: u32,
    pub(crate) readable: Vec<Vec<u8>>,
    pub(crate) writable: Vec<Vec<u8>>,
    pub(crate) header: Vec<u8>,
    pub(crate) response: usize,
    pub(crate) witness: Witness,
}

// SAFETY: each buffer is the heap memory of a vector that the value owns: it stays where it is, and nobody else has it.
unsafe impl Lend for Scatter {
    fn readable(&self) -> usize {
        self.readable.len()
    }
    fn writable(&self) -> usize {
        self.writable.len()
    }
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: `this` points to a live value that nobody refers to.
        let list = unsafe { &mut (*this.as_ptr()).readable };
        list.get_mut(index).map(|buffer| Stretch { memory: NonNull::from(&mut buffer[..]), device: None })
    }
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: `this` points to a live value that nobody refers to.
        let list = unsafe { &mut (*this.as_ptr()).writable };
        list.get_mut(index).map(|buffer| Stretch { memory: NonNull::from(&mut buffer[..]), device: None })
    }
}

impl Scatter {
    /// So many buffers to be read, and so many to be written, of a few bytes each.
    pub(crate) fn new(id: u32, readable: u16, writable: u16) -> Self {
        let length = |at: u16| 1 + usize::from(at) % 3;
        let fill = |at: u16| {
            vec![id.to_le_bytes()[usize::from(at) % 4].wrapping_add(at.to_le_bytes()[0]); length(at)]
        };
        Self {
            id,
            readable: (0..readable).map(fill).collect(),
            writable: (0..writable).map(|at| vec![0; length(at)]).collect(),
            ..Self::default()
        }
    }

    /// With a header and room for a response, and no buffers of its own: two segments.
    pub(crate) fn small(id: u32) -> Self {
        Self { id, header: id.to_le_bytes().to_vec(), response: 4, ..Self::default() }
    }

    /// With one segment: a header.
    pub(crate) fn single(id: u32) -> Self {
        Self { id, header: id.to_le_bytes().to_vec(), ..Self::default() }
    }

    pub(crate) fn segments(&self) -> u16 {
        let own = usize::from(!self.header.is_empty()) + usize::from(self.response > 0);
        u16::try_from(self.readable.len() + self.writable.len() + own).unwrap()
    }

    pub(crate) fn all_readable(&self) -> Vec<u8> {
        self.header.iter().chain(self.readable.iter().flatten()).copied().collect()
    }

    pub(crate) fn room(&self) -> usize {
        self.writable.iter().map(Vec::len).sum::<usize>() + self.response
    }
}

pub(crate) type Live<R> = Device<Counted<<R as Rig>::T>, <R as Rig>::H>;
pub(crate) type Lane<'d, R> = Port<'d, Scatter, Counted<<R as Rig>::T>, <R as Rig>::H>;

/// A rig, and a count of notifications.
pub(crate) struct Bench<R: Rig> {
    pub(crate) rig: R,
    pub(crate) config: Config,
    kicks: Arc<AtomicUsize>,
}

impl<R: Rig> Bench<R> {
    pub(crate) fn new(config: Config) -> Self {
        Self { rig: R::new(&config), config, kicks: Arc::default() }
    }

    /// Brings the device up, with queues that carry payloads of these types.
    pub(crate) fn up<P: Lend, Q: Lend>(&self) -> Live<R> {
        let Config { features, legacy, size, table, .. } = self.config;
        let transport = Counted::new(self.rig.transport(), Arc::clone(&self.kicks));
        let offered = if legacy { ALL_LEGACY } else { ALL };
        let wanted = Wanted { refused: offered - features, ..Wanted::default() };
        let init = Init::start(transport, self.rig.hal(), ID).unwrap().negotiate(&wanted).unwrap();
        assert_eq!(init.features(), features, "{:?}", self.config);
        let first = QueueSpec::new::<P>(0, size)
            .header(ROOM)
            .response(ROOM)
            .indirect(table)
            .mixed_chains()
            .drains_on_reset();
        let second = QueueSpec::new::<Q>(1, size)
            .header(ROOM)
            .response(ROOM)
            .indirect(table)
            .mixed_chains()
            .drains_on_reset();
        let mut ready = init.queues(&[first, second]).unwrap();
        assert_eq!(ready.queue_size(0), size);
        ready.live().unwrap()
    }

    /// Notifications since the last call.
    pub(crate) fn kicks(&self) -> usize {
        self.kicks.swap(0, Ordering::Relaxed)
    }

    /// The device answers the `nth` request that it holds.
    pub(crate) fn answer(&self, queue: u16, nth: usize) {
        let held = self.rig.held(queue);
        let held = &held[nth];
        self.rig.complete(queue, nth, &answer(&held.readable, held.room), None);
    }

    /// The device takes everything, and answers it, in order unless it is very much, with as few used elements as it can.
    pub(crate) fn answer_all(&self, queue: u16) {
        self.rig.work(queue);
        let answers: Vec<_> =
            self.rig.held(queue).iter().map(|held| answer(&held.readable, held.room)).collect();
        if self.config.has(Features::IN_ORDER) && !answers.is_empty() {
            self.rig.complete_batch(queue, &answers);
        } else {
            // The order does not matter, and from the end of a long list it goes faster.
            let long = answers.len() > 256;
            for (nth, answer) in answers.iter().enumerate().rev().filter(|_| long) {
                self.rig.complete(queue, nth, answer, None);
            }
            for answer in answers.iter().filter(|_| !long) {
                self.rig.complete(queue, 0, answer, None);
            }
        }
    }

    pub(crate) fn finish(self, device: Live<R>) {
        drop(device);
        self.rig.finish();
    }
}

/// Adds a request; it is neither published nor kicked.
#[allow(clippy::result_large_err, reason = "the payload comes back")]
pub(crate) fn add<T: virtio_core::Transport, H: Hal>(
    port: &mut Port<'_, Scatter, T, H>,
    payload: Scatter,
) -> Result<Token, Rejected<Scatter>> {
    let (header, response) = (payload.header.clone(), payload.response);
    port.add(Request::new(payload).header(&header).response(response))
}

/// Adds, publishes and kicks.
#[allow(clippy::result_large_err, reason = "the payload comes back")]
pub(crate) fn submit<T: virtio_core::Transport, H: Hal>(
    port: &mut Port<'_, Scatter, T, H>,
    payload: Scatter,
) -> Result<Token, Rejected<Scatter>> {
    let token = add(port, payload)?;
    port.publish();
    port.kick();
    Ok(token)
}

/// What came back is what [`answer`] says; answers which request it was.
pub(crate) fn check<H: Hal>(mut done: Done<'_, Scatter, H>) -> u32 {
    let payload = done.take_payload().unwrap();
    assert!(done.take_payload().is_none(), "a payload comes back once");
    let expected = answer(&payload.all_readable(), payload.room());
    assert_eq!(usize::try_from(done.written()), Ok(expected.len()), "request {}", payload.id);
    let mut written: Vec<u8> = payload.writable.iter().flatten().copied().collect();
    let mut response = vec![0; payload.response];
    assert_eq!(done.copy_response(&mut response), payload.response);
    written.extend(response);
    assert_eq!(written, expected, "request {}", payload.id);
    payload.id
}

/// Takes everything that is used, oldest first.
pub(crate) fn drain<T: virtio_core::Transport, H: Hal>(port: &mut Port<'_, Scatter, T, H>) -> Vec<u32> {
    let mut ids = Vec::new();
    while let Some(done) = port.poll().unwrap() {
        ids.push(check(done));
    }
    ids
}

/// The error that a request was rejected with; its payload is back.
pub(crate) fn rejected(outcome: Result<Token, Rejected<Scatter>>, payload: &Scatter) -> Error {
    let rejected = outcome.unwrap_err();
    assert_eq!(rejected.payload, *payload, "the payload comes back untouched");
    rejected.error
}
