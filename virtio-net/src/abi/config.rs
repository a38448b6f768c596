//! The configuration space (VIRTIO 1.4 §5.1.4).

virtio_core::config_space! {
    /// `virtio_net_config`. Which fields there are is a matter of features.
    pub(crate) struct NetConfig {
        /// With `MAC`.
        MAC: [u8; 6] = 0,
        /// [`NetStatus`], with `STATUS`.
        STATUS: u16 = 6,
        /// 1 to 0x8000, with `MQ`.
        MAX_VIRTQUEUE_PAIRS: u16 = 8,
        /// At least 68, with `MTU`.
        MTU: u16 = 10,
        /// In Mbit/s, with `SPEED_DUPLEX`.
        SPEED: u32 = 12,
        /// With `SPEED_DUPLEX`.
        DUPLEX: u8 = 16,
        RSS_MAX_KEY_SIZE: u8 = 17,
        RSS_MAX_INDIRECTION_TABLE_LENGTH: u16 = 18,
        SUPPORTED_HASH_TYPES: u32 = 20,
        SUPPORTED_TUNNEL_TYPES: u32 = 24,
    }
}

const _: () = assert!(NetConfig::LEN == 28);

bitflags::bitflags! {
    /// The field `status` (VIRTIO 1.4 §5.1.4).
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct NetStatus: u16 {
        /// The link is up.
        const LINK_UP = 1;
        /// The driver should announce itself to the network.
        const ANNOUNCE = 2;
        const _ = !0;
    }
}
virtio_core::defmt_bits!(NetStatus);

/// The least MTU that a device may state (VIRTIO 1.4 §5.1.4.1).
pub(crate) const MIN_MTU: u16 = 68;
/// The most pairs of queues that a device may have (VIRTIO 1.4 §5.1.4.1, §5.1.9.5.6). The last of them leaves no number for the
/// control queue.
pub(crate) const MAX_PAIRS: u16 = 0x8000;
/// Any greater speed is an unknown one (VIRTIO 1.4 §5.1.4.2).
pub(crate) const MAX_KNOWN_SPEED: u32 = 0x7fff_ffff;
/// Values of `duplex` (VIRTIO 1.4 §5.1.4); everything else is unknown.
pub(crate) const DUPLEX_HALF: u8 = 0;
pub(crate) const DUPLEX_FULL: u8 = 1;
