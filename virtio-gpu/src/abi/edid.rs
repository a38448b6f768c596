//! Reading an EDID on the wire (VIRTIO 1.4 §5.7.6.8).

use core::mem::offset_of;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::header::CtrlHdr;

/// Bytes that an answer has room for: eight EDID blocks.
pub const EDID_ROOM: usize = 1024;

/// `virtio_gpu_get_edid`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GetEdid {
    /// The header.
    pub hdr: CtrlHdr,
    /// Of which display.
    pub scanout: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<GetEdid>() == 32);
    assert!(offset_of!(GetEdid, scanout) == 24);
    assert!(offset_of!(GetEdid, padding) == 28);
};

/// `virtio_gpu_resp_edid`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RespEdid {
    /// The header.
    pub hdr: CtrlHdr,
    /// How many bytes of `edid` are valid, as the device says.
    pub size: U32,
    /// Zero.
    pub padding: U32,
    /// The data.
    pub edid: [u8; EDID_ROOM],
}

const _: () = {
    assert!(size_of::<RespEdid>() == 1056);
    assert!(offset_of!(RespEdid, size) == 24);
    assert!(offset_of!(RespEdid, padding) == 28);
    assert!(offset_of!(RespEdid, edid) == 32);
};
