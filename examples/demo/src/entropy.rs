//! The entropy device, on whatever way it was found.

use crate::banner::Location;
use crate::discover::{self, AnyDevice, Config, LegacyDevice};
use crate::interrupts::Source;
use crate::machine::PciHost;
use crate::platform::Platform;
use crate::random::{Bytes, Random};
use core::fmt;
use virtio::pci::{FunctionAddress, PciError};
use virtio::rng::RngError;
use virtio::{Features, Hal};

/// An entropy device and how to wait for it.
pub enum Entropy<'c, P: Platform, H: Hal + Clone> {
    /// It interrupts, so it is awaited.
    Awaited(Random<AnyDevice<'c, P>, H>),
    /// It does not: it is asked again and again.
    Asked(Random<AnyDevice<'c, P>, H>),
    /// The same, behind the legacy interface of PCI.
    Legacy(Random<LegacyDevice<'c, P>, H>),
}

impl<P: Platform, H: Hal + Clone> fmt::Debug for Entropy<'_, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Awaited(_) => "Awaited",
            Self::Asked(_) => "Asked",
            Self::Legacy(_) => "Legacy",
        })
    }
}

impl<'c, P: Platform, H: Hal + Clone> Entropy<'c, P, H> {
    /// Drives a device that has the legacy interface of PCI only.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or does not come up.
    pub fn legacy(
        platform: &P,
        host: &PciHost,
        config: &'c Config<P::Hal, P::Ports>,
        location: Location,
        hal: H,
    ) -> Result<Self, NoEntropy> {
        let Location::Function { bus, device, function } = location else { return Err(NoEntropy::Place) };
        let function = FunctionAddress::new(bus, device, function).ok_or(NoEntropy::Place)?;
        let transport = discover::legacy(platform, host, config, function).map_err(NoEntropy::Pci)?;
        Random::new(transport, hal).map(Self::Legacy).map_err(NoEntropy::Device)
    }

    /// Gets some bytes.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub async fn read(&mut self, platform: &P) -> Result<Bytes, RngError> {
        match (self, platform.handlers().bell(Source::Random)) {
            (Self::Awaited(random), Some(bell)) => random.awaited(bell).await,
            (Self::Awaited(random) | Self::Asked(random), _) => random.read(),
            (Self::Legacy(random), _) => random.read(),
        }
    }

    /// The features negotiated.
    pub fn features(&self) -> Features {
        match self {
            Self::Awaited(random) | Self::Asked(random) => random.device().features(),
            Self::Legacy(random) => random.device().features(),
        }
    }
}

/// Why an entropy device is not driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEntropy {
    /// It is no PCI function.
    Place,
    /// It cannot be reached.
    Pci(PciError),
    /// It does not come up.
    Device(RngError),
}

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place => f.write_str("it cannot be used where it is"),
            Self::Pci(error) => error.fmt(f),
            Self::Device(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for NoEntropy {}
