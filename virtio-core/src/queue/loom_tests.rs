//! The two hand-shakes, in every order of memory accesses that the C11 model allows (I-ORDER).
//!
//! [`protocol`](super::split::protocol) of either format runs here on loom's atomics, as [`Ring`], against a device written
//! for this test. Two threads, two requests, the ring at the wrap of its counters. It must never happen that
//!
//! * the driver holds a kick back, and the device sleeps without having seen the request: *a kick was lost*;
//! * the device holds an interrupt back, and the driver sleeps without having seen the answer: *an interrupt was lost*;
//! * one side sees the index or flag of the other, and not what was written before: *stale*.
//!
//! The same is run with each barrier weakened, and then it must happen: a model that finds nothing would prove nothing.
//!
//! Memory behind the rings is made of relaxed atomics: where an order is missing, some execution reads what was there before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
extern crate std;

#[cfg(feature = "packed")]
mod packed;
mod split;

use alloc::boxed::Box;
use alloc::string::String;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering as Count};
use std::panic::catch_unwind;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU16, Ordering, fence};
use loom::thread;

/// Requests in each model.
const REQUESTS: u16 = 2;
/// What is in memory before anything is written.
const NOTHING: u16 = 0;

/// How strong the driver's side is. The device's is always as it should be.
#[derive(Clone, Copy, Debug)]
struct Strength {
    /// What `full_barrier` is.
    barrier: Option<Ordering>,
    /// How an index or flag is stored that publishes.
    publish: Ordering,
    /// How an index or flag is loaded that the device publishes.
    look: Ordering,
}

const STRONG: Strength =
    Strength { barrier: Some(Ordering::SeqCst), publish: Ordering::Release, look: Ordering::Acquire };

impl Strength {
    fn full_barrier(self) {
        if let Some(order) = self.barrier {
            fence(order);
        }
    }
}

/// One queue, both ends of it. Requests are numbered from 0.
trait Ring: Send + Sync + 'static {
    /// Device-readable memory of a request, and what is written back, one cell each.
    fn memory(&self) -> &Memory;

    // The driver's end: the code under proof.
    fn publish(&self, old: u16, new: u16);
    fn wants_notification(&self, old: u16, new: u16) -> bool;
    fn is_used(&self, request: u16) -> bool;
    /// Answers whether the request is used already.
    fn enable_interrupts(&self, request: u16) -> bool;
    fn disable_interrupts(&self, request: u16);

    // The device's end.
    fn is_available(&self, request: u16) -> bool;
    fn suppress_kicks(&self);
    fn ask_for_kick(&self, request: u16);
    fn put_used(&self, old: u16, new: u16);
    fn wants_interrupt(&self, old: u16, new: u16) -> bool;
}

/// What lies behind a ring: one cell for each request that the driver writes, and one that the device does.
struct Memory {
    requests: [AtomicU16; REQUESTS as usize],
    answers: [AtomicU16; REQUESTS as usize],
}

impl Memory {
    fn new() -> Self {
        let cells = || [AtomicU16::new(NOTHING), AtomicU16::new(NOTHING)];
        Self { requests: cells(), answers: cells() }
    }

    fn write(cells: &[AtomicU16], request: u16) {
        cells[usize::from(request)].store(request + 1, Ordering::Relaxed);
    }

    fn check(cells: &[AtomicU16], request: u16) {
        assert_eq!(cells[usize::from(request)].load(Ordering::Relaxed), request + 1, "stale");
    }
}

/// A doorbell or an interrupt line: it stays pending until it is taken, and memory is in order around it, as around a
/// register.
#[derive(Default)]
struct Line(AtomicBool);

impl Line {
    fn raise(&self) {
        // A read-modify-write as `take` is: loom keeps those in one order, but may put a plain store in front of them.
        self.0.swap(true, Ordering::Release);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Acquire)
    }
}

/// The driver publishes in batches; the device works until nothing is left, asks for a kick, looks again and sleeps.
fn kicks<R: Ring>(ring: R, batches: &[u16]) {
    let (ring, bell) = (Arc::new(ring), Arc::new(Line::default()));
    ring.suppress_kicks();
    let device = {
        let (ring, bell) = (Arc::clone(&ring), Arc::clone(&bell));
        thread::spawn(move || {
            let mut seen = 0;
            loop {
                while seen < REQUESTS && ring.is_available(seen) {
                    Memory::check(&ring.memory().requests, seen);
                    seen += 1;
                }
                if seen == REQUESTS {
                    return seen;
                }
                ring.ask_for_kick(seen);
                fence(Ordering::SeqCst);
                if !ring.is_available(seen) && !bell.take() {
                    return seen;
                }
                ring.suppress_kicks();
            }
        })
    };
    let mut old = 0;
    for batch in batches {
        let new = old + batch;
        for request in old..new {
            Memory::write(&ring.memory().requests, request);
        }
        ring.publish(old, new);
        if ring.wants_notification(old, new) {
            bell.raise();
        }
        old = new;
    }
    let seen = device.join().unwrap();
    assert!(seen == REQUESTS || bell.take(), "a kick was lost");
}

