//! One queue and a simple model of it, both driven by the same choices: what the model says must happen, has to.
//!
//! The oracle:
//! * a request is taken if, and only if, there are descriptors for it, and takes as many as its shape says;
//! * every payload comes back exactly once: with its token, with its rejection, from a reset, or when the device is dropped;
//! * it holds what the device wrote, and what is said of its length is what the device said, cut to what was posted;
//! * nothing that was used is missed, and the device is notified exactly when it asked to be;
//! * a device that lies is blamed, by name, and the verdict stays until the queue is reset;
//! * nothing panics, the device side finds no broken rule, and nothing is left behind.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

use virtio_core::queue::{Done, Token};
use virtio_core::{Error, Features, Hal, HalError, Misbehaved, Misuse};

use crate::rig::{Bench, Config, Lane, Live, ROOM, Rig, Scatter, Trouble, Untruth, Witness, add};

/// Where choices come from; `None` is the end.
pub(crate) trait Choices {
    fn byte(&mut self) -> Option<u8>;

    fn below(&mut self, limit: u32) -> Option<u32> {
        Some(u32::from_le_bytes([self.byte()?, self.byte()?, 0, 0]) % limit)
    }
}

impl Choices for &[u8] {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.split_first()?;
        *self = rest;
        Some(*first)
    }
}

/// A request that was added and has not come back.
#[derive(Debug)]
struct Pending {
    token: Token,
    /// How many bytes the device may write.
    room: usize,
    published: bool,
    /// Once it is used: what the device wrote, and how much it says that was.
    used: Option<(Vec<u8>, u32)>,
    descriptors: u16,
}

struct Machine<R: Rig> {
    bench: Bench<R>,
    live: Live<R>,
    config: Config,
    /// By id.
    pending: BTreeMap<u32, Pending>,
    made: u32,
    gone: Arc<AtomicUsize>,
    /// Requests that were published since the queue was started, and how many of them a notification covered.
    shown: u64,
    notified: u64,
    /// Where the device wants to be notified, if it says that.
    event: Option<u64>,
    /// The device has said rubbish about notifications.
    rubbish: bool,
    /// Segments are as long as the buffers, so their number is known.
    whole: bool,
    fails: bool,
    lied: bool,
    broken: Option<Misbehaved>,
}

/// Runs to the end of the choices, in a queue that always has the `fixed` features.
pub(crate) fn run<R: Rig>(fixed: Features, choices: &mut impl Choices) {
    let Some(config) = choose(fixed, choices) else { return };
    let mut machine = Machine::<R>::new(config, choices.byte().unwrap_or(0));
    while machine.step(choices).is_some() {
        machine.agree();
    }
    machine.finish();
}

fn choose(fixed: Features, choices: &mut impl Choices) -> Option<Config> {
    let varied = [
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
        Features::IN_ORDER,
        Features::NOTIFICATION_DATA,
        Features::RING_RESET,
        Features::ORDER_PLATFORM,
    ];
    let mask = choices.byte()?;
    let chosen = (0..).zip(varied).filter(|(bit, _)| mask >> bit & 1 == 1);
    let features = chosen.fold(fixed, |all, (_, feature)| all | feature);
    let size = 1 << (choices.byte()? % 7);
    let table = u16::from(choices.byte()? % 9).min(size);
    if mask & 0xc0 == 0xc0 && !fixed.contains(Features::RING_PACKED) {
        return Some(Config { table, ..Config::legacy(features & crate::rig::ALL_LEGACY, size) });
    }
    Some(Config { table, ..Config::new(features, size) })
}

impl<R: Rig> Machine<R> {
    fn new(config: Config, segment: u8) -> Self {
        let bench = Bench::<R>::new(config);
        let live = bench.up::<Scatter, Scatter>();
        let whole = segment < 128 || !bench.rig.trouble(Trouble::Segments(usize::from(segment - 127)));
        Self {
            bench,
            live,
            config,
            pending: BTreeMap::new(),
            made: 0,
            gone: Arc::default(),
            shown: 0,
            notified: 0,
            // Zeroed memory: a split ring asks for the first, a packed one for all.
            event: (!config.has(Features::RING_PACKED)).then_some(0),
            rubbish: false,
            whole,
            fails: false,
            lied: false,
            broken: None,
        }
    }

