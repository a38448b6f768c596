//! Events: another player has thrown.

use core::mem::offset_of;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the device writes to a buffer of the event queue.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Event {
    /// Who it was.
    pub(crate) player: U32,
    /// All eyes together.
    pub(crate) sum: U32,
}

const _: () = {
    assert!(size_of::<Event>() == 8);
    assert!(offset_of!(Event, player) == 0 && offset_of!(Event, sum) == 4);
};
