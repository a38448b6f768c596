//! Work that device and driver leave to each other, frame by frame (VIRTIO 1.4 §5.1.9.2, §5.1.9.4).

pub(crate) mod checksum;
pub(crate) mod parse;
mod receive;
mod transmit;

use core::num::NonZeroU16;

use virtio_core::Features;

use crate::abi::{
    F_GUEST_TSO4, F_GUEST_TSO6, F_GUEST_USO4, F_GUEST_USO6, F_HOST_TSO4, F_HOST_TSO6, F_HOST_USO, GSO_TCPV4,
    GSO_TCPV6, GSO_UDP_L4,
};

pub use receive::{RxChecksum, RxOffload};
pub use transmit::TxOffload;

/// What a long frame is cut into, or was put together from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Gso {
    /// TCP segments over IPv4.
    TcpV4,
    /// TCP segments over IPv6.
    TcpV6,
    /// UDP datagrams, over either.
    Udp,
}

impl Gso {
    /// `gso_type`.
    pub(crate) const fn wire(self) -> u8 {
        match self {
            Self::TcpV4 => GSO_TCPV4,
            Self::TcpV6 => GSO_TCPV6,
            Self::Udp => GSO_UDP_L4,
        }
    }

    pub(crate) const fn from_wire(kind: u8) -> Option<Self> {
        match kind {
            GSO_TCPV4 => Some(Self::TcpV4),
            GSO_TCPV6 => Some(Self::TcpV6),
            GSO_UDP_L4 => Some(Self::Udp),
            _ => None,
        }
    }

    /// What a device must have been accepted with to cut such frames.
    pub(crate) const fn transmit_feature(self) -> Features {
        match self {
            Self::TcpV4 => F_HOST_TSO4,
            Self::TcpV6 => F_HOST_TSO6,
            Self::Udp => F_HOST_USO,
        }
    }

    /// One of these has to be accepted for a device to send such frames.
    pub(crate) const fn receive_features(self) -> Features {
        match self {
            Self::TcpV4 => F_GUEST_TSO4,
            Self::TcpV6 => F_GUEST_TSO6,
            Self::Udp => F_GUEST_USO4.union(F_GUEST_USO6),
        }
    }
}

/// A frame that stands for several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Segments {
    /// What they are.
    pub gso: Gso,
    /// Bytes that each of them carries behind its headers; the last one perhaps fewer.
    pub size: NonZeroU16,
    /// Bytes of the headers that all have in common, the transport header included. To be sent: exactly. Received: a hint of
    /// the device's that must not be relied on (VIRTIO 1.4 §5.1.9.4.2).
    pub headers: u16,
    /// TCP with explicit congestion notification: the first segment alone gets the flag CWR.
    pub ecn: bool,
}

/// Where a checksum is to be completed: the sum of the bytes from `start` to the end of the frame goes to `start + offset`,
/// where the sum of the pseudo header is already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Partial {
    /// Bytes from the start of the frame to what is summed: to the transport header.
    pub start: u16,
    /// Bytes from there to the checksum: 16 for TCP, 6 for UDP.
    pub offset: u16,
}

impl Partial {
    /// Where the checksum is in a frame.
    pub(crate) fn field(self) -> core::ops::Range<usize> {
        let at = usize::from(self.start).saturating_add(usize::from(self.offset));
        at..at.saturating_add(2)
    }

    /// Whether a frame of `len` bytes has it.
    pub(crate) fn is_within(self, len: usize) -> bool {
        self.field().end <= len
    }

    /// Completes the checksum of `frame` in software: for a frame that came in this way and goes where nobody else does it.
    /// Answers whether the frame has the place.
    ///
    /// ```
    /// use virtio_net::Partial;
    /// let mut frame = [0x12, 0x34, 0, 0, 0x43, 0x21];
    /// assert!(Partial { start: 0, offset: 2 }.complete(&mut frame));
    /// assert_eq!(frame[2..4], [0xaa, 0xaa]);
    /// assert!(!Partial { start: 5, offset: 0 }.complete(&mut frame));
    /// ```
    #[must_use = "a frame without the place is not a sound one"]
    pub fn complete(self, frame: &mut [u8]) -> bool {
        if !self.is_within(frame.len()) {
            return false;
        }
        let sum = checksum::of(frame.get(usize::from(self.start)..).unwrap_or_default());
        if let Some(field) = frame.get_mut(self.field()) {
            // 0 would say that there is none; all ones is the same number.
            let sum = if sum == 0 { u16::MAX } else { sum };
            field.copy_from_slice(&sum.to_be_bytes());
        }
        true
    }
}