    fn port(&mut self) -> Lane<'_, R> {
        self.live.port(0).expect("the queue is there")
    }

    fn step(&mut self, choices: &mut impl Choices) -> Option<()> {
        match choices.byte()? % 32 {
            0..=6 => self.add(choices)?,
            7..=9 => self.publish(),
            10..=11 => self.kick(),
            12..=14 => self.work(),
            15..=18 => self.complete(choices)?,
            19 => self.complete_batch(choices)?,
            20..=21 => drop(self.poll()),
            22 => self.drain(usize::from(choices.byte()? % 5)),
            23 => self.poll_for(choices)?,
            24 => {
                let after = u16::from(choices.byte()? % 4);
                let waiting = self.port().enable_interrupts_after(after);
                // Under EVENT_IDX "after n" is what was asked for; without, or for the next one, anything used counts.
                let counts = after < 2 || !self.config.has(Features::EVENT_IDX);
                assert!(self.lied || waiting || !counts || self.used() == 0, "a used request is not told of");
                assert!(self.lied || !waiting || self.used() > 0, "told of what is not there");
            }
            25 => self.port().disable_interrupts(),
            26 => {
                let nth = u64::from(choices.byte()? % 8);
                self.fails = self.bench.rig.trouble(Trouble::Failure(nth)) && nth > 0;
            }
            27..=28 => self.reset(),
            29 => self.kick_all(),
            30 => self.lie(choices)?,
            _ => self.rubbish(choices)?,
        }
        Some(())
    }

    /// Numbers that have to agree after every step.
    fn agree(&mut self) {
        let config = self.config;
        let (in_flight, taken) = {
            let open = self.pending.values().filter(|pending| pending.used.is_none());
            (open.count(), self.pending.values().map(|pending| pending.descriptors).sum::<u16>())
        };
        let lied = self.lied;
        let used = self.used();
        let port = self.port();
        let (said, free) = (usize::from(port.in_flight()), port.free());
        if !lied {
            // What was used counts as in flight until it was taken off the ring.
            assert!((in_flight..=in_flight + used).contains(&said), "{said} of {in_flight} + {used}");
        }
        if config.has(Features::IN_ORDER) {
            // Descriptors become free in order.
            assert!(free <= config.size - taken);
        } else {
            assert_eq!(free, config.size - taken);
        }
    }

    fn add(&mut self, choices: &mut impl Choices) -> Option<()> {
        let id = self.made;
        let shape = choices.byte()?;
        let (mut readable, mut writable) = (u16::from(shape & 3), u16::from(shape >> 2 & 3));
        if shape >> 4 == 15 {
            // Up to a little more than there is room for.
            let size = u32::from(self.config.size);
            readable = u16::try_from(choices.below(size + 2)?).unwrap();
            writable = u16::try_from(choices.below(size + 2)?).unwrap();
        }
        let (header, response) = (usize::from(choices.byte()? % 20), usize::from(choices.byte()? % 20));
        let mut payload = Scatter::new(id, readable, writable);
        payload.header = vec![id.to_le_bytes()[0]; if shape & 0x10 == 0 { header } else { 0 }];
        payload.response = if shape & 0x20 == 0 { response } else { 0 };
        let mut empties = false;
        if shape & 0x40 != 0 {
            let longer = usize::from(choices.byte()?);
            for buffer in payload.readable.iter_mut().chain(&mut payload.writable).take(1) {
                buffer.resize(longer, id.to_le_bytes()[0]);
                empties = longer == 0;
            }
            payload.writable.iter_mut().for_each(|buffer| buffer.fill(0));
        }
        payload.witness = Witness(Some(Arc::clone(&self.gone)));
        self.made += 1;

        let fits = self.fits(&payload);
        let known = self.whole && !self.fails && !empties;
        let room = payload.room();
        let declared = payload.header.len() <= ROOM && payload.response <= ROOM;
        let segments = payload.segments();
        let before = self.port().free();
        match add(&mut self.port(), payload) {
            Ok(token) => {
                assert!(self.broken.is_none(), "a broken queue takes requests");
                let descriptors = before - self.port().free();
                assert!(
                    !known || fits == Some(descriptors),
                    "{segments} segments take {descriptors}, not {fits:?}"
                );
                assert!(
                    self.pending.values().all(|other| other.token != token),
                    "{token:?} names two requests"
                );
                self.pending.insert(id, Pending { token, room, published: false, used: None, descriptors });
            }
            Err(rejected) => {
                assert_eq!(rejected.payload.id, id, "the payload of another request");
                assert_eq!(self.port().free(), before, "a rejected request takes nothing");
                assert!(
                    !known || fits.is_none() || self.broken.is_some(),
                    "there is room: {:?}",
                    rejected.error
                );
                match rejected.error {
                    Error::Caller(Misuse::QueueFull | Misuse::TooManySegments) => {}
                    Error::Caller(Misuse::EmptyRequest) => assert!(room == 0 || segments == 0),
                    Error::Caller(Misuse::NoRoomDeclared) => assert!(!declared),
                    Error::Platform(HalError::CannotShare | HalError::OutOfMemory) => assert!(self.fails),
                    Error::Misbehaved(why) => self.blames(why),
                    other => panic!("rejected: {other:?}"),
                }
            }
        }
        Some(())
    }

    /// How many descriptors a request takes, if there are as many.
    fn fits(&mut self, payload: &Scatter) -> Option<u16> {
        let (segments, table) = (payload.segments(), self.config.table);
        let free = self.port().free();
        if payload.header.len() > ROOM
            || payload.response > ROOM
            || segments == 0
            || segments > self.config.size
        {
            return None;
        }
        let mut needed = segments;
        if self.config.has(Features::INDIRECT_DESC) && table > 0 && segments > 1 {
            let mixed = !self.config.has(Features::RING_PACKED) && segments > free;
            if segments <= table {
                needed = 1;
            } else if mixed {
                needed = segments - table + 1;
            }
        }
        (needed <= free).then_some(needed)
    }

    fn publish(&mut self) {
        self.port().publish();
        for pending in self.pending.values_mut().filter(|pending| !pending.published) {
            pending.published = true;
            self.shown += 1;
        }
    }

    fn kick(&mut self) {
        // What a doorbell carries is read off the ring, by a device that has spoilt it.
        if self.lied && self.config.has(Features::NOTIFICATION_DATA) {
            return;
        }
        let due = self.notified < self.shown
            && match self.event {
                Some(event) if self.config.has(Features::EVENT_IDX) => {
                    (self.notified..self.shown).contains(&event)
                }
                _ => true,
            };
        let kicked = self.port().kick();
        assert!(self.lied || self.rubbish || kicked == due, "notified: {kicked}, due: {due}");
        assert_eq!(self.bench.kicks(), usize::from(kicked));
        self.notified = self.shown;
    }

    fn kick_all(&mut self) {
        self.publish();
        self.kick();
        self.work();
    }

    fn work(&mut self) {
        // A device that has lied does not know what is whose any more.
        if self.lied {
            return;
        }
        let before = self.bench.rig.count(0);
        self.bench.rig.work(0);
        let held = self.bench.rig.count(0);
        let open =
            self.pending.values().filter(|pending| pending.published && pending.used.is_none()).count();
        assert_eq!(held, open, "the device holds what was published");
        if held > before {
            self.event = Some(self.shown);
        }
    }

    /// The ids of what the device holds: oldest first.
    fn held(&self) -> Vec<u32> {
        let held = self.bench.rig.count(0);
        let mut open: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.published && pending.used.is_none())
            .map(|(id, _)| *id)
            .collect();
        open.truncate(held);
        open
    }

    fn complete(&mut self, choices: &mut impl Choices) -> Option<()> {
        let held = self.held();
        let (nth, bytes, claim) = (choices.byte()?, choices.byte()?, choices.byte()?);
        if held.is_empty() || self.lied {
            return Some(());
        }
        let nth = if self.config.has(Features::IN_ORDER) { 0 } else { usize::from(nth) % held.len() };
        let pending = self.pending.get_mut(&held[nth]).expect("the device holds what is pending");
        // Mostly all of it.
        let bytes = if bytes < 128 { pending.room } else { pending.room.min(usize::from(bytes - 128)) };
        let answer = crate::rig::answer(&held[nth].to_le_bytes(), bytes);
        let claim = match claim {
            0..=199 => None,
            200..=253 => Some(u32::from(claim - 200)),
            _ => Some(u32::MAX),
        };
        self.bench.rig.complete(0, nth, &answer, claim);
        let said = claim.unwrap_or(u32::try_from(answer.len()).unwrap());
        pending.used = Some((answer, said));
        Some(())
    }

    fn complete_batch(&mut self, choices: &mut impl Choices) -> Option<()> {
        let n = usize::from(choices.byte()?);
        let held = self.held();
        if held.is_empty() || self.lied || !self.config.has(Features::IN_ORDER) {
            return Some(());
        }
        let batch = &held[..1 + n % held.len()];
        let mut answers = Vec::new();
        for id in batch {
            let pending = self.pending.get_mut(id).expect("the device holds what is pending");
            let answer = crate::rig::answer(&id.to_le_bytes(), pending.room);
            pending.used = Some((answer.clone(), u32::try_from(answer.len()).unwrap()));
            answers.push(answer);
        }
        self.bench.rig.complete_batch(0, &answers);
        Some(())
    }

    /// Requests that the device has used and that have not come back.
    fn used(&self) -> usize {
        self.pending.values().filter(|pending| pending.used.is_some()).count()
    }

    /// Polls once; answers whether a request came.
    fn poll(&mut self) -> bool {
        let used = self.used();
        let (pending, lied) = (&mut self.pending, self.lied);
        let mut port: Lane<'_, R> = self.live.port(0).expect("the queue is there");
        match port.poll().map(|done| done.map(|done| settle(done, pending, lied))) {
            Ok(Some(())) => true,
            Ok(None) => {
                assert!(lied || used == 0, "{used} used requests are not found");
                false
            }
            Err(error) => {
                self.faults(error);
                false
            }
        }
    }

    fn drain(&mut self, budget: usize) {
        let used = self.used();
        let (pending, lied) = (&mut self.pending, self.lied);
        let mut port: Lane<'_, R> = self.live.port(0).expect("the queue is there");
        let mut came = 0;
        let outcome = port.drain(budget, |done| {
            settle(done, pending, lied);
            came += 1;
        });
        match outcome {
            Ok(count) => {
                assert_eq!(count, came);
                assert!(lied || count == used.min(budget), "{count} of {used} within {budget}");
                assert!(count <= budget);
            }
            Err(error) => self.faults(error),
        }
    }

    fn poll_for(&mut self, choices: &mut impl Choices) -> Option<()> {
        let nth = usize::from(choices.byte()?);
        let Some((id, one)) = self.pending.iter().nth(nth % self.pending.len().max(1)) else {
            return Some(());
        };
        let (id, token, used) = (*id, one.token, one.used.is_some());
        let (pending, lied) = (&mut self.pending, self.lied);
        let mut port: Lane<'_, R> = self.live.port(0).expect("the queue is there");
        let came = port.poll_for(token).map(|done| {
            done.map(|done| {
                assert_eq!(done.token(), token, "another request came");
                settle(done, pending, lied);
            })
        });
        match came {
            Ok(Some(())) => {}
            Ok(None) => assert!(lied || !used, "used request {id} is not found"),
            Err(error) => self.faults(error),
        }
        Some(())
    }

    fn reset(&mut self) {
        if !self.config.has(Features::RING_RESET) {
            return;
        }
        let mut back = Vec::new();
        self.live
            .stop_queue::<Scatter>(0, |token, payload| back.push((token, payload.id)))
            .expect("the device resets its queue");
        self.bench.rig.forget(0);
        assert_eq!(back.len(), self.pending.len(), "what comes back is what was not taken");
        for (token, id) in back {
            let pending = self.pending.remove(&id).expect("what comes back was pending");
            assert_eq!(pending.token, token, "the payload of another request");
        }
        for _ in 0..2 {
            let outcome = self.port().poll().map(|done| done.is_some());
            assert_eq!(outcome, Err(Misuse::QueueStopped.into()));
        }
        self.live.start_queue(0).expect("a queue that was stopped starts");
        (self.shown, self.notified) = (0, 0);
        self.event = (!self.config.has(Features::RING_PACKED)).then_some(0);
        (self.rubbish, self.lied, self.broken) = (false, false, None);
        let size = self.config.size;
        assert_eq!((self.port().free(), self.port().in_flight()), (size, 0));
    }

    fn lie(&mut self, choices: &mut impl Choices) -> Option<()> {
        let size = u32::from(self.config.size);
        // In a packed ring every one of those announced is written.
        let limit = if self.config.has(Features::RING_PACKED) { 4 * size } else { 1 << 16 };
        let number = choices.below(1 << 16)?;
        let untruth = match choices.byte()? % 4 {
            0 => Untruth::Id(number),
            1 => Untruth::Id(number % (size + 1)),
            2 => Untruth::Advance(u16::try_from(number % limit).unwrap()),
            _ => Untruth::Advance(u16::try_from(number % (size + 2)).unwrap()),
        };
        self.bench.rig.lie(0, untruth);
        self.lied = true;
        Some(())
    }

    /// What a device may do to its own harm only.
    fn rubbish(&mut self, choices: &mut impl Choices) -> Option<()> {
        let (kind, byte) = (choices.byte()?, choices.byte()?);
        if kind % 2 == 0 {
            let flags = u16::from_le_bytes([byte, choices.byte()?]);
            let event = u16::try_from(choices.below(1 << 16)?).unwrap();
            self.bench.rig.lie(0, Untruth::Suppression(event, flags));
            self.rubbish = true;
        } else if self.pending.values().all(|pending| pending.published) && !self.lied {
            // What it had not read yet would be lost to itself.
            self.work();
            self.bench.rig.lie(0, Untruth::Descriptors(byte));
            // In a packed ring, that says what was used.
            self.lied |= self.config.has(Features::RING_PACKED);
        }
        Some(())
    }

    fn faults(&mut self, error: Error) {
        match error {
            Error::Misbehaved(why) => self.blames(why),
            other => panic!("{other:?}"),
        }
    }

    /// An error that blames the device: it has lied, on the ring, and the verdict does not change.
    fn blames(&mut self, why: Misbehaved) {
        assert!(self.lied, "an honest device is blamed: {why:?}");
        let ring = matches!(
            why,
            Misbehaved::UsedIdOutOfRange { .. }
                | Misbehaved::UsedIdNotInFlight { .. }
                | Misbehaved::UsedIndexJump { .. }
        );
        assert!(ring, "the lie was on the ring: {why:?}");
        assert_eq!(*self.broken.get_or_insert(why), why, "the verdict changes");
    }

    fn finish(mut self) {
        self.bench.rig.trouble(Trouble::Failure(0));
        if !self.lied {
            self.publish();
            self.work();
            let mut all: &[u8] = &[0; 4096];
            while self.bench.rig.count(0) > 0 {
                self.complete(&mut all).expect("no queue here is that large");
            }
            while self.poll() {}
            assert!(self.pending.is_empty(), "{} requests never came back", self.pending.len());
            let size = self.config.size;
            let port = self.port();
            assert_eq!((port.in_flight(), port.free()), (0, size), "descriptors are lost");
        }
        let Self { bench, live, made, gone, .. } = self;
        drop(live);
        assert_eq!(gone.load(Ordering::Relaxed), made as usize, "each payload goes exactly once");
        bench.rig.finish();
    }
}

