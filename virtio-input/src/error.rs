//! What can go wrong with an input device.

use core::fmt;

/// Why an input device did not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InputError {
    /// Queue, transport, platform or caller: see there.
    Core(virtio_core::Error),
    /// The device misbehaved: it sent an event of fewer than 8 bytes. The event is dropped, the device goes on.
    ShortEvent {
        /// Bytes the device says it wrote.
        written: u32,
    },
    /// The device misbehaved: it says that its answer is longer than the configuration space can hold.
    AnswerTooLong {
        /// What was asked for (VIRTIO 1.4 §5.8.4).
        select: u8,
        /// The size it states, in bytes.
        size: u8,
    },
    /// The device misbehaved: its answer is too short for the structure it should be.
    AnswerTooShort {
        /// What was asked for (VIRTIO 1.4 §5.8.4).
        select: u8,
        /// The size it states, in bytes.
        size: u8,
    },
    /// The caller's mistake: the bell serves another queue.
    BellTaken,
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::ShortEvent { written } => {
                write!(f, "the device misbehaved: an event of {written} bytes, 8 are needed")
            }
            Self::AnswerTooLong { select, size } => {
                write!(
                    f,
                    "the device misbehaved: {size} bytes of configuration {select:#04x}, 128 are possible"
                )
            }
            Self::AnswerTooShort { select, size } => {
                write!(f, "the device misbehaved: only {size} bytes of configuration {select:#04x}")
            }
            Self::BellTaken => f.write_str("the request is impossible: the bell serves another queue"),
        }
    }
}

impl core::error::Error for InputError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<virtio_core::Error> for InputError {
    fn from(error: virtio_core::Error) -> Self {
        Self::Core(error)
    }
}
