//! The cursor on the wire (VIRTIO 1.4 §5.7.6.10).

use core::mem::offset_of;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::header::CtrlHdr;

/// `virtio_gpu_cursor_pos`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CursorPos {
    /// On which display.
    pub scanout_id: U32,
    /// Where, from the left.
    pub x: U32,
    /// Where, from the top.
    pub y: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<CursorPos>() == 16);
    assert!(offset_of!(CursorPos, scanout_id) == 0);
    assert!(offset_of!(CursorPos, x) == 4);
    assert!(offset_of!(CursorPos, y) == 8);
    assert!(offset_of!(CursorPos, padding) == 12);
};

/// `virtio_gpu_update_cursor`, for UPDATE_CURSOR and MOVE_CURSOR.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UpdateCursor {
    /// The header.
    pub hdr: CtrlHdr,
    /// Where the cursor goes.
    pub pos: CursorPos,
    /// A 64x64 resource; 0 hides the cursor.
    pub resource_id: U32,
    /// Which pixel of the image points, from the left.
    pub hot_x: U32,
    /// Which pixel of the image points, from the top.
    pub hot_y: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<UpdateCursor>() == 56);
    assert!(offset_of!(UpdateCursor, pos) == 24);
    assert!(offset_of!(UpdateCursor, resource_id) == 40);
    assert!(offset_of!(UpdateCursor, hot_x) == 44);
    assert!(offset_of!(UpdateCursor, hot_y) == 48);
    assert!(offset_of!(UpdateCursor, padding) == 52);
};
