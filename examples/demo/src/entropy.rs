//! The entropy device, on whatever way it was found.

use crate::discover::AnyDevice;
use crate::interrupts::Source;
use crate::platform::Platform;
use crate::random::{Bytes, Random};
use core::fmt;
use virtio::rng::RngError;
use virtio::{Features, Hal};

/// An entropy device and how to wait for it.
pub enum Entropy<'c, P: Platform, H: Hal + Clone> {
    /// It interrupts, so it is awaited.
    Awaited(Random<AnyDevice<'c, P>, H>),
    /// It does not: it is asked again and again.
    Asked(Random<AnyDevice<'c, P>, H>),
}

impl<P: Platform, H: Hal + Clone> fmt::Debug for Entropy<'_, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Awaited(_) => "Awaited",
            Self::Asked(_) => "Asked",
        })
    }
}

impl<'c, P: Platform, H: Hal + Clone> Entropy<'c, P, H> {
    /// Gets some bytes.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub async fn read(&mut self, platform: &P) -> Result<Bytes, RngError> {
        match (self, platform.handlers().bell(Source::Random)) {
            (Self::Awaited(random), Some(bell)) => random.awaited(bell).await,
            (Self::Awaited(random) | Self::Asked(random), _) => random.read(),
        }
    }

    /// The features negotiated.
    pub fn features(&self) -> Features {
        match self {
            Self::Awaited(random) | Self::Asked(random) => random.device().features(),
        }
    }
}
