//! Frames from the device (VIRTIO 1.4 §5.1.9.3, §5.1.9.4).

mod asynchronous;
mod frame;
mod inlet;
mod receiver;

pub use asynchronous::AsyncReceiver;
pub use frame::{Frame, Piece};
#[cfg(feature = "smoltcp")]
pub(crate) use inlet::Seen;
pub use receiver::Receiver;
