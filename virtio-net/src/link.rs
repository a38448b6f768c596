//! What the configuration space says (VIRTIO 1.4 §5.1.4).

use core::fmt;

use virtio_core::config::Config;
use virtio_core::{Error, Transport};

use crate::MacAddress;
use crate::abi::{
    DUPLEX_FULL, DUPLEX_HALF, F_GUEST_ANNOUNCE, F_MAC, F_SPEED_DUPLEX, F_STATUS, MAX_KNOWN_SPEED, NetConfig,
    NetStatus,
};
use crate::error::NetError;
use crate::wire::Wire;

/// Whether both ends may send at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Duplex {
    /// One at a time.
    Half,
    /// Both.
    Full,
}

/// The link, as it is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Link {
    /// Whether it is up. A device that does not say has one that is (VIRTIO 1.4 §5.1.4.2).
    pub up: bool,
    /// The device asks the driver to announce itself, as a guest that has moved to another host: send a gratuitous ARP packet, or
    /// whatever the network's protocols have for it (VIRTIO 1.4 §5.1.9.5.4).
    pub announce: bool,
    /// Mbit/s, if known.
    pub speed: Option<u32>,
    /// If known.
    pub duplex: Option<Duplex>,
}

/// What the device says of itself; to be read at any time, by any CPU, while its queues are lent. Made by
/// [`Split::status`](crate::Split::status).
pub struct Status<'d, T: ?Sized> {
    config: Config<'d, T>,
    wire: Wire,
}

impl<T: ?Sized> fmt::Debug for Status<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").finish_non_exhaustive()
    }
}

impl<'d, T: Transport + ?Sized> Status<'d, T> {
    pub(crate) fn new(config: Config<'d, T>, wire: Wire) -> Self {
        Self { config, wire }
    }

    /// The link, as it is now.
    ///
    /// # Errors
    /// [`NetError::Core`] if the configuration space is too short or does not settle.
    pub fn link(&self) -> Result<Link, NetError> {
        let features = self.wire.features;
        let read = |config: &Config<'d, T>| -> Result<Link, Error> {
            let (mut status, mut speed, mut duplex) = (NetStatus::LINK_UP, None, None);
            if features.contains(F_STATUS) {
                status = NetStatus::from_bits_retain(config.get(NetConfig::STATUS)?);
            }
            if features.contains(F_SPEED_DUPLEX) {
                speed = Some(config.get(NetConfig::SPEED)?).filter(|speed| *speed <= MAX_KNOWN_SPEED);
                duplex = match config.get(NetConfig::DUPLEX)? {
                    DUPLEX_HALF => Some(Duplex::Half),
                    DUPLEX_FULL => Some(Duplex::Full),
                    _ => None,
                };
            }
            let announce = features.contains(F_GUEST_ANNOUNCE) && status.contains(NetStatus::ANNOUNCE);
            Ok(Link { up: status.contains(NetStatus::LINK_UP), announce, speed, duplex })
        };
        Ok(self.config.consistent(read)?)
    }

    /// The address of the card; `None` if the device has none, or one that no card can have, of a group or all zeros: use
    /// [one of your own](MacAddress::local) then.
    ///
    /// # Errors
    /// As for [`Status::link`].
    pub fn mac(&self) -> Result<Option<MacAddress>, NetError> {
        if !self.wire.features.contains(F_MAC) {
            return Ok(None);
        }
        let mac = MacAddress(self.config.get(NetConfig::MAC)?);
        Ok(Some(mac).filter(|mac| mac.is_of_a_card()))
    }
}
