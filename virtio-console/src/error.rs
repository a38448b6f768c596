//! What can go wrong with a console device.

use core::fmt;

use crate::PortId;

/// Why a console device did not do what was asked, or what was wrong with what it said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConsoleError {
    /// Queue, transport, platform or caller: see there.
    Core(virtio_core::Error),
    /// The device misbehaved: a control message is too short for what it says. It is ignored, the device goes on.
    ShortMessage {
        /// Bytes the device says it wrote.
        written: u32,
        /// Bytes that are needed.
        needed: u32,
    },
    /// The device misbehaved: a control message is about a port above its own maximum. It is ignored, the device goes on.
    PortOutOfRange {
        /// The port.
        port: PortId,
        /// How many the device says it may have.
        max: u32,
    },
    /// The device misbehaved: a control message is about a port that it has not added. It is ignored, the device goes on.
    UnknownPort {
        /// The port.
        port: PortId,
        /// What the message says (VIRTIO 1.4 §5.3.6.2).
        event: u16,
    },
    /// The device misbehaved: it adds a port that is there. It is ignored, the device goes on.
    PortExists(PortId),
    /// The device misbehaved, or is younger than this driver: a control message says what no device says. It is ignored, the
    /// device goes on.
    UnknownEvent {
        /// The port that it is about.
        port: PortId,
        /// What it says.
        event: u16,
    },
    /// The device has more ports than the driver has queues for: this one was declined. The others go on.
    PortNotDriven {
        /// The port.
        port: PortId,
        /// How many the driver drives: the last parameter of [`Console`](crate::Console), if the device has as many.
        driven: u32,
    },
    /// The caller's mistake, or too late: the device has no such port, not yet or not any more.
    NoSuchPort(PortId),
    /// The other end of the port is closed.
    Closed(PortId),
    /// What was waited for did not come in time. Nothing is lost by waiting again.
    TimedOut {
        /// The port.
        port: PortId,
        /// How many bytes were taken before.
        done: usize,
    },
    /// The device does not offer `EMERG_WRITE`.
    NoEmergencyWrite,
    /// The caller's mistake: no receive buffers at all, or of no bytes.
    BadOptions,
    /// The caller's mistake: ports are taken in ascending order, each once.
    PortTaken(PortId),
    /// The caller's mistake: the bell serves another queue.
    BellTaken,
    /// The caller's mistake: there is no bell for this port.
    NoBell(PortId),
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misbehaved = "the device misbehaved";
        let impossible = "the request is impossible";
        match self {
            Self::Core(error) => error.fmt(f),
            Self::ShortMessage { written, needed } => {
                write!(f, "{misbehaved}: a control message of {written} bytes, {needed} are needed")
            }
            Self::PortOutOfRange { port, max } => {
                write!(f, "{misbehaved}: a control message about port {port}, of {max} at the most")
            }
            Self::UnknownPort { port, event } => {
                write!(f, "{misbehaved}: control message {event} about port {port}, which it has not added")
            }
            Self::PortExists(port) => write!(f, "{misbehaved}: it adds port {port} twice"),
            Self::UnknownEvent { port, event } => {
                write!(f, "{misbehaved}: unknown control message {event} about port {port}")
            }
            Self::PortNotDriven { port, driven } => {
                write!(f, "port {port} is not driven: there are queues for {driven}")
            }
            Self::NoSuchPort(port) => write!(f, "{impossible}: the device has no port {port} now"),
            Self::Closed(port) => write!(f, "the other end of port {port} is closed"),
            Self::TimedOut { port, done } => {
                write!(f, "timed out waiting for port {port} after {done} bytes")
            }
            Self::NoEmergencyWrite => f.write_str("the device is incompatible: no EMERG_WRITE"),
            Self::BadOptions => write!(f, "{impossible}: a port needs receive buffers, and they need bytes"),
            Self::PortTaken(port) => write!(f, "{impossible}: port {port} was taken, or one behind it"),
            Self::BellTaken => write!(f, "{impossible}: the bell serves another queue"),
            Self::NoBell(port) => write!(f, "{impossible}: there is no bell for port {port}"),
        }
    }
}

impl core::error::Error for ConsoleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            _ => None,
        }
    }
}

impl From<virtio_core::Error> for ConsoleError {
    fn from(error: virtio_core::Error) -> Self {
        Self::Core(error)
    }
}
