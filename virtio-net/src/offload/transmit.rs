//! What the device is to do to a frame before it sends it (VIRTIO 1.4 §5.1.9.2).

use core::num::NonZeroU16;

use virtio_core::Features;

use super::{Gso, Partial, Segments};
use crate::abi::{F_CSUM, F_HOST_ECN, GSO_ECN, GSO_NONE, Header, HeaderFlags};
use crate::error::NetError;
use crate::wire::Wire;

/// What the device is to do to a frame before it sends it. What cannot be asked for cannot be said: segments always have their
/// checksums completed.
///
/// ```
/// use core::num::NonZeroU16;
/// use virtio_net::{Gso, Partial, TxOffload};
///
/// // A datagram over IPv4: 14 bytes of Ethernet, 20 of IP; the checksum is 6 bytes into the header of UDP.
/// let datagram = TxOffload::checksum(Partial { start: 34, offset: 6 });
///
/// // A long TCP segment over IPv4, to be cut into such of 1448 bytes; its headers have 14 + 20 + 32 bytes.
/// let mss = NonZeroU16::new(1448).unwrap();
/// let long = TxOffload::segments(Gso::TcpV4, mss, 66, Partial { start: 34, offset: 16 });
/// # let _ = (datagram, long);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TxOffload {
    checksum: Option<Partial>,
    segments: Option<Segments>,
}

impl TxOffload {
    /// Nothing: the frame is sent as it is.
    pub const NONE: Self = Self { checksum: None, segments: None };

    /// Complete the checksum. The sum of the pseudo header is in its place already. Needs [`F_CSUM`].
    #[must_use]
    pub const fn checksum(partial: Partial) -> Self {
        Self { checksum: Some(partial), segments: None }
    }

    /// Cut the frame into segments of `size` bytes, each behind a copy of the `headers` bytes at its start, and complete their
    /// checksums, which are in those headers. Needs the feature of its kind: [`F_HOST_TSO4`](crate::abi::F_HOST_TSO4), ….
    #[must_use]
    pub const fn segments(gso: Gso, size: NonZeroU16, headers: u16, partial: Partial) -> Self {
        Self { checksum: Some(partial), segments: Some(Segments { gso, size, headers, ecn: false }) }
    }

    /// The segments are TCP with explicit congestion notification. Needs [`F_HOST_ECN`]; means nothing for a frame that is not
    /// cut.
    #[must_use]
    pub const fn with_ecn(mut self) -> Self {
        if let Some(segments) = &mut self.segments {
            segments.ecn = true;
        }
        self
    }

    /// Whether the frame is cut into several.
    pub(crate) const fn is_cut(&self) -> bool {
        self.segments.is_some()
    }

    /// Features that this needs.
    fn needs(&self) -> Features {
        let checksum = if self.checksum.is_some() { F_CSUM } else { Features::empty() };
        let segments = self.segments.map_or(Features::empty(), |segments| {
            let ecn = if segments.ecn { F_HOST_ECN } else { Features::empty() };
            segments.gso.transmit_feature() | ecn
        });
        checksum | segments
    }

    /// The header of a frame of `len` bytes.
    pub(crate) fn header(&self, wire: &Wire, len: usize) -> Result<Header, NetError> {
        // The usual case: nothing but zeros, in any byte order. `num_buffers` is always 0 here (VIRTIO 1.4 §5.1.9.2.1).
        if self.checksum.is_none() && self.segments.is_none() {
            return Ok(Header::default());
        }
        let lacks = self.needs() - wire.features;
        if !lacks.is_empty() {
            return Err(NetError::NotNegotiated(lacks));
        }
        let mut header = Header { gso_type: GSO_NONE, ..Header::default() };
        if let Some(partial) = self.checksum {
            if !partial.is_within(len) {
                return Err(NetError::ChecksumOutside { partial, len });
            }
            header.flags = HeaderFlags::NEEDS_CSUM.bits();
            header.csum_start = wire.to_bytes(partial.start);
            header.csum_offset = wire.to_bytes(partial.offset);
        }
        if let Some(Segments { gso, size, headers, ecn }) = self.segments {
            // The checksum is in the last of them (VIRTIO 1.4 §5.1.9.2.1).
            let least = self.checksum.map_or(0, |partial| partial.field().end);
            if usize::from(headers) > len || usize::from(headers) < least {
                return Err(NetError::HeadersOutside { headers, len });
            }
            let ecn = match gso {
                Gso::TcpV4 | Gso::TcpV6 if ecn => GSO_ECN,
                _ => 0,
            };
            header.gso_type = gso.wire() | ecn;
            header.gso_size = wire.to_bytes(size.get());
            header.hdr_len = wire.to_bytes(headers);
        }
        Ok(header)
    }
}
