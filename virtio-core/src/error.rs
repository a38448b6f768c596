//! Errors, by who is at fault.
//!
//! * [`Misbehaved`]: the device broke the specification. A ring-level violation takes the device down; the error keeps
//!   what the device said.
//! * [`Incompatible`]: the device is in order, but cannot be served: it lacks something that the driver needs.
//! * [`HalError`]: the platform could not give memory or a mapping.
//! * [`Misuse`]: the caller asked for something that cannot be; nothing has happened.
//!
//! Payloads are never lost in an error: what takes a payload gives it back beside the error
//! ([`Rejected`](crate::queue::Rejected)).

use core::fmt;

use crate::{DeviceId, Features, HalError, QueueIndex};

/// Everything the core can answer instead of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The device broke the specification.
    Misbehaved(Misbehaved),
    /// The device cannot be served.
    Incompatible(Incompatible),
    /// The platform failed.
    Platform(HalError),
    /// The caller asked for the impossible.
    Caller(Misuse),
    /// The device was taken down by an earlier error; it has to be brought up again.
    Down,
}

/// The device broke the specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Misbehaved {
    /// It did not answer within the bound.
    Timeout(Wait),
    /// A used element names a descriptor beyond the queue.
    UsedIdOutOfRange {
        /// The queue.
        queue: QueueIndex,
        /// The id it wrote.
        id: u32,
    },
    /// A used element names a descriptor that heads no request in flight.
    UsedIdNotInFlight {
        /// The queue.
        queue: QueueIndex,
        /// The id it wrote.
        id: u32,
    },
    /// `used.idx` moved by more than what is in flight.
    UsedIndexJump {
        /// The queue.
        queue: QueueIndex,
        /// How far it moved.
        advance: u16,
        /// How many requests were in flight.
        in_flight: u16,
    },
    /// An answer is shorter than what it must contain.
    ShortAnswer {
        /// Bytes the device says it wrote.
        written: u32,
        /// Bytes that were needed.
        needed: u32,
    },
    /// The configuration space kept changing while it was read.
    ConfigUnstable,
    /// It set `DEVICE_NEEDS_RESET`.
    NeedsReset,
}

/// What a bounded wait was waiting for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Wait {
    /// Device status to read 0 after a reset.
    Reset,
    /// A request on this queue to be used.
    Completion(QueueIndex),
    /// The reset of this queue to complete.
    QueueReset(QueueIndex),
}

/// The device cannot be served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Incompatible {
    /// It is of another type than the driver drives.
    WrongDevice(DeviceId),
    /// It does not offer these features, which the driver cannot do without.
    MissingFeatures(Features),
    /// It did not keep `FEATURES_OK` for this set.
    FeaturesRefused(Features),
    /// It has no such queue (its maximum size is 0).
    NoQueue(QueueIndex),
    /// A queue is smaller than the driver needs.
    QueueTooSmall {
        /// The queue.
        queue: QueueIndex,
        /// The largest power of two that the device offers.
        max: u16,
        /// The least the driver needs.
        needed: u16,
    },
    /// A queue that the driver has not set up is already in use.
    QueueBusy(QueueIndex),
    /// A legacy device cannot be told of a ring this high: its page number does not fit 32 bits.
    RingTooHigh(QueueIndex),
    /// The platform translates addresses, but the device does not offer `ACCESS_PLATFORM`.
    BypassesTranslation,
    /// A confidential guest ([`Trust::Confidential`](crate::Trust)) cannot do without these features, which the device does not
    /// have: no legacy device has them.
    UnfitForConfidential(Features),
    /// The configuration space ends before a field that must be there.
    ConfigTooSmall {
        /// Where the field starts, in bytes.
        offset: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// A configuration field has a value outside its range.
    ConfigOutOfRange {
        /// Where the field starts, in bytes.
        offset: usize,
        /// What it holds.
        value: u64,
    },
    /// The registers do not reach as far as the transport needs.
    RegistersTooShort,
    /// A doorbell would lie outside the notification registers.
    DoorbellOutside(QueueIndex),
    /// A doorbell would lie where no access of its width can reach it.
    DoorbellMisaligned(QueueIndex),
    /// It refuses its interrupt vectors and has no interrupt line to fall back on; or, live, the vector that a queue had.
    InterruptRefused,
    /// It was told to switch a queue on and does not read as if it had. It has the queue's addresses all the same.
    QueueRefused(QueueIndex),
    /// It was told to reset a queue and has not done it; the queue is as live as before.
    QueueResetIgnored(QueueIndex),
    /// Its PCI function does not become a bus master although told to: it could not reach the rings.
    BusMasteringRefused,
}

/// The caller asked for something that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Misuse {
    /// No free descriptors for this request now.
    QueueFull,
    /// The request could never fit: more segments than the queue has descriptors.
    TooManySegments,
    /// The request has no buffer at all.
    EmptyRequest,
    /// A header or response is longer than the queue was declared for
    /// ([`QueueSpec::header`](crate::queue::QueueSpec::header), [`response`](crate::queue::QueueSpec::response)).
    NoRoomDeclared,
    /// A buffer is longer than a descriptor can say (2³² − 1 bytes).
    BufferTooLong,
    /// No such queue was declared.
    NoSuchQueue,
    /// The token names no request in flight.
    NoSuchRequest,
    /// The queue has requests in flight, and the device is not known to end them when the queue is reset
    /// ([`QueueSpec::drains_on_reset`](crate::queue::QueueSpec::drains_on_reset)).
    RequestsInFlight,
    /// The queue was stopped, and not started again.
    QueueStopped,
    /// The queue was not stopped before it was to be started.
    QueueNotStopped,
    /// The queue was declared for another payload type.
    WrongPayload,
    /// The device does not signal by so many interrupt vectors.
    NoSuchVector,
    /// No such attachment, or one of another type.
    NoSuchAttachment,
    /// A request in flight names the attachment.
    AttachmentInUse,
    /// A length of 0, or one whose pages cannot be counted.
    BadLength,
    /// A declared queue size of 0, or a chain longer than the queue.
    BadQueueDeclaration,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misbehaved(what) => write!(f, "the device misbehaved: {what}"),
            Self::Incompatible(what) => write!(f, "the device is incompatible: {what}"),
            Self::Platform(what) => write!(f, "the platform failed: {what}"),
            Self::Caller(what) => write!(f, "the request is impossible: {what}"),
            Self::Down => f.write_str("the device was taken down by an earlier error"),
        }
    }
}

