//! The chapter's numbers and structures (VIRTIO 1.4 §5.3), named as there.

mod config;
mod control;
mod features;
mod queues;

pub(crate) use config::ConsoleConfig;
pub(crate) use control::{CONTROL_LEN, Message, RESIZE_LEN, event, read_resize};
pub use features::{F_EMERG_WRITE, F_MULTIPORT, F_SIZE, feature_name};
pub use queues::{CONTROL_RECEIVEQ, CONTROL_TRANSMITQ, receiveq, transmitq};
