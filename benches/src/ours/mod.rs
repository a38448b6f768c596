//! Ours: the queue of `virtio-core`, through two of its layers.
//!
//! The device is brought up as every device is, on registers that only remember ([`platform`]), and its queue lent for good,
//! as a kernel does that keeps its device in a static.

mod owned;
mod platform;
mod raw;

pub use owned::Owned;
pub use platform::Found;
pub use raw::Raw;
