//! Commands, as data.

use virtio_core::Features;

use crate::MacAddress;

/// On or off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Switch {
    /// Off.
    Off,
    /// On.
    On,
}

/// What the device lets through (VIRTIO 1.4 §5.1.9.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RxMode {
    /// Everything.
    Promiscuous,
    /// All that is for a group.
    AllMulticast,
    /// All that is for one card, whichever. This one and the following need
    /// [`F_CTRL_RX_EXTRA`](crate::abi::F_CTRL_RX_EXTRA).
    AllUnicast,
    /// Nothing that is for a group, but for broadcasts.
    NoMulticast,
    /// Nothing that is for one card.
    NoUnicast,
    /// No broadcasts.
    NoBroadcast,
}

/// When a queue interrupts (VIRTIO 1.4 §5.1.9.5.10): after so many frames, or so much time, whichever comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Coalescing {
    /// Frames; 0 and 1 mean the next one.
    pub frames: u32,
    /// Microseconds since the first of them.
    pub microseconds: u32,
}

/// One of the queues that frames go through, by its pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NetQueue {
    /// The receive queue of a pair.
    Receive(u16),
    /// The transmit queue of a pair.
    Transmit(u16),
}

/// What can be asked of the device. Each needs a feature, and is refused without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Switches a receive mode (VIRTIO 1.4 §5.1.9.5.1). Needs [`F_CTRL_RX`](crate::abi::F_CTRL_RX), or
    /// [`F_CTRL_RX_EXTRA`](crate::abi::F_CTRL_RX_EXTRA).
    Mode(RxMode, Switch),
    /// Replaces the table of addresses that are let through besides the device's own (VIRTIO 1.4 §5.1.9.5.2); up to 64 in all.
    /// Needs [`F_CTRL_RX`](crate::abi::F_CTRL_RX).
    MacTable {
        /// Addresses of single cards.
        unicast: &'a [MacAddress],
        /// Addresses of groups.
        multicast: &'a [MacAddress],
    },
    /// Changes the device's own address (VIRTIO 1.4 §5.1.9.5.2). Needs [`F_CTRL_MAC_ADDR`](crate::abi::F_CTRL_MAC_ADDR) and
    /// [`F_CTRL_RX`](crate::abi::F_CTRL_RX).
    SetMac(MacAddress),
    /// Lets a VLAN through, by its number below 4096 (VIRTIO 1.4 §5.1.9.5.3). Needs
    /// [`F_CTRL_VLAN`](crate::abi::F_CTRL_VLAN), with which none is at first.
    AddVlan(u16),
    /// Keeps it away again.
    RemoveVlan(u16),
    /// The driver has announced itself to the network (VIRTIO 1.4 §5.1.9.5.4). Needs
    /// [`F_GUEST_ANNOUNCE`](crate::abi::F_GUEST_ANNOUNCE).
    AcknowledgeAnnounce,
    /// Switches what is done to received frames (VIRTIO 1.4 §5.1.9.5.9): these offloads and no others, out of those that were
    /// negotiated. Needs [`F_CTRL_GUEST_OFFLOADS`](crate::abi::F_CTRL_GUEST_OFFLOADS).
    GuestOffloads(Features),
    /// Holds interrupts of all transmit queues back (VIRTIO 1.4 §5.1.9.5.10). Needs
    /// [`F_NOTF_COAL`](crate::abi::F_NOTF_COAL).
    CoalesceTransmit(Coalescing),
    /// Holds interrupts of all receive queues back. Needs [`F_NOTF_COAL`](crate::abi::F_NOTF_COAL).
    CoalesceReceive(Coalescing),
    /// Holds interrupts of one queue back. Needs [`F_VQ_NOTF_COAL`](crate::abi::F_VQ_NOTF_COAL).
    CoalesceQueue(NetQueue, Coalescing),
}