/// A request has come back: one that was pending, with its own payload, and with what the device wrote.
fn settle<H: Hal>(mut done: Done<'_, Scatter, H>, pending: &mut BTreeMap<u32, Pending>, lied: bool) {
    let payload = done.take_payload().expect("a completed request has its payload");
    assert!(done.take_payload().is_none(), "a payload comes back once");
    let expected = pending.remove(&payload.id).expect("what comes back was pending");
    assert_eq!(expected.token, done.token(), "the payload of another request");
    assert!(expected.published, "it was never shown to the device");
    let written = usize::try_from(done.written()).unwrap();
    assert!(written <= expected.room, "more was written than posted");
    if lied {
        return;
    }
    let (answer, claim) = expected.used.expect("an honest device has used it");
    let room = u32::try_from(expected.room).unwrap();
    assert_eq!(done.written(), claim.min(room));
    // A packed device need not say anything of a request without room (VIRTIO 1.4 §2.8.5).
    assert!(done.claimed() == claim || room == 0, "{} claimed, not {claim}", done.claimed());
    let mut bytes: Vec<u8> = payload.writable.iter().flatten().copied().collect();
    let own = bytes.len();
    assert!(bytes[written.min(own)..].iter().all(|byte| *byte == 0), "what was not written is untouched");
    let mut response = vec![0; payload.response];
    assert_eq!(done.copy_response(&mut response), written.saturating_sub(own));
    bytes.extend(response);
    let sure = written.min(answer.len());
    assert_eq!(bytes[..sure], answer[..sure], "what the device wrote");
}
