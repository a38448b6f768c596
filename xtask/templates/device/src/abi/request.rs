//! Requests and their answers (VIRTIO 1.4 §5.N.6).

use core::mem::offset_of;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Asks for the value back.
pub(crate) const ECHO: u32 = 0;

/// The request was served.
pub(crate) const OK: u32 = 0;

/// What a request begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    /// Which request.
    pub(crate) kind: U32,
    /// Its argument.
    pub(crate) value: U32,
}

/// What the device answers.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Response {
    /// Whether it was served.
    pub(crate) status: U32,
    /// The result.
    pub(crate) value: U32,
}

// The specification's numbers.
const _: () = {
    assert!(size_of::<Header>() == 8);
    assert!(offset_of!(Header, kind) == 0 && offset_of!(Header, value) == 4);
    assert!(size_of::<Response>() == 8);
    assert!(offset_of!(Response, status) == 0 && offset_of!(Response, value) == 4);
};
