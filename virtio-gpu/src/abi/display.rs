//! Displays ("scanouts") on the wire (VIRTIO 1.4 §5.7.6.8).

use core::mem::offset_of;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::config::MAX_SCANOUTS;
use super::header::CtrlHdr;

/// `virtio_gpu_rect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WireRect {
    /// Left edge.
    pub x: U32,
    /// Top edge.
    pub y: U32,
    /// Width in pixels.
    pub width: U32,
    /// Height in pixels.
    pub height: U32,
}

const _: () = {
    assert!(size_of::<WireRect>() == 16);
    assert!(offset_of!(WireRect, x) == 0);
    assert!(offset_of!(WireRect, y) == 4);
    assert!(offset_of!(WireRect, width) == 8);
    assert!(offset_of!(WireRect, height) == 12);
};

/// GET_DISPLAY_INFO: just a header.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GetDisplayInfo {
    /// The header.
    pub hdr: CtrlHdr,
}

const _: () = assert!(size_of::<GetDisplayInfo>() == 24);

/// `virtio_gpu_display_one`: what the host would like one display to be.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct DisplayOne {
    /// Preferred size, and position next to the others.
    pub r: WireRect,
    /// Not 0 if the display is on.
    pub enabled: U32,
    /// No flags are defined.
    pub flags: U32,
}

const _: () = {
    assert!(size_of::<DisplayOne>() == 24);
    assert!(offset_of!(DisplayOne, r) == 0);
    assert!(offset_of!(DisplayOne, enabled) == 16);
    assert!(offset_of!(DisplayOne, flags) == 20);
};

/// `virtio_gpu_resp_display_info`: always all 16.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RespDisplayInfo {
    /// The header.
    pub hdr: CtrlHdr,
    /// The displays, by number.
    pub pmodes: [DisplayOne; MAX_SCANOUTS],
}

const _: () = {
    assert!(size_of::<RespDisplayInfo>() == 408);
    assert!(offset_of!(RespDisplayInfo, pmodes) == 24);
};

/// `virtio_gpu_set_scanout`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SetScanout {
    /// The header.
    pub hdr: CtrlHdr,
    /// Which part of the resource is shown.
    pub r: WireRect,
    /// Where.
    pub scanout_id: U32,
    /// The resource; 0 shows nothing.
    pub resource_id: U32,
}

const _: () = {
    assert!(size_of::<SetScanout>() == 48);
    assert!(offset_of!(SetScanout, r) == 24);
    assert!(offset_of!(SetScanout, scanout_id) == 40);
    assert!(offset_of!(SetScanout, resource_id) == 44);
};
