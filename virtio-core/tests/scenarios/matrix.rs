//! Which scenarios run with which features and sizes.

use virtio_core::Features;

use crate::rig::{Config, Rig};
use crate::{layers, notify, requests};

/// The features that change what a queue does.
const VARIED: [Features; 4] =
    [Features::EVENT_IDX, Features::INDIRECT_DESC, Features::IN_ORDER, Features::NOTIFICATION_DATA];

/// Every combination of them, with `fixed`. Under Miri, which takes its time: all at once.
pub(crate) fn combinations(fixed: Features) -> Vec<Features> {
    let all = (0..1_u32 << VARIED.len()).map(|set| {
        let chosen = (0..).zip(VARIED).filter(|(bit, _)| set >> bit & 1 == 1);
        chosen.fold(fixed, |all, (_, feature)| all | feature)
    });
    let all: Vec<_> = all.collect();
    if cfg!(miri) { vec![all[15]] } else { all }
}

/// Sizes that run through everything.
pub(crate) const SMALL: &[u16] = if cfg!(miri) { &[4] } else { &[1, 2, 4, 8, 16, 64] };
/// Sizes that run through less.
pub(crate) const LARGE: &[u16] =
    if cfg!(miri) { &[] } else { &[32, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768] };

/// Everything that any queue does.
pub(crate) fn everything<R: Rig>(config: Config) {
    // For whoever reads a failure.
    println!("{config:?}");
    requests::chains_of_every_length::<R>(config);
    requests::headers_and_responses::<R>(config);
    requests::full::<R>(config);
    requests::out_of_order::<R>(config);
    requests::batches::<R>(config);
    requests::rejected_requests_leave_nothing_behind::<R>(config);
    requests::a_drain_takes_all_that_is_used::<R>(config);
    requests::tables::<R>(config);
    // More than two laps.
    requests::laps::<R>(config, if cfg!(miri) { 20 } else { 5 * u32::from(config.size) + 50 });
    requests::raw::<R>(config);
    requests::two_queues::<R>(config);
    if config.has(Features::EVENT_IDX) {
        let limit = if cfg!(miri) { 2 } else { 7 };
        for every in (1..=limit).chain(if cfg!(miri) { None } else { Some(48) }) {
            notify::kicks_are_the_minimum::<R>(config, every, if cfg!(miri) { 20 } else { 150 });
        }
    }
    notify::suppression::<R>(config);
    notify::interrupts::<R>(config);
    layers::borrowed::<R>(config);
    layers::borrowed_beside_owned::<R>(config);
    if config.has(Features::RING_RESET) {
        layers::stop_and_start::<R>(config);
        layers::reset_of_a_broken_queue::<R>(config);
    }
}

/// What is worth its time in a large queue: it is filled; chains as long as it.
pub(crate) fn large<R: Rig>(config: Config) {
    // For whoever reads a failure.
    println!("{config:?}");
    requests::full::<R>(config);
    requests::raw::<R>(config);
    if config.size <= 256 {
        notify::interrupts::<R>(config);
        requests::chains_of_every_length::<R>(config);
    }
    if config.size <= 256 {
        requests::laps::<R>(config, 5 * u32::from(config.size));
        requests::tables::<R>(config);
    }
    if config.has(Features::EVENT_IDX) {
        notify::kicks_are_the_minimum::<R>(config, 7, 100);
    }
}
