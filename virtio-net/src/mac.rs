//! MAC addresses.

use core::fmt;

/// The address of a network card: 48 bits, in the order in which they are sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Everybody.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// A locally administered address of one card, out of 46 bits of `seed`: for a device that has no address of its own, which
    /// should get one of these (VIRTIO 1.4 §5.1.4.2).
    ///
    /// ```
    /// let mac = virtio_net::MacAddress::local(0x1234_5678_9abc);
    /// assert_eq!(mac.to_string(), "12:34:56:78:9a:bc");
    /// assert!(mac.is_local() && !mac.is_multicast());
    /// ```
    #[must_use]
    pub const fn local(seed: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = seed.to_be_bytes();
        Self([a & 0xfc | 2, b, c, d, e, f])
    }

    /// Whether it names a group of cards; the broadcast address does.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }

    /// Whether a card can have it: it names no group, and is not all zeros.
    pub(crate) const fn is_of_a_card(self) -> bool {
        !self.is_multicast() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Whether it was given by somebody else than a manufacturer.
    #[must_use]
    pub const fn is_local(self) -> bool {
        let [first, ..] = self.0;
        first & 2 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
