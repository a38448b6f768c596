//! Driver and device on two threads, over one real ring and with nothing in between: no kick and no interrupt is lost.
//!
//! Natively, these tests run many rounds. Under Miri (`cargo xtask miri`) they run few, but with many seeds, each of which
//! is another interleaving and lets other loads see what was there before.
//!
//! The tests that are ignored have a barrier taken away: `cargo xtask miri` runs each and demands that it fails. A processor
//! that orders more than the memory model asks for may let them pass, so they are of no use natively.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::std_instead_of_alloc,
    reason = "tests fail by panicking, and run on std"
)]

#[path = "races/device.rs"]
mod device;
#[path = "races/driver.rs"]
mod driver;
#[path = "races/hal.rs"]
mod hal;
#[path = "races/wire.rs"]
mod wire;

use std::sync::Arc;

use hal::{Barrier, RaceHal};
use virtio_core::Features;
use wire::Wire;

/// Entries of the ring. Each request takes two.
const SIZE: u16 = 4;
/// Requests that fit.
const MOST: u32 = SIZE as u32 / 2;
/// Batches of requests in one run, of 1 to `MOST`: few under Miri, where the seeds make up for it.
const ROUNDS: u32 = if cfg!(miri) { 3 } else { 5_000 };
/// And where a loss is wanted, which ends it.
const WEAKENED_ROUNDS: u32 = 6 * ROUNDS;

const SPLIT: Features = Features::VERSION_1;
const SPLIT_EVENT_IDX: Features = SPLIT.union(Features::EVENT_IDX);
const PACKED: Features = SPLIT.union(Features::RING_PACKED);
const PACKED_EVENT_IDX: Features = PACKED.union(Features::EVENT_IDX);

/// Which hand-shake is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Race {
    /// The device sleeps between requests; the driver polls.
    Kicks,
    /// The driver sleeps between answers; the device polls.
    Interrupts,
}

/// How many kicks or interrupts were lost.
fn lost(race: Race, features: Features, barrier: Barrier) -> u32 {
    let hal = RaceHal::new(barrier);
    let rounds = if barrier == Barrier::Whole { ROUNDS } else { WEAKENED_ROUNDS };
    let wire = Arc::new(Wire::new(rounds));
    let mut live = driver::up(&hal, &wire, features);
    let (memory, mut queue) = (hal.pins(), wire.queue(features));
    std::thread::scope(|threads| {
        let wire = &*wire;
        let device = threads.spawn(move || match race {
            Race::Kicks => device::sleeper(&memory, &mut queue, wire),
            Race::Interrupts => device::poller(&memory, &mut queue, wire),
        });
        let mut port = live.port::<()>(0).unwrap();
        let lost = match race {
            Race::Kicks => driver::poller(&mut port, wire),
            Race::Interrupts => driver::sleeper(&mut port, wire),
        };
        lost + device.join().unwrap()
    })
}

/// With barriers as they are, for a device on another processor and for one behind a bus.
fn holds(race: Race, features: Features) {
    assert_eq!(lost(race, features, Barrier::Whole), 0, "{race:?} were lost");
    assert_eq!(lost(race, features | Features::ORDER_PLATFORM, Barrier::Whole), 0, "{race:?} were lost");
}

/// With `ORDER_PLATFORM`, and a platform whose device barrier is none.
fn weakened(race: Race, features: Features) {
    let lost = lost(race, features | Features::ORDER_PLATFORM, Barrier::Missing);
    assert_eq!(lost, 0, "{race:?} were lost, as they should be");
}

macro_rules! races {
    ($($name:ident: $race:ident, $features:ident;)*) => {
        $(
            #[test]
            fn $name() {
                holds(Race::$race, $features);
            }
        )*

        mod weakened {
            use super::*;
            $(
                #[test]
                #[ignore = "has to fail, with one of Miri's seeds at least: `cargo xtask miri`"]
                fn $name() {
                    weakened(Race::$race, $features);
                }
            )*
        }
    };
}

races! {
    split_kicks: Kicks, SPLIT;
    split_event_idx_kicks: Kicks, SPLIT_EVENT_IDX;
    packed_kicks: Kicks, PACKED;
    packed_event_idx_kicks: Kicks, PACKED_EVENT_IDX;
    split_interrupts: Interrupts, SPLIT;
    split_event_idx_interrupts: Interrupts, SPLIT_EVENT_IDX;
    packed_interrupts: Interrupts, PACKED;
    packed_event_idx_interrupts: Interrupts, PACKED_EVENT_IDX;
}
