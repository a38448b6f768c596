//! 2D resources on the wire (VIRTIO 1.4 §5.7.6.8).

use core::mem::offset_of;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::display::WireRect;
use super::header::CtrlHdr;

/// `virtio_gpu_resource_create_2d`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ResourceCreate2d {
    /// The header.
    pub hdr: CtrlHdr,
    /// The driver's choice, not 0.
    pub resource_id: U32,
    /// A [`Format`](crate::Format).
    pub format: U32,
    /// Width in pixels.
    pub width: U32,
    /// Height in pixels.
    pub height: U32,
}

const _: () = {
    assert!(size_of::<ResourceCreate2d>() == 40);
    assert!(offset_of!(ResourceCreate2d, resource_id) == 24);
    assert!(offset_of!(ResourceCreate2d, format) == 28);
    assert!(offset_of!(ResourceCreate2d, width) == 32);
    assert!(offset_of!(ResourceCreate2d, height) == 36);
};

/// `virtio_gpu_resource_unref`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ResourceUnref {
    /// The header.
    pub hdr: CtrlHdr,
    /// The resource.
    pub resource_id: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<ResourceUnref>() == 32);
    assert!(offset_of!(ResourceUnref, resource_id) == 24);
    assert!(offset_of!(ResourceUnref, padding) == 28);
};

/// `virtio_gpu_resource_flush`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ResourceFlush {
    /// The header.
    pub hdr: CtrlHdr,
    /// Which part of the resource has changed.
    pub r: WireRect,
    /// The resource.
    pub resource_id: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<ResourceFlush>() == 48);
    assert!(offset_of!(ResourceFlush, r) == 24);
    assert!(offset_of!(ResourceFlush, resource_id) == 40);
    assert!(offset_of!(ResourceFlush, padding) == 44);
};

/// `virtio_gpu_transfer_to_host_2d`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TransferToHost2d {
    /// The header.
    pub hdr: CtrlHdr,
    /// Which part of the resource to fill.
    pub r: WireRect,
    /// Where in the backing its first pixel lies, in bytes.
    pub offset: U64,
    /// The resource.
    pub resource_id: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<TransferToHost2d>() == 56);
    assert!(offset_of!(TransferToHost2d, r) == 24);
    assert!(offset_of!(TransferToHost2d, offset) == 40);
    assert!(offset_of!(TransferToHost2d, resource_id) == 48);
    assert!(offset_of!(TransferToHost2d, padding) == 52);
};

/// `virtio_gpu_resource_attach_backing`. The entries that follow name memory: core writes them.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ResourceAttachBacking {
    /// The header.
    pub hdr: CtrlHdr,
    /// The resource.
    pub resource_id: U32,
    /// How many entries follow.
    pub nr_entries: U32,
}

const _: () = {
    assert!(size_of::<ResourceAttachBacking>() == 32);
    assert!(offset_of!(ResourceAttachBacking, resource_id) == 24);
    assert!(offset_of!(ResourceAttachBacking, nr_entries) == 28);
};

/// `virtio_gpu_resource_detach_backing`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ResourceDetachBacking {
    /// The header.
    pub hdr: CtrlHdr,
    /// The resource.
    pub resource_id: U32,
    /// Zero.
    pub padding: U32,
}

const _: () = {
    assert!(size_of::<ResourceDetachBacking>() == 32);
    assert!(offset_of!(ResourceDetachBacking, resource_id) == 24);
    assert!(offset_of!(ResourceDetachBacking, padding) == 28);
};
