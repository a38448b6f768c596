//! An entropy device as a source for `rand_core`.

use rand_core::TryRng;
use virtio_core::{Hal, Transport};

use crate::{Rng, RngError};

/// For seeding a generator: `SeedableRng::try_from_rng(&mut rng)`. Each number is a request to the host, so this is slow for
/// anything else.
///
/// `TryCryptoRng` is left out on purpose: see [Trust](crate#trust).
impl<T: Transport, H: Hal + Clone> TryRng for Rng<T, H> {
    type Error = RngError;

    fn try_next_u32(&mut self) -> Result<u32, RngError> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, RngError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.fill(bytes)
    }
}
