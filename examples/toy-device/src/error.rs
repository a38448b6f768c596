//! What can go wrong at the table. Each error says who is to blame, and keeps what the device said.

use core::fmt;

/// Why the dice did not fall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DiceError {
    /// Queue, transport, platform or caller: see there.
    Core(virtio_core::Error),
    /// The device cannot be served: dice of so few sides show nothing, and no throw has fewer than one of them.
    NoDice {
        /// The most dice in one throw.
        max: u16,
        /// The sides of each.
        sides: u8,
    },
    /// The device refused the throw, and goes on.
    Refused {
        /// Its status.
        status: u8,
    },
    /// The device misbehaved: a die shows what it does not have. The throw does not count, the device goes on.
    ImpossibleEyes {
        /// What it shows.
        eyes: u8,
        /// How many sides it has.
        sides: u8,
    },
    /// The device misbehaved: it sent an event of fewer than 8 bytes. The event is dropped, the device goes on.
    ShortEvent {
        /// Bytes the device says it wrote.
        written: u32,
    },
    /// The caller's mistake: more dice than there are. Nothing was sent.
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// The most in one throw.
        max: u16,
    },
}

impl fmt::Display for DiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::NoDice { max, sides } => {
                write!(f, "the device is incompatible: {max} dice of {sides} sides")
            }
            Self::Refused { status } => write!(f, "the device refused the throw with status {status}"),
            Self::ImpossibleEyes { eyes, sides } => {
                write!(f, "the device misbehaved: a die of {sides} sides shows {eyes}")
            }
            Self::ShortEvent { written } => {
                write!(f, "the device misbehaved: an event of {written} bytes, 8 are needed")
            }
            Self::TooMany { asked, max } => {
                write!(f, "the request is impossible: {asked} dice, there are {max}")
            }
        }
    }
}

impl core::error::Error for DiceError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<virtio_core::Error> for DiceError {
    fn from(error: virtio_core::Error) -> Self {
        Self::Core(error)
    }
}
