//! The header of every frame, in either direction (VIRTIO 1.4 §5.1.9).

use core::mem::offset_of;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags::bitflags! {
    /// `flags`. Others than these are ignored (VIRTIO 1.4 §5.1.9.4.2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub(crate) struct HeaderFlags: u8 {
        /// The checksum is to be completed, from `csum_start` on.
        const NEEDS_CSUM = 1;
        /// The device has validated the checksum.
        const DATA_VALID = 2;
        /// `csum_start` and `csum_offset` mean something else.
        const RSC_INFO = 4;
        const _ = !0;
    }
}

/// Values of `gso_type`, without the bits that are added to them.
pub(crate) const GSO_NONE: u8 = 0;
pub(crate) const GSO_TCPV4: u8 = 1;
pub(crate) const GSO_TCPV6: u8 = 4;
pub(crate) const GSO_UDP_L4: u8 = 5;
/// Added to the TCP ones: explicit congestion notification.
pub(crate) const GSO_ECN: u8 = 0x80;

// true by construction: net.op.rx.3, net.op.rx.9 — what is read of a header ends before the fields that belong to tunnels and
// to outer headers.
/// `virtio_net_hdr`, as far as every device has it. Numbers are in the byte order of the [`Wire`](crate::wire::Wire).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    pub(crate) gso_type: u8,
    pub(crate) hdr_len: [u8; 2],
    pub(crate) gso_size: [u8; 2],
    pub(crate) csum_start: [u8; 2],
    pub(crate) csum_offset: [u8; 2],
    /// Absent on a legacy device without `MRG_RXBUF`.
    pub(crate) num_buffers: [u8; 2],
}

/// Bytes of a header.
pub(crate) const HEADER: usize = size_of::<Header>();
/// Bytes of the header of a legacy device without `MRG_RXBUF` (VIRTIO 1.4 §5.1.9.1).
pub(crate) const SHORT_HEADER: usize = offset_of!(Header, num_buffers);

const _: () = {
    assert!(HEADER == 12);
    assert!(SHORT_HEADER == 10);
    assert!(align_of::<Header>() == 1);
    assert!(offset_of!(Header, flags) == 0);
    assert!(offset_of!(Header, gso_type) == 1);
    assert!(offset_of!(Header, hdr_len) == 2);
    assert!(offset_of!(Header, gso_size) == 4);
    assert!(offset_of!(Header, csum_start) == 6);
    assert!(offset_of!(Header, csum_offset) == 8);
    assert!(offset_of!(Header, num_buffers) == 10);
};
