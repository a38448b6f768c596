//! The control queue (VIRTIO 1.4 §5.1.9.5).

mod asynchronous;
mod blocking;
mod command;
mod encode;

pub use asynchronous::AsyncControl;
pub use blocking::Control;
pub use command::{Coalescing, Command, NetQueue, RxMode, Switch};
pub(crate) use encode::{ANSWER, COMMAND, Terms, UNWRITTEN};
