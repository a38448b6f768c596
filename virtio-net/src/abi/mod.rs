//! What the specification numbers and lays out (VIRTIO 1.4 §5.1).

mod config;
mod control;
mod features;
mod header;

pub use config::NetStatus;
pub(crate) use config::{DUPLEX_FULL, DUPLEX_HALF, MAX_KNOWN_SPEED, MAX_PAIRS, MIN_MTU, NetConfig};
pub(crate) use control::*;
pub use features::*;
pub(crate) use header::*;

/// Receive queue of pair `pair`, from 0 (VIRTIO 1.4 §5.1.2).
pub(crate) const fn receiveq(pair: u16) -> u16 {
    pair.wrapping_mul(2)
}

/// Transmit queue of pair `pair`, from 0 (VIRTIO 1.4 §5.1.2).
pub(crate) const fn transmitq(pair: u16) -> u16 {
    pair.wrapping_mul(2).wrapping_add(1)
}

/// The control queue of a device that has `pairs` pairs, used or not (VIRTIO 1.4 §5.1.2). No number for more than 32767:
/// there is no queue 65536.
pub(crate) const fn controlq(pairs: u16) -> Option<u16> {
    pairs.checked_mul(2)
}

const _: () = {
    assert!(receiveq(0) == 0 && transmitq(0) == 1);
    assert!(receiveq(3) == 6 && transmitq(3) == 7);
    assert!(matches!(controlq(1), Some(2)) && matches!(controlq(8), Some(16)));
    assert!(controlq(0x8000).is_none());
};

/// Bytes of an Ethernet header, without a tag: what the specification calls the low-level header.
pub(crate) const ETHERNET: usize = 14;
/// Bytes of a VLAN tag in a frame.
pub(crate) const VLAN_TAG: usize = 4;
/// The longest frame of a network whose MTU is 1500 bytes.
pub(crate) const USUAL_FRAME: usize = 1514;
/// The longest frame that a device puts together from segments (VIRTIO 1.4 §5.1.9.3.1): that is 65601 bytes with a header of
/// 12.
pub(crate) const LARGEST_FRAME: usize = 65_589;

const _: () = {
    assert!(USUAL_FRAME + HEADER == 1526);
    assert!(LARGEST_FRAME + HEADER == 65_601);
};
