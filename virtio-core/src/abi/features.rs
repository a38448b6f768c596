//! Feature bits that belong to queues and transports (VIRTIO 1.4 §2.2 and §6).

bitflags::bitflags! {
    /// A set of feature bits, 128 wide (VIRTIO 1.4 §2.2).
    ///
    /// The bits named here are the ones that belong to queue and transport. A device type's own bits (0–23, 41, 42 and
    /// 50–127) have no name here: its crate makes them with [`Features::bit`].
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
    pub struct Features: u128 {
        /// Legacy: interrupt when the available ring runs empty.
        const NOTIFY_ON_EMPTY = 1 << 24;
        /// Legacy: no assumption about how a request is split over descriptors.
        const ANY_LAYOUT = 1 << 27;
        /// Indirect descriptor tables.
        const INDIRECT_DESC = 1 << 28;
        /// `used_event` and `avail_event`.
        const EVENT_IDX = 1 << 29;
        /// The device follows version 1 of the specification or later; without it, it is a legacy device.
        const VERSION_1 = 1 << 32;
        /// The device's accesses go through the platform: translated or limited addresses.
        const ACCESS_PLATFORM = 1 << 33;
        /// Packed virtqueues.
        const RING_PACKED = 1 << 34;
        /// Buffers are used in the order they were made available.
        const IN_ORDER = 1 << 35;
        /// Memory accesses are ordered as the platform orders a real device's.
        const ORDER_PLATFORM = 1 << 36;
        /// Single root I/O virtualization (PCI).
        const SR_IOV = 1 << 37;
        /// A notification carries the position in the ring.
        const NOTIFICATION_DATA = 1 << 38;
        /// A notification carries a value the device has chosen (PCI).
        const NOTIF_CONFIG_DATA = 1 << 39;
        /// One queue can be reset by itself.
        const RING_RESET = 1 << 40;
        /// Administration virtqueues (PCI).
        const ADMIN_VQ = 1 << 41;
        /// The device can be suspended.
        const SUSPEND = 1 << 43;
        const _ = !0;
    }
}

impl Features {
    /// The set of just bit `number`; empty for a number above 127.
    #[must_use]
    pub const fn bit(number: u32) -> Self {
        if number < 128 { Self::from_bits_retain(1 << number) } else { Self::empty() }
    }

    /// The 32-bit window `index` (0 to 3) of the set, as the feature registers carry it; 0 beyond.
    #[must_use]
    pub const fn window(self, index: u32) -> u32 {
        let bytes = self.bits().to_le_bytes();
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        match index {
            0 => u32::from_le_bytes([a, b, c, d]),
            1 => u32::from_le_bytes([e, f, g, h]),
            2 => u32::from_le_bytes([i, j, k, l]),
            3 => u32::from_le_bytes([m, n, o, p]),
            _ => 0,
        }
    }

    /// The set whose window `index` is `bits` and that is empty elsewhere.
    #[must_use]
    pub fn from_window(index: u32, bits: u32) -> Self {
        let shift = index.saturating_mul(32);
        Self::from_bits_retain(u128::from(bits).checked_shl(shift).unwrap_or(0))
    }

    /// Numbers of the bits in the set, ascending.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..128).filter(move |&number| self.contains(Self::bit(number)))
    }

    /// The spec's name of bit `number` where it belongs to queue or transport, without the `VIRTIO_F_` prefix.
    #[must_use]
    pub fn name_of(number: u32) -> Option<&'static str> {
        use bitflags::Flags;
        Self::FLAGS
            .iter()
            .find(|flag| !flag.name().is_empty() && *flag.value() == Self::bit(number))
            .map(bitflags::Flag::name)
    }
}

crate::defmt_bits!(Features);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_split_and_join() {
        let set = Features::VERSION_1 | Features::bit(0) | Features::bit(127) | Features::bit(64);
        assert_eq!(
            [set.window(0), set.window(1), set.window(2), set.window(3), set.window(4)],
            [1, 1, 1, 1 << 31, 0]
        );
        let joined = (0..4).fold(Features::empty(), |all, i| all | Features::from_window(i, set.window(i)));
        assert_eq!(joined, set);
        assert_eq!(Features::from_window(4, 1), Features::empty());
    }

    #[test]
    fn numbers_are_the_specifications() {
        for (number, name) in [
            (24, "NOTIFY_ON_EMPTY"),
            (27, "ANY_LAYOUT"),
            (28, "INDIRECT_DESC"),
            (29, "EVENT_IDX"),
            (32, "VERSION_1"),
            (33, "ACCESS_PLATFORM"),
            (34, "RING_PACKED"),
            (35, "IN_ORDER"),
            (36, "ORDER_PLATFORM"),
            (37, "SR_IOV"),
            (38, "NOTIFICATION_DATA"),
            (39, "NOTIF_CONFIG_DATA"),
            (40, "RING_RESET"),
            (41, "ADMIN_VQ"),
            (43, "SUSPEND"),
        ] {
            assert_eq!(Features::name_of(number), Some(name));
        }
        assert_eq!(Features::name_of(0), None);
        assert_eq!(Features::bit(128), Features::empty());
        assert!(Features::all().numbers().eq(0..128));
    }
}
