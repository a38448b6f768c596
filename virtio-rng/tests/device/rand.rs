//! As a source for `rand_core`.

use crate::bench::{builder, counted, counting, drive};

use rand_core::{SeedableRng, TryRng};
use virtio_rng::RngError;
use virtio_testkit::{Reply, TestHal};

/// A generator that shows its seed.
struct Seeded([u8; 32]);

impl SeedableRng for Seeded {
    type Seed = [u8; 32];
    fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }
}

#[test]
fn numbers_bytes_and_seeds() {
    let hal = TestHal::new();
    let device = counting(5).build(&hal);
    let mut rng = drive(&device, &hal);
    assert_eq!(rng.try_next_u32(), Ok(0x0403_0201));
    assert_eq!(rng.try_next_u64(), Ok(0x0c0b_0a09_0807_0605));
    let mut bytes = [0; 9];
    rng.try_fill_bytes(&mut bytes).unwrap();
    assert_eq!(bytes[..], counted(21)[12..]);
    assert_eq!(Seeded::try_from_rng(&mut rng).unwrap().0[..], counted(53)[21..]);
}

#[test]
fn errors_are_not_numbers() {
    let hal = TestHal::new();
    let device = builder(|_| Reply::Write(vec![])).build(&hal);
    let mut rng = drive(&device, &hal);
    let dry = RngError::NoEntropy { answers: 16 };
    assert_eq!(rng.try_next_u32(), Err(dry));
    assert_eq!(rng.try_next_u64(), Err(dry));
    assert_eq!(Seeded::try_from_rng(&mut rng).map(|_| ()), Err(dry));
}
