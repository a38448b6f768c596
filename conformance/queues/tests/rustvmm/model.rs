//! The model of a queue (`virtio-core/tests/model`) over rust-vmm's device side, on choices that shrink when they fail.

use proptest::prelude::*;
use virtio_core::Features;

use crate::device::Vm;
use crate::machine;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_does_what_the_model_says(choices in prop::collection::vec(any::<u8>(), 4..800)) {
        machine::run::<Vm>(Features::VERSION_1, &mut &choices[..]);
    }
}
