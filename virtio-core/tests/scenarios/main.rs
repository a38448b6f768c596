//! One list of scenarios, over the test kit's split and packed devices: every combination of features, every size. The same
//! list runs over rust-vmm's device side in `conformance/queues`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::result_large_err,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking; not every binary uses every helper"
)]

mod counted;
mod kit;
mod layers;
mod matrix;
mod notify;
mod pooled;
mod random;
mod requests;
mod rig;

use kit::Kit;
use matrix::{LARGE, SMALL, combinations, everything, large};
use pooled::Pooled;
use rig::Config;
use virtio_core::Features;

const SPLIT: Features = Features::VERSION_1.union(Features::RING_RESET);
const PACKED: Features = SPLIT.union(Features::RING_PACKED);
const PLATFORM: Features = Features::ACCESS_PLATFORM.union(Features::ORDER_PLATFORM);

fn every_combination(fixed: Features) {
    for features in combinations(fixed) {
        for &size in SMALL {
            everything::<Kit>(Config::new(features, size));
        }
    }
}

// shows: basic.features.6, split.framing.1, split.framing.2, split.desc.2, split.desc.indirect.1
// shows: split.desc.indirect.2, split.desc.indirect.3, split.desc.indirect.4, split.desc.indirect.5
// shows: split.avail-ring.1, split.used-notif-suppress.1, split.used-notif-suppress.3
#[test]
fn split_every_combination() {
    every_combination(SPLIT);
}

// shows: packed.1, packed.desc.3, packed.sg.1, packed.sg.2, packed.sg.3, packed.sg.4, packed.sg.5
// shows: packed.desc.indirect.1, packed.desc.indirect.2, packed.desc.indirect.3, packed.desc.indirect.4
#[test]
fn packed_every_combination() {
    every_combination(PACKED);
}

// shows: basic.features.legacy.3, split.legacy-virtqueue-layout.2, split.legacy-virtqueue-layout.3
#[test]
fn legacy_every_combination() {
    let all = [rig::ALL_LEGACY, Features::empty(), Features::EVENT_IDX, Features::INDIRECT_DESC];
    for &features in if cfg!(miri) { &all[..1] } else { &all } {
        for &size in SMALL {
            everything::<Kit>(Config::legacy(features, size));
        }
    }
}

// shows: reserved-features.3, reserved-features.4, reserved-features.7
#[test]
#[cfg_attr(miri, ignore = "what Miri sees of it is in `incumbent`, whose barriers are the platform's")]
fn on_a_platform_with_barriers_of_its_own() {
    for fixed in [SPLIT | PLATFORM, PACKED | PLATFORM] {
        let all = combinations(fixed);
        for features in all {
            everything::<Kit>(Config::new(features, 8));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "as long as all the others; what Miri sees of pools is in `pool`")]
fn through_a_pool() {
    for fixed in [SPLIT, PACKED] {
        let all = combinations(fixed);
        for features in [all[0], all[7], all[15]] {
            for &size in SMALL {
                everything::<Pooled>(Config::new(features, size));
            }
        }
    }
    for &size in SMALL {
        everything::<Pooled>(Config::legacy(rig::ALL_LEGACY, size));
    }
}

#[test]
#[cfg_attr(miri, ignore = "too much for it; the small sizes are not")]
fn large_queues() {
    for fixed in [SPLIT, PACKED] {
        let all = combinations(fixed);
        for &size in LARGE {
            // None; all but IN_ORDER; all.
            for features in [all[0], all[15] - Features::IN_ORDER, all[15]] {
                large::<Kit>(Config::new(features, size));
            }
        }
    }
}

/// More than 65,536 requests, so that the free-running indices of a split queue wrap; a packed one goes thousands of laps.
#[test]
#[cfg_attr(miri, ignore = "too many rounds; `queue::event` has the arithmetic")]
fn indices_wrap() {
    for fixed in [SPLIT, PACKED] {
        let all = combinations(fixed);
        requests::laps::<Kit>(Config::new(all[0], 8), 70_000);
        requests::laps::<Kit>(Config::new(all[15], 4), 70_000);
        notify::kicks_are_the_minimum::<Kit>(Config::new(all[1], 32), 48, 70_000);
        notify::kicks_are_the_minimum::<Kit>(Config::new(all[15], 16), 3, 70_000);
    }
    notify::an_event_left_behind_is_not_due::<Kit>(Config::new(SPLIT | Features::EVENT_IDX, 4));
}
