//! The wire: structures and numbers of VIRTIO 1.4 §5.7, without behaviour.
//!
//! Everything is little-endian, on legacy transports too: the GPU has no legacy interface.

mod codes;
mod config;
mod cursor;
mod display;
mod edid;
mod features;
mod header;
mod resource;

pub use codes::{CommandType, ResponseType};
pub(crate) use config::Space;
pub use config::{Events, MAX_SCANOUTS};
pub use cursor::{CursorPos, UpdateCursor};
pub use display::{DisplayOne, GetDisplayInfo, RespDisplayInfo, SetScanout, WireRect};
pub use edid::{EDID_ROOM, GetEdid, RespEdid};
pub use features::{F_EDID, feature_name};
pub use header::{CtrlFlags, CtrlHdr};
pub use resource::{
    ResourceAttachBacking, ResourceCreate2d, ResourceDetachBacking, ResourceFlush, ResourceUnref,
    TransferToHost2d,
};

/// The queue for commands (VIRTIO 1.4 §5.7.2).
pub const CONTROLQ: u16 = 0;
/// The queue for cursor updates, which are not ordered with commands (VIRTIO 1.4 §5.7.2).
pub const CURSORQ: u16 = 1;
