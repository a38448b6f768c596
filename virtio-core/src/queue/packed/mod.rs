//! Packed virtqueues (VIRTIO 1.4 §2.8).

mod layout;
pub(super) mod protocol;
mod ring;

pub(super) use ring::PackedRing;
