//! Requests: a header for the device to read; then, for it to write, a byte for each die and one for the status.

use core::mem::offset_of;

use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The dice were thrown.
pub(crate) const OK: u8 = 0;

/// What a request begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    /// How many dice.
    pub(crate) dice: U16,
    /// 0.
    pub(crate) reserved: U16,
}

const _: () = {
    assert!(size_of::<Header>() == 4);
    assert!(offset_of!(Header, dice) == 0 && offset_of!(Header, reserved) == 2);
};
