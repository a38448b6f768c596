//! Frames for the device (VIRTIO 1.4 §5.1.9.2).

mod asynchronous;
mod outlet;
mod sender;

pub use asynchronous::AsyncSender;
pub(crate) use outlet::Outlet;
pub use sender::{Sender, Sent};
