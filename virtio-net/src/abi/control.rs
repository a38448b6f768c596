//! Commands of the control queue (VIRTIO 1.4 §5.1.9.5).

/// Answers.
pub(crate) const OK: u8 = 0;
pub(crate) const ERR: u8 = 1;

/// A command: its class, and its number within.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Code(pub(crate) u8, pub(crate) u8);

/// Receive modes (§5.1.9.5.1): the number within is the mode's.
pub(crate) const CLASS_RX: u8 = 0;
/// The table of addresses, and the device's own (§5.1.9.5.2).
pub(crate) const MAC_TABLE_SET: Code = Code(1, 0);
pub(crate) const MAC_ADDR_SET: Code = Code(1, 1);
/// The filter for VLANs (§5.1.9.5.3).
pub(crate) const VLAN_ADD: Code = Code(2, 0);
pub(crate) const VLAN_DEL: Code = Code(2, 1);
/// The driver has announced itself (§5.1.9.5.4).
pub(crate) const ANNOUNCE_ACK: Code = Code(3, 0);
/// Pairs of queues in use (§5.1.9.5.6).
pub(crate) const MQ_VQ_PAIRS_SET: Code = Code(4, 0);
/// What is done to received frames (§5.1.9.5.9).
pub(crate) const GUEST_OFFLOADS_SET: Code = Code(5, 0);
/// Interrupts held back (§5.1.9.5.10).
pub(crate) const NOTF_COAL_TX_SET: Code = Code(6, 0);
pub(crate) const NOTF_COAL_RX_SET: Code = Code(6, 1);
pub(crate) const NOTF_COAL_VQ_SET: Code = Code(6, 2);
pub(crate) const NOTF_COAL_VQ_GET: Code = Code(6, 3);

/// Bytes of `virtio_net_ctrl_coal`, the only result that a command here has behind its answer.
pub(crate) const COAL: usize = 8;
/// Where its two numbers are.
pub(crate) const COAL_PACKETS: usize = 0;
pub(crate) const COAL_MICROSECONDS: usize = 4;

const _: () = {
    assert!(COAL_MICROSECONDS == COAL_PACKETS + 4);
    assert!(COAL == COAL_MICROSECONDS + 4);
};
