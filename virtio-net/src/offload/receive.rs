//! What the device has done to a received frame, or left to do (VIRTIO 1.4 §5.1.9.4).

use core::num::NonZeroU16;

use super::{Gso, Partial, Segments};
use crate::abi::{F_GUEST_CSUM, GSO_ECN, GSO_NONE, Header, HeaderFlags};
use crate::fault::Fault;
use crate::wire::Wire;

/// What is known of the checksum of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RxChecksum {
    /// Nothing: it is as it was on the wire, and must not be relied on (VIRTIO 1.4 §5.1.9.4.2).
    Unknown,
    /// The device has validated it.
    Valid,
    /// It is not complete, because the frame was never on a wire; the frame is sound all the same. Whoever sends it on has it
    /// completed, by [`TxOffload::checksum`](crate::TxOffload::checksum) or [`Partial::complete`].
    Partial(Partial),
}

/// What the device has done to a received frame, or left to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RxOffload {
    /// What is known of its checksum.
    pub checksum: RxChecksum,
    /// What it was put together from, if it was.
    pub segments: Option<Segments>,
}

impl RxOffload {
    /// A frame as it was on the wire.
    pub const NONE: Self = Self { checksum: RxChecksum::Unknown, segments: None };

    /// Reads the header of a frame of `len` bytes. Flags that are not known are ignored.
    pub(crate) fn parse(header: &Header, wire: &Wire, len: usize) -> Result<Self, Fault> {
        // What is not negotiated means nothing, and without any of it this is all.
        if header.gso_type == GSO_NONE && (header.flags == 0 || !wire.features.contains(F_GUEST_CSUM)) {
            return Ok(Self::NONE);
        }
        Ok(Self { checksum: checksum(header, wire, len)?, segments: segments(header, wire)? })
    }
}

fn checksum(header: &Header, wire: &Wire, len: usize) -> Result<RxChecksum, Fault> {
    let flags = HeaderFlags::from_bits_retain(header.flags);
    if !wire.features.contains(F_GUEST_CSUM) {
        return Ok(RxChecksum::Unknown);
    }
    if flags.contains(HeaderFlags::NEEDS_CSUM) {
        // The two numbers are something else then, which nobody has asked for (VIRTIO 1.4 §5.1.9.4.2).
        if flags.contains(HeaderFlags::RSC_INFO) {
            return Ok(RxChecksum::Unknown);
        }
        let partial =
            Partial { start: wire.to_number(header.csum_start), offset: wire.to_number(header.csum_offset) };
        return if partial.is_within(len) {
            Ok(RxChecksum::Partial(partial))
        } else {
            Err(Fault::ChecksumOutside { partial, len })
        };
    }
    Ok(if flags.contains(HeaderFlags::DATA_VALID) { RxChecksum::Valid } else { RxChecksum::Unknown })
}

/// A kind that was not negotiated, or none that is known, is no frame for anybody here: its length, or its headers, are not what
/// they seem. That takes in every frame in a tunnel (VIRTIO 1.4 §5.1.9.4.2).
fn segments(header: &Header, wire: &Wire) -> Result<Option<Segments>, Fault> {
    let kind = header.gso_type;
    if kind & !GSO_ECN == GSO_NONE {
        return if kind == GSO_NONE { Ok(None) } else { Err(Fault::BadSegments { kind }) };
    }
    let gso = Gso::from_wire(kind & !GSO_ECN).filter(|gso| wire.features.intersects(gso.receive_features()));
    let size = NonZeroU16::new(wire.to_number(header.gso_size));
    match (gso, size) {
        (Some(gso), Some(size)) => {
            let headers = wire.to_number(header.hdr_len);
            Ok(Some(Segments { gso, size, headers, ecn: kind & GSO_ECN != 0 }))
        }
        _ => Err(Fault::BadSegments { kind }),
    }
}
