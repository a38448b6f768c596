//! What a device with several ports has to tell.

use crate::PortId;

/// What has happened to a port (VIRTIO 1.4 §5.3.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// There is a port. The device was told that it is ready.
    Added(PortId),
    /// The port is gone. What it had sent and nobody has read is dropped.
    Removed(PortId),
    /// The port is a console. Both ends of it are open.
    IsConsole(PortId),
    /// The console has another size.
    Resized(PortId),
    /// The other end of the port was opened.
    Opened(PortId),
    /// The other end of the port was closed. What it had sent can still be read.
    Closed(PortId),
    /// The port has a name.
    Named(PortId),
}

impl Event {
    /// The port that it is about.
    #[must_use]
    pub const fn port(&self) -> PortId {
        match *self {
            Self::Added(port)
            | Self::Removed(port)
            | Self::IsConsole(port)
            | Self::Resized(port)
            | Self::Opened(port)
            | Self::Closed(port)
            | Self::Named(port) => port,
        }
    }
}
