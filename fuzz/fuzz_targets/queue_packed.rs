//! One packed queue, driven by whatever libFuzzer thinks of, beside a model of it: the machine of `virtio-core/tests/model`,
//! which says what has to come of each step.
#![no_main]
#![allow(dead_code, reason = "the scenarios' helpers are more than the machine needs")]

#[path = "../../virtio-core/tests/scenarios/counted.rs"]
mod counted;
#[path = "../../virtio-core/tests/scenarios/kit.rs"]
mod kit;
#[path = "../../virtio-core/tests/model/machine.rs"]
mod machine;
#[path = "../../virtio-core/tests/scenarios/rig.rs"]
mod rig;

use libfuzzer_sys::fuzz_target;
use virtio_core::Features;

fuzz_target!(|input: &[u8]| {
    let mut choices = input;
    machine::run::<kit::Kit>(Features::VERSION_1 | Features::RING_PACKED, &mut choices);
});
