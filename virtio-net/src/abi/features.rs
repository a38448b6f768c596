//! Feature bits of the network device (VIRTIO 1.4 §5.1.3).

use virtio_core::Features;

macro_rules! features {
    ($($(#[$about:meta])* $name:ident = $bit:literal, $text:literal;)+) => {
        $($(#[$about])* pub const $name: Features = Features::bit($bit);)+

        /// The specification's name of a feature bit of the network device, without the prefix `VIRTIO_NET_F_`.
        ///
        /// ```
        /// assert_eq!(virtio_net::abi::feature_name(15), Some("MRG_RXBUF"));
        /// assert_eq!(virtio_net::abi::feature_name(32), None);
        /// ```
        #[must_use]
        pub const fn feature_name(bit: u32) -> Option<&'static str> {
            Some(match bit {
                $($bit => $text,)+
                _ => return None,
            })
        }
    };
}

features! {
    /// The device completes checksums of frames that are sent.
    F_CSUM = 0, "CSUM";
    /// The driver takes frames whose checksum is not complete, or was validated already.
    F_GUEST_CSUM = 1, "GUEST_CSUM";
    /// What is done to received frames can be switched while the device lives.
    F_CTRL_GUEST_OFFLOADS = 2, "CTRL_GUEST_OFFLOADS";
    /// The device states its MTU.
    F_MTU = 3, "MTU";
    /// The device has a MAC address.
    F_MAC = 5, "MAC";
    /// Received frames may be several TCP segments over IPv4 put together.
    F_GUEST_TSO4 = 7, "GUEST_TSO4";
    /// Received frames may be several TCP segments over IPv6 put together.
    F_GUEST_TSO6 = 8, "GUEST_TSO6";
    /// The same for segments with explicit congestion notification.
    F_GUEST_ECN = 9, "GUEST_ECN";
    /// Received frames may be UDP datagrams before fragmentation. Not implemented: the specification has deprecated it.
    F_GUEST_UFO = 10, "GUEST_UFO";
    /// The device cuts TCP over IPv4 into segments.
    F_HOST_TSO4 = 11, "HOST_TSO4";
    /// The device cuts TCP over IPv6 into segments.
    F_HOST_TSO6 = 12, "HOST_TSO6";
    /// The same for segments with explicit congestion notification.
    F_HOST_ECN = 13, "HOST_ECN";
    /// The device fragments UDP. Not implemented: the specification has deprecated it.
    F_HOST_UFO = 14, "HOST_UFO";
    /// A received frame may lie in several buffers.
    F_MRG_RXBUF = 15, "MRG_RXBUF";
    /// The device states whether its link is up.
    F_STATUS = 16, "STATUS";
    /// There is a control queue.
    F_CTRL_VQ = 17, "CTRL_VQ";
    /// Promiscuous and all-multicast modes, and a table of addresses.
    F_CTRL_RX = 18, "CTRL_RX";
    /// A filter for VLANs.
    F_CTRL_VLAN = 19, "CTRL_VLAN";
    /// More receive modes.
    F_CTRL_RX_EXTRA = 20, "CTRL_RX_EXTRA";
    /// The device may ask the driver to announce itself to the network.
    F_GUEST_ANNOUNCE = 21, "GUEST_ANNOUNCE";
    /// Several pairs of queues, with automatic steering.
    F_MQ = 22, "MQ";
    /// The MAC address can be changed.
    F_CTRL_MAC_ADDR = 23, "CTRL_MAC_ADDR";
    /// Statistics. Not implemented.
    F_DEVICE_STATS = 50, "DEVICE_STATS";
    /// Hashes of inner headers. Not implemented.
    F_HASH_TUNNEL = 51, "HASH_TUNNEL";
    /// Interrupts can be held back, by queue.
    F_VQ_NOTF_COAL = 52, "VQ_NOTF_COAL";
    /// Interrupts can be held back.
    F_NOTF_COAL = 53, "NOTF_COAL";
    /// Received frames may be several UDP datagrams over IPv4 put together.
    F_GUEST_USO4 = 54, "GUEST_USO4";
    /// Received frames may be several UDP datagrams over IPv6 put together.
    F_GUEST_USO6 = 55, "GUEST_USO6";
    /// The device cuts UDP into datagrams.
    F_HOST_USO = 56, "HOST_USO";
    /// Received frames carry a hash. Not implemented.
    F_HASH_REPORT = 57, "HASH_REPORT";
    /// The driver states the exact length of the headers of what is to be segmented.
    F_GUEST_HDRLEN = 59, "GUEST_HDRLEN";
    /// Several pairs of queues, steered by a table of hashes. Not implemented.
    F_RSS = 60, "RSS";
    /// Duplicated acknowledgements. Not implemented.
    F_RSC_EXT = 61, "RSC_EXT";
    /// The device stands by for another with the same MAC address. Never accepted: there is no other here.
    F_STANDBY = 62, "STANDBY";
    /// The device states speed and duplex.
    F_SPEED_DUPLEX = 63, "SPEED_DUPLEX";
    /// Several tables of hashes. Not implemented.
    F_RSS_CONTEXT = 64, "RSS_CONTEXT";
    /// Received frames may be segments in a UDP tunnel. Not implemented.
    F_GUEST_UDP_TUNNEL_GSO = 65, "GUEST_UDP_TUNNEL_GSO";
    /// The same with checksums of the outer header. Not implemented.
    F_GUEST_UDP_TUNNEL_GSO_CSUM = 66, "GUEST_UDP_TUNNEL_GSO_CSUM";
    /// The device cuts what is in a UDP tunnel. Not implemented.
    F_HOST_UDP_TUNNEL_GSO = 67, "HOST_UDP_TUNNEL_GSO";
    /// The same with checksums of the outer header. Not implemented.
    F_HOST_UDP_TUNNEL_GSO_CSUM = 68, "HOST_UDP_TUNNEL_GSO_CSUM";
    /// The place of the outer network header. Not implemented.
    F_OUT_NET_HEADER = 69, "OUT_NET_HEADER";
    /// IPsec. Not implemented.
    F_IPSEC = 70, "IPSEC";
}

/// What received frames may be like that were put together from several. Their buffers must be large, or
/// [mergeable](F_MRG_RXBUF).
pub const RECEIVE_SEGMENTS: Features =
    F_GUEST_TSO4.union(F_GUEST_TSO6).union(F_GUEST_USO4).union(F_GUEST_USO6);

/// What [`Options::offloads`](crate::Options) chooses from.
pub const OFFLOADS: Features =
    TRANSMIT_OFFLOADS.union(F_GUEST_CSUM).union(RECEIVE_SEGMENTS).union(F_GUEST_ECN).union(F_MRG_RXBUF);

/// Those of [`OFFLOADS`] that ask nothing of the driver: a frame may use them or not.
pub const TRANSMIT_OFFLOADS: Features =
    F_CSUM.union(F_HOST_TSO4).union(F_HOST_TSO6).union(F_HOST_ECN).union(F_HOST_USO).union(F_GUEST_HDRLEN);

/// What is accepted besides offloads, if it is offered.
pub(crate) const USUAL: Features = F_MAC
    .union(F_MTU)
    .union(F_STATUS)
    .union(F_SPEED_DUPLEX)
    .union(F_CTRL_VQ)
    .union(F_CTRL_RX)
    .union(F_CTRL_RX_EXTRA)
    .union(F_CTRL_VLAN)
    .union(F_CTRL_MAC_ADDR)
    .union(F_CTRL_GUEST_OFFLOADS)
    .union(F_GUEST_ANNOUNCE)
    .union(F_NOTF_COAL)
    .union(F_VQ_NOTF_COAL);

/// `(feature, what it needs)` (VIRTIO 1.4 §5.1.3.1), and what it is of no use without. Congestion notification needs one of two
/// features by the specification; here, both: [`prerequisites`] eases it.
const PREREQUISITES: [(Features, Features); 18] = [
    (F_HOST_ECN, F_HOST_TSO4.union(F_HOST_TSO6)),
    (F_GUEST_ECN, F_GUEST_TSO4.union(F_GUEST_TSO6)),
    (F_GUEST_TSO4, F_GUEST_CSUM),
    (F_GUEST_TSO6, F_GUEST_CSUM),
    (F_GUEST_USO4, F_GUEST_CSUM),
    (F_GUEST_USO6, F_GUEST_CSUM),
    (F_HOST_TSO4, F_CSUM),
    (F_HOST_TSO6, F_CSUM),
    (F_HOST_USO, F_CSUM),
    (F_CTRL_RX, F_CTRL_VQ),
    (F_CTRL_RX_EXTRA, F_CTRL_VQ),
    (F_CTRL_VLAN, F_CTRL_VQ),
    (F_CTRL_MAC_ADDR, F_CTRL_VQ),
    (F_CTRL_GUEST_OFFLOADS, F_CTRL_VQ),
    // The request to announce is a bit of `status`.
    (F_GUEST_ANNOUNCE, F_CTRL_VQ.union(F_STATUS)),
    (F_MQ, F_CTRL_VQ),
    (F_NOTF_COAL, F_CTRL_VQ),
    (F_VQ_NOTF_COAL, F_CTRL_VQ),
];

/// The prerequisites for a driver that wants `wanted`: with one of the two kinds of TCP wanted, that one is enough for
/// congestion notification.
pub(crate) fn prerequisites(wanted: Features) -> [(Features, Features); 18] {
    PREREQUISITES.map(|(feature, needs)| {
        let either = feature == F_HOST_ECN || feature == F_GUEST_ECN;
        if either && needs.intersects(wanted) { (feature, needs & wanted) } else { (feature, needs) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_of_tcp_is_enough_for_congestion_notification() {
        let of = |wanted: Features, feature: Features| {
            prerequisites(wanted).into_iter().find(|(one, _)| *one == feature).unwrap().1
        };
        assert_eq!(of(F_HOST_TSO4, F_HOST_ECN), F_HOST_TSO4);
        assert_eq!(of(F_HOST_TSO4 | F_HOST_TSO6, F_HOST_ECN), F_HOST_TSO4 | F_HOST_TSO6);
        assert_eq!(of(F_GUEST_TSO6, F_GUEST_ECN), F_GUEST_TSO6);
        assert_eq!(of(Features::empty(), F_GUEST_ECN), F_GUEST_TSO4 | F_GUEST_TSO6);
        assert_eq!(of(F_MQ, F_MQ), F_CTRL_VQ);
    }

    #[test]
    fn what_is_implemented_is_disjoint() {
        assert!((USUAL & OFFLOADS).is_empty());
        assert!(OFFLOADS.contains(TRANSMIT_OFFLOADS));
        assert!(!(USUAL | OFFLOADS).intersects(F_STANDBY | F_RSS | F_HASH_REPORT | F_HOST_UFO | F_GUEST_UFO));
    }
}
