//! The split virtqueue (VIRTIO 1.4 §2.7).

mod queue;
mod rings;

pub use queue::Token;
pub(crate) use queue::{Setup, SplitQueue};
