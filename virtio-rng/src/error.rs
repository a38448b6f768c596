//! What can go wrong with an entropy device.

use core::fmt;

/// Why an entropy device gave no random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RngError {
    /// Queue, transport, platform or caller: see there.
    Core(virtio_core::Error),
    /// The device misbehaved: it answered again and again, and each time with nothing. It is not taken down, and may be asked
    /// again later.
    NoEntropy {
        /// How many answers in a row were empty.
        answers: u32,
    },
    /// The caller's mistake: the bell serves another queue.
    BellTaken,
}

impl fmt::Display for RngError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::NoEntropy { answers } => {
                write!(f, "the device misbehaved: {answers} answers in a row without a random byte")
            }
            Self::BellTaken => f.write_str("the request is impossible: the bell serves another queue"),
        }
    }
}

impl core::error::Error for RngError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<virtio_core::Error> for RngError {
    fn from(error: virtio_core::Error) -> Self {
        Self::Core(error)
    }
}
