//! The scenarios of `virtio-core/tests/scenarios` against rust-vmm's `virtio-queue`: a device side that others wrote, and that
//! runs under Firecracker and Cloud Hypervisor.
#![allow(
    dead_code,
    clippy::manual_is_multiple_of,
    clippy::result_large_err,
    reason = "scenarios keep Rust 1.85, and know more of a device than this one has"
)]

#[path = "../../../../virtio-core/tests/scenarios/counted.rs"]
mod counted;
mod device;
#[path = "../../../../virtio-core/tests/scenarios/layers.rs"]
mod layers;
#[path = "../../../../virtio-core/tests/model/machine.rs"]
mod machine;
#[path = "../../../../virtio-core/tests/scenarios/matrix.rs"]
mod matrix;
mod memory;
mod model;
#[path = "../../../../virtio-core/tests/scenarios/notify.rs"]
mod notify;
#[path = "../../../../virtio-core/tests/scenarios/random.rs"]
mod random;
#[path = "../../../../virtio-core/tests/scenarios/requests.rs"]
mod requests;
#[path = "../../../../virtio-core/tests/scenarios/rig.rs"]
mod rig;

use device::Vm;
use matrix::{LARGE, SMALL, combinations, everything, large};
use rig::Config;
use virtio_core::Features;

const SPLIT: Features = Features::VERSION_1.union(Features::RING_RESET);
const PLATFORM: Features = Features::ACCESS_PLATFORM.union(Features::ORDER_PLATFORM);

#[test]
fn every_combination() {
    for features in combinations(SPLIT) {
        for &size in SMALL {
            everything::<Vm>(Config::new(features, size));
        }
    }
}

/// Its rings are little-endian, as those of a legacy device are on such a host, and only there.
#[test]
#[cfg(target_endian = "little")]
fn the_legacy_layout() {
    for features in [Features::empty(), Features::EVENT_IDX, Features::INDIRECT_DESC, rig::ALL_LEGACY] {
        for &size in SMALL {
            everything::<Vm>(Config::legacy(features, size));
        }
    }
}

#[test]
fn on_a_platform_with_barriers_of_its_own() {
    let all = combinations(SPLIT | PLATFORM);
    everything::<Vm>(Config::new(all[0], 8));
    everything::<Vm>(Config::new(all[15], 8));
}

#[test]
fn large_queues() {
    let all = combinations(SPLIT);
    for &size in LARGE {
        for features in [all[0], all[15] - Features::IN_ORDER, all[15]] {
            large::<Vm>(Config::new(features, size));
        }
    }
}

#[test]
fn indices_wrap() {
    let all = combinations(SPLIT);
    requests::laps::<Vm>(Config::new(all[0], 8), 70_000);
    requests::laps::<Vm>(Config::new(all[15], 4), 70_000);
    requests::laps::<Vm>(Config::new(all[3], 256), 70_000);
    for every in [1, 2, 3, 48] {
        notify::kicks_are_the_minimum::<Vm>(Config::new(all[1], 16), every, 70_000);
    }
    notify::an_event_left_behind_is_not_due::<Vm>(Config::new(all[1], 4));
}
