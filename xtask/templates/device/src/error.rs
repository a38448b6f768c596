//! What can go wrong with the newdev device.

use core::fmt;

/// Why the newdev device did not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NewdevError {
    /// Queue, transport, platform or caller: see there.
    Core(virtio_core::Error),
    /// The device refused the request, and goes on.
    Refused {
        /// What it answered (VIRTIO 1.4 §5.N.6).
        status: u32,
    },
    /// The caller's mistake: the value is above the device's limit. Nothing was sent.
    AboveLimit {
        /// The value.
        value: u32,
        /// The limit.
        limit: u32,
    },
}

impl fmt::Display for NewdevError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::Refused { status } => write!(f, "the device refused the request with status {status}"),
            Self::AboveLimit { value, limit } => {
                write!(f, "the request is impossible: {value} is above the limit of {limit}")
            }
        }
    }
}

impl core::error::Error for NewdevError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<virtio_core::Error> for NewdevError {
    fn from(error: virtio_core::Error) -> Self {
        Self::Core(error)
    }
}
