//! What can go wrong with a network device.

use core::fmt;

use virtio_core::{Error, Features};

use crate::offload::Partial;

/// Why a network device did not do what was asked.
///
/// What is wrong with a received frame is a [`Fault`](crate::Fault): it is counted, and no error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NetError {
    /// Queue, transport, platform or caller: see there.
    Core(Error),
    /// The device is incompatible: it is a legacy one that wants headers in buffers of their own (no `ANY_LAYOUT`).
    NeedsAnyLayout,
    /// The device misbehaved: so many pairs of queues it cannot have (VIRTIO 1.4 §5.1.4.1).
    BadPairs(u16),
    /// The device refuses a command.
    Refused {
        /// The command's class (VIRTIO 1.4 §5.1.9.5).
        class: u8,
        /// Its number within.
        command: u8,
    },
    /// The device misbehaved: it answers a command with neither yes nor no.
    UnknownAnswer {
        /// The command's class (VIRTIO 1.4 §5.1.9.5).
        class: u8,
        /// Its number within.
        command: u8,
        /// What it answers.
        answer: u8,
    },
    /// The device misbehaved: its answer to a command is cut short.
    ShortAnswer {
        /// The command's class (VIRTIO 1.4 §5.1.9.5).
        class: u8,
        /// Its number within.
        command: u8,
        /// Bytes of it.
        written: usize,
    },
    /// The request is impossible: it needs features that were not negotiated.
    NotNegotiated(Features),
    /// The request is impossible: no such pair of queues is in use.
    NoSuchPair(u16),
    /// The request is impossible: so many addresses do not fit in a command.
    TooManyAddresses(usize),
    /// The request is impossible: the address is in the wrong list, or is no address of one card.
    WrongAddress(crate::MacAddress),
    /// The request is impossible: no such VLAN.
    BadVlan(u16),
    /// The request is impossible: the buffer is too short for what may come in.
    BufferTooShort {
        /// Bytes it has.
        len: usize,
        /// Bytes it needs (VIRTIO 1.4 §5.1.9.3.1).
        needed: usize,
    },
    /// The request is impossible: the frame is shorter than an Ethernet header.
    FrameTooShort(usize),
    /// The request is impossible: the frame is longer than the network, or the room for copies, takes.
    FrameTooLong {
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// The request is impossible: the frame has no such place for a checksum.
    ChecksumOutside {
        /// The place.
        partial: Partial,
        /// Bytes it has.
        len: usize,
    },
    /// The request is impossible: the frame is shorter than the headers that it is said to have, or they end before the checksum
    /// that is in them.
    HeadersOutside {
        /// Bytes of the headers.
        headers: u16,
        /// Bytes of the frame.
        len: usize,
    },
    /// The caller's slice is too short for the frame that came in, which is dropped.
    SliceTooShort {
        /// Bytes the frame has.
        needed: usize,
    },
    /// The caller's mistake: the bell serves another queue.
    BellTaken,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::NeedsAnyLayout => {
                f.write_str("the device is incompatible: it wants headers in buffers of their own")
            }
            Self::BadPairs(pairs) => write!(f, "the device misbehaved: {pairs} pairs of queues"),
            Self::Refused { class, command } => write!(f, "the device refuses command {class}.{command}"),
            Self::UnknownAnswer { class, command, answer } => {
                write!(f, "the device misbehaved: it answers {answer} to command {class}.{command}")
            }
            Self::ShortAnswer { class, command, written } => {
                write!(f, "the device misbehaved: {written} bytes of answer to command {class}.{command}")
            }
            Self::NotNegotiated(features) => {
                write!(f, "the request is impossible: features {:#x} were not negotiated", features.bits())
            }
            Self::NoSuchPair(pair) => {
                write!(f, "the request is impossible: pair {pair} of queues is not in use")
            }
            Self::TooManyAddresses(count) => {
                write!(f, "the request is impossible: {count} addresses in one command")
            }
            Self::WrongAddress(mac) => write!(f, "the request is impossible: {mac} does not belong there"),
            Self::BadVlan(vlan) => write!(f, "the request is impossible: no VLAN has the number {vlan}"),
            Self::BufferTooShort { len, needed } => {
                write!(f, "the request is impossible: a receive buffer of {len} bytes, {needed} are needed")
            }
            Self::FrameTooShort(len) => write!(f, "the request is impossible: a frame of {len} bytes"),
            Self::FrameTooLong { len, limit } => {
                write!(f, "the request is impossible: a frame of {len} bytes, {limit} are possible")
            }
            Self::ChecksumOutside { partial: Partial { start, offset }, len } => {
                write!(
                    f,
                    "the request is impossible: a checksum at {start}+{offset} of a frame of {len} bytes"
                )
            }
            Self::HeadersOutside { headers, len } => {
                write!(f, "the request is impossible: headers of {headers} bytes in a frame of {len} bytes")
            }
            Self::SliceTooShort { needed } => {
                write!(f, "the request is impossible: the frame has {needed} bytes, the slice fewer")
            }
            Self::BellTaken => f.write_str("the request is impossible: the bell serves another queue"),
        }
    }
}

impl core::error::Error for NetError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for NetError {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

/// A buffer or frame that was not taken.
#[derive(Debug)]
pub struct Rejected<P> {
    /// Why.
    pub error: NetError,
    /// What was not taken, untouched. `None` only for a frame that is with a queue that broke meanwhile.
    pub payload: Option<P>,
}

impl<P> fmt::Display for Rejected<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P: fmt::Debug> core::error::Error for Rejected<P> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<P> From<Rejected<P>> for NetError {
    fn from(rejected: Rejected<P>) -> Self {
        rejected.error
    }
}
