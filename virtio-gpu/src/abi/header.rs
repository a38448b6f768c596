//! The header of every command and response (VIRTIO 1.4 §5.7.6.7).

use core::mem::offset_of;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::codes::CommandType;

bitflags::bitflags! {
    /// Flags of a header (VIRTIO 1.4 §5.7.6.7).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct CtrlFlags: u32 {
        /// Answer only when the command has taken effect, and repeat `fence_id`.
        const FENCE = 1;
        /// `ring_idx` is valid.
        const INFO_RING_IDX = 2;
        const _ = !0;
    }
}
virtio_core::defmt_bits!(CtrlFlags);

/// `virtio_gpu_ctrl_hdr`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CtrlHdr {
    /// A [`CommandType`] or [`ResponseType`](super::ResponseType).
    pub kind: U32,
    /// [`CtrlFlags`].
    pub flags: U32,
    /// Number of the fence.
    pub fence_id: U64,
    /// Rendering context: 0, as 2D has none.
    pub ctx_id: U32,
    /// Timeline within the context: 0.
    pub ring_idx: u8,
    /// Zero.
    pub padding: [u8; 3],
}

const _: () = {
    assert!(size_of::<CtrlHdr>() == 24);
    assert!(offset_of!(CtrlHdr, kind) == 0);
    assert!(offset_of!(CtrlHdr, flags) == 4);
    assert!(offset_of!(CtrlHdr, fence_id) == 8);
    assert!(offset_of!(CtrlHdr, ctx_id) == 16);
    assert!(offset_of!(CtrlHdr, ring_idx) == 20);
    assert!(offset_of!(CtrlHdr, padding) == 21);
};

impl CtrlHdr {
    /// A header for a command, without a fence.
    #[must_use]
    pub fn command(kind: CommandType) -> Self {
        Self { kind: kind.get().into(), ..Self::default() }
    }
}
