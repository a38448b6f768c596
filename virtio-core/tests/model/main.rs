//! Random operations on one queue, beside a simple model of it (`machine`), over the test kit's split and packed devices.
//! The fuzz targets run the same machine on what libFuzzer thinks of.
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

#[path = "../scenarios/counted.rs"]
mod counted;
#[path = "../scenarios/kit.rs"]
mod kit;
mod machine;
#[path = "../scenarios/random.rs"]
mod random;
#[path = "../scenarios/rig.rs"]
mod rig;

use kit::Kit;
use machine::Choices;
use random::Random;
use virtio_core::Features;

/// So many bytes of a generator.
struct Bytes(Random, u32);

impl Choices for Bytes {
    fn byte(&mut self) -> Option<u8> {
        self.1 = self.1.checked_sub(1)?;
        Some(self.0.next().to_le_bytes()[0])
    }
}

fn many(fixed: Features, seeds: core::ops::Range<u64>, bytes: u32) {
    for seed in seeds {
        println!("seed {seed}");
        machine::run::<Kit>(fixed, &mut Bytes(Random::new(seed), bytes));
    }
}

const LONG: u32 = if cfg!(miri) { 300 } else { 4000 };
const SHORT: u32 = 120;
const SEEDS: u64 = if cfg!(miri) { 1 } else { 300 };

#[test]
fn a_split_queue_does_what_the_model_says() {
    many(Features::VERSION_1, 0..SEEDS, LONG);
    many(Features::VERSION_1, 1000..1000 + 8 * SEEDS, SHORT);
}

#[test]
fn a_packed_queue_does_what_the_model_says() {
    let packed = Features::VERSION_1 | Features::RING_PACKED;
    many(packed, 10_000..10_000 + SEEDS, LONG);
    many(packed, 20_000..20_000 + 8 * SEEDS, SHORT);
}