impl fmt::Display for Misbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(wait) => write!(f, "timed out waiting for {wait}"),
            Self::UsedIdOutOfRange { queue, id } => {
                write!(f, "queue {queue}: used id {id} is beyond the queue")
            }
            Self::UsedIdNotInFlight { queue, id } => {
                write!(f, "queue {queue}: used id {id} is not in flight")
            }
            Self::UsedIndexJump { queue, advance, in_flight } => {
                write!(f, "queue {queue}: used index moved by {advance} with {in_flight} in flight")
            }
            Self::ShortAnswer { written, needed } => {
                write!(f, "an answer of {written} bytes where {needed} are needed")
            }
            Self::ConfigUnstable => f.write_str("the configuration space never settled"),
            Self::NeedsReset => f.write_str("it asks to be reset"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset => f.write_str("the reset to complete (status 0)"),
            Self::Completion(queue) => write!(f, "a request on queue {queue}"),
            Self::QueueReset(queue) => write!(f, "the reset of queue {queue} to complete"),
        }
    }
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongDevice(id) => write!(f, "it is a {id}"),
            Self::MissingFeatures(set) => write!(f, "features {:#x} are not offered", set.bits()),
            Self::FeaturesRefused(set) => write!(f, "it refuses the feature set {:#x}", set.bits()),
            Self::NoQueue(queue) => write!(f, "queue {queue} does not exist (size 0)"),
            Self::QueueTooSmall { queue, max, needed } => {
                write!(f, "queue {queue} has at most {max} entries, {needed} are needed")
            }
            Self::QueueBusy(queue) => write!(f, "queue {queue} is already in use"),
            Self::RingTooHigh(queue) => write!(f, "queue {queue} lies too high for a legacy device"),
            Self::BypassesTranslation => {
                f.write_str("it ignores the platform's translation (no ACCESS_PLATFORM)")
            }
            Self::UnfitForConfidential(set) => {
                write!(f, "a confidential guest needs features {:#x} of it", set.bits())
            }
            Self::ConfigTooSmall { offset, len } => {
                write!(f, "the configuration space ends before byte {offset}+{len}")
            }
            Self::ConfigOutOfRange { offset, value } => {
                write!(f, "configuration field at {offset} holds {value:#x}, out of range")
            }
            Self::RegistersTooShort => f.write_str("the register block is too short"),
            Self::DoorbellOutside(queue) => {
                write!(f, "the doorbell of queue {queue} lies outside the notification registers")
            }
            Self::DoorbellMisaligned(queue) => write!(f, "the doorbell of queue {queue} is misaligned"),
            Self::InterruptRefused => f.write_str("it refuses its interrupt vectors and has no line"),
            Self::QueueRefused(queue) => write!(f, "it does not switch queue {queue} on"),
            Self::QueueResetIgnored(queue) => write!(f, "it ignores the reset of queue {queue}"),
            Self::BusMasteringRefused => f.write_str("its function does not become a bus master"),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "the queue is full",
            Self::TooManySegments => "more segments than the queue has descriptors",
            Self::EmptyRequest => "no buffer at all",
            Self::NoRoomDeclared => "a header or response is longer than the queue was declared for",
            Self::BufferTooLong => "a buffer is too long",
            Self::NoSuchQueue => "no such queue",
            Self::NoSuchRequest => "no such request in flight",
            Self::RequestsInFlight => "the queue has requests in flight",
            Self::QueueNotStopped => "the queue was not stopped",
            Self::QueueStopped => "the queue was stopped",
            Self::WrongPayload => "the queue carries another payload type",
            Self::NoSuchVector => "no such interrupt vector",
            Self::NoSuchAttachment => "no such attachment",
            Self::AttachmentInUse => "a request in flight names the attachment",
            Self::BadLength => "the length is 0 or too large",
            Self::BadQueueDeclaration => "a queue is declared with size 0 or chains longer than itself",
        })
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Misbehaved(what) => Some(what),
            Self::Incompatible(what) => Some(what),
            Self::Platform(what) => Some(what),
            Self::Caller(what) => Some(what),
            Self::Down => None,
        }
    }
}
impl core::error::Error for Misbehaved {}
impl core::error::Error for Incompatible {}
impl core::error::Error for Misuse {}

impl From<Misbehaved> for Error {
    fn from(what: Misbehaved) -> Self {
        Self::Misbehaved(what)
    }
}
impl From<Incompatible> for Error {
    fn from(what: Incompatible) -> Self {
        Self::Incompatible(what)
    }
}
impl From<HalError> for Error {
    fn from(what: HalError) -> Self {
        Self::Platform(what)
    }
}
impl From<Misuse> for Error {
    fn from(what: Misuse) -> Self {
        Self::Caller(what)
    }
}
