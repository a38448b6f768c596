//! Split virtqueues (VIRTIO 1.4 §2.7).

mod layout;
pub(super) mod protocol;
mod ring;

pub(super) use ring::{Regions, SplitRing};