/// The device uses what it has in batches; the driver takes until nothing is left, asks for an interrupt, looks again and
/// sleeps.
fn interrupts<R: Ring>(ring: R, batches: &[u16]) {
    let (ring, line) = (Arc::new(ring), Arc::new(Line::default()));
    ring.publish(0, REQUESTS);
    ring.disable_interrupts(0);
    let driver = {
        let (ring, line) = (Arc::clone(&ring), Arc::clone(&line));
        thread::spawn(move || {
            let mut taken = 0;
            loop {
                while taken < REQUESTS && ring.is_used(taken) {
                    Memory::check(&ring.memory().answers, taken);
                    taken += 1;
                }
                if taken == REQUESTS {
                    return taken;
                }
                if !ring.enable_interrupts(taken) && !line.take() {
                    return taken;
                }
                ring.disable_interrupts(taken);
            }
        })
    };
    let mut old = 0;
    for batch in batches {
        let new = old + batch;
        for request in old..new {
            Memory::write(&ring.memory().answers, request);
        }
        ring.put_used(old, new);
        fence(Ordering::SeqCst);
        if ring.wants_interrupt(old, new) {
            line.raise();
        }
        old = new;
    }
    let taken = driver.join().unwrap();
    assert!(taken == REQUESTS || line.take(), "an interrupt was lost");
}

/// A scenario and the batches that it is run with.
type Scenario<R> = fn(R, &[u16]);

/// Runs a scenario in every order: one by one, and as one batch. Answers how many orders there were.
fn explore<R: Ring>(scenario: Scenario<R>, ring: fn(Strength) -> R, strength: Strength) -> u64 {
    let orders = alloc::sync::Arc::new(AtomicU64::new(0));
    for batches in [&[1, 1][..], &[2]] {
        let orders = alloc::sync::Arc::clone(&orders);
        loom::model(move || {
            orders.fetch_add(1, Count::Relaxed);
            scenario(ring(strength), batches);
        });
    }
    orders.load(Count::Relaxed)
}

/// Nothing is lost and nothing is stale.
fn holds<R: Ring>(name: &str, scenario: Scenario<R>, ring: fn(Strength) -> R) {
    let orders = explore(scenario, ring, STRONG);
    std::println!("{name}: {orders} orders");
    assert!(orders > 100, "{name}: two threads have more than {orders} orders");
}

/// With this strength, loom finds an order in which `what` happens.
fn fails<R: Ring>(scenario: Scenario<R>, ring: fn(Strength) -> R, strength: Strength, what: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| explore(scenario, ring, strength)));
    let Err(said) = outcome else { panic!("{strength:?} fails in no order: nothing would notice {what:?}") };
    let said = message(said);
    assert!(said.contains(what), "{strength:?} fails for another reason: {said}");
}

fn message(panic: Box<dyn core::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(said) => *said,
        Err(other) => String::from(*other.downcast::<&str>().unwrap_or_else(|_| Box::new("no words"))),
    }
}

/// All that is to be shown of one kind of ring.
macro_rules! proofs {
    ($ring:expr) => {
        use $crate::queue::loom_tests::{Ordering, STRONG, Strength, fails, holds, interrupts, kicks};

        /// Less than a full barrier: none at all, and the strongest that does not order a load behind a store.
        const WEAK: [Strength; 2] =
            [Strength { barrier: None, ..STRONG }, Strength { barrier: Some(Ordering::AcqRel), ..STRONG }];

        // shows: split.supply.updating-idx.1, split.supply.notify.1, packed.supply.updating-flags.1
        // shows: packed.supply.notify.1
        #[test]
        fn no_kick_is_lost() {
            holds(concat!(module_path!(), " kicks"), kicks, $ring);
        }

        #[test]
        fn no_interrupt_is_lost() {
            holds(concat!(module_path!(), " interrupts"), interrupts, $ring);
        }

        #[test]
        fn weakened_barrier_loses_a_kick() {
            WEAK.into_iter().for_each(|weak| fails(kicks, $ring, weak, "a kick was lost"));
        }

        #[test]
        fn weakened_barrier_loses_an_interrupt() {
            WEAK.into_iter().for_each(|weak| fails(interrupts, $ring, weak, "an interrupt was lost"));
        }

        #[test]
        fn weakened_publication_shows_a_stale_request() {
            fails(kicks, $ring, Strength { publish: Ordering::Relaxed, ..STRONG }, "stale");
        }

        #[test]
        fn weakened_look_shows_a_stale_answer() {
            fails(interrupts, $ring, Strength { look: Ordering::Relaxed, ..STRONG }, "stale");
        }
    };
}
use proofs;
