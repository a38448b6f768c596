//! Drives one contestant and the device in turns: a batch submitted, consumed, completed, again and again.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::device::{Device, Rings, Tally, Wish};
use crate::pool::{Pool, REQUESTS};
use crate::row::Row;

/// A contestant: a driver's queue with the requests it will be asked for.
pub trait Driver {
    /// Where its rings are.
    fn rings(&self) -> Rings;

    /// Adds requests `from .. from + batch` of the pool with their numbers as cookies, publishes them, and rings the bell
    /// if the device wants that.
    fn submit(&mut self, from: usize, batch: usize);

    /// Takes every used request; what was taken.
    fn complete(&mut self) -> Sink;
}

/// Where completions end up: two sums, which a driver's loop can keep in registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sink {
    /// All cookies, and [`ONE`](Self::ONE) for each request.
    requests: u64,
    /// All lengths.
    written: u64,
}

impl Sink {
    /// One request. Cookies are below the number of requests in the pool, so that their sum stays below this.
    const ONE: u64 = 1 << 40;

    /// Takes one completion.
    #[inline(always)]
    pub fn take(&mut self, cookie: u64, written: u32) {
        self.requests = self.requests.wrapping_add(Self::ONE + cookie);
        self.written = self.written.wrapping_add(u64::from(written));
    }

    fn add(&mut self, other: Self) {
        self.requests = self.requests.wrapping_add(other.requests);
        self.written = self.written.wrapping_add(other.written);
    }

    /// After `done` requests with cookies `0 .. REQUESTS`, round and round.
    fn after(done: u64, written: u64) -> Self {
        let laps = |below: u64| below * below.saturating_sub(1) / 2;
        let pool = REQUESTS as u64;
        let cookies = done / pool * laps(pool) + laps(done % pool);
        Self { requests: done.wrapping_mul(Self::ONE).wrapping_add(cookies), written: done * written }
    }
}

/// The two functions whose instructions count: everything a driver does, and nothing else, happens below them. They are
/// found by their names in the profile.
mod counted {
    use super::{Driver, Sink};

    #[inline(never)]
    pub(super) fn driver_submit<D: Driver, const BATCH: usize>(driver: &mut D, from: usize) {
        driver.submit(from, BATCH);
    }

    #[inline(never)]
    pub(super) fn driver_complete<D: Driver>(driver: &mut D) -> Sink {
        driver.complete()
    }
}

/// What can be verified of a contestant.
#[derive(Clone, Copy, Debug)]
pub struct Tells {
    /// Its driver says how many bytes were written.
    pub written: bool,
    /// All buffers of a request are those of the pool.
    pub addresses: bool,
}

/// What to do per batch beside the device's work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nothing.
    Once,
    /// The device does its work twice, the first time in vain.
    Rehearsed,
}

/// A contestant on its device, ready to run.
pub trait Bench {
    /// Runs `count` requests, which is a multiple of the batch; how long that took.
    ///
    /// # Panics
    /// If the device saw other requests than those asked for, or the driver completed others.
    fn run(&mut self, count: u64, device: Turn) -> Duration;

    /// How often the device was notified so far.
    fn kicks(&self) -> u64;
}

struct Pair<D, V, const BATCH: usize> {
    driver: D,
    device: V,
    bell: Bell,
    pool: Pool,
    from: usize,
    done: u64,
    sink: Sink,
    tells: Tells,
}

/// Puts a driver and a device together.
pub fn bench<V: Device + 'static>(
    driver: impl Driver + 'static,
    row: Row,
    wish: Wish,
    pool: Pool,
    bell: Bell,
    tells: Tells,
) -> Box<dyn Bench> {
    let device = V::new(driver.rings(), wish);
    let (from, done, sink) = (0, 0, Sink::default());
    // The size of a batch is a constant to its driver: a kernel that sends one request has no loop around it.
    match row.batch {
        1 => Box::new(Pair::<_, V, 1> { driver, device, bell, pool, from, done, sink, tells }),
        16 => Box::new(Pair::<_, V, 16> { driver, device, bell, pool, from, done, sink, tells }),
        other => panic!("no row has batches of {other}"),
    }
}

impl<D: Driver, V: Device, const BATCH: usize> Bench for Pair<D, V, BATCH> {
    #[inline(never)]
    fn run(&mut self, count: u64, device: Turn) -> Duration {
        let batches = count / BATCH as u64;
        let rehearse = device == Turn::Rehearsed;
        let begin = Instant::now();
        for _ in 0..batches {
            counted::driver_submit::<D, BATCH>(black_box(&mut self.driver), black_box(self.from));
            if rehearse {
                self.device.rehearse();
            }
            self.device.run();
            self.sink.add(black_box(counted::driver_complete(black_box(&mut self.driver))));
            self.from = (self.from + BATCH) % REQUESTS;
        }
        let time = begin.elapsed();
        self.done += batches * BATCH as u64;
        self.verify();
        time
    }

    fn kicks(&self) -> u64 {
        self.bell.rung()
    }
}

impl<D: Driver, V: Device, const BATCH: usize> Pair<D, V, BATCH> {
    fn verify(&self) {
        let (tally, expected) = (self.device.tally(), self.pool.tally(self.done));
        let addresses = if self.tells.addresses { expected.addresses } else { tally.addresses };
        assert_eq!(tally, Tally { addresses, ..expected }, "what the device saw");
        let written = if self.tells.written { self.pool.written() } else { 0 };
        assert_eq!(self.sink, Sink::after(self.done, written), "what the driver completed");
    }
}
