//! Numbers that name things: a queue, and how large it is.

use core::fmt;

/// Which virtqueue of a device (VIRTIO 1.4 §2.6). 16 bits, as in every notification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QueueIndex(u16);

impl QueueIndex {
    /// Names queue `index`.
    #[must_use]
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for QueueIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The size of a split virtqueue: a power of two from 1 to 32768 (VIRTIO 1.4 §2.7).
///
/// Checked once, here; everything that computes with it relies on both properties.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QueueSize(u16);

impl QueueSize {
    /// The largest size the specification allows.
    pub const MAX: Self = Self(32768);

    /// Accepts a power of two up to 32768.
    #[must_use]
    pub const fn new(size: u16) -> Option<Self> {
        if size.is_power_of_two() { Some(Self(size)) } else { None }
    }

    /// The largest valid size that is neither above `wanted` nor above what the device offers, or `None` when one of
    /// them is 0. A device whose maximum is no power of two gets the next lower one.
    #[must_use]
    pub fn fit(wanted: u16, device_max: u16) -> Option<Self> {
        let limit = wanted.min(device_max);
        limit.checked_ilog2().and_then(|log| 1_u16.checked_shl(log)).and_then(Self::new)
    }

    /// Entries.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Entries, as a `usize`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }

    /// Where free-running index `index` falls in the ring.
    #[must_use]
    pub const fn slot(self, index: u16) -> u16 {
        index & self.0.wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows: pci.layout.common-cfg.2, pci.layout.common-cfg.3
    #[test]
    fn only_powers_of_two() {
        // Miri takes a minute for all.
        let last = if cfg!(miri) { 1025 } else { u16::MAX };
        for size in 0..=last {
            assert_eq!(QueueSize::new(size).is_some(), size != 0 && size & (size - 1) == 0, "{size}");
        }
    }

    #[test]
    fn fit_rounds_down_and_never_exceeds_either() {
        let fit = |wanted, max| QueueSize::fit(wanted, max).map(QueueSize::get);
        assert_eq!(fit(64, 1024), Some(64));
        assert_eq!(fit(64, 8), Some(8));
        assert_eq!(fit(64, 48), Some(32));
        assert_eq!(fit(u16::MAX, u16::MAX), Some(32768));
        assert_eq!(fit(0, 8), None);
        assert_eq!(fit(8, 0), None);
    }

    #[test]
    fn slot_wraps_with_the_free_running_index() {
        let size = QueueSize::new(8).unwrap();
        assert_eq!(size.slot(7), 7);
        assert_eq!(size.slot(8), 0);
        assert_eq!(size.slot(u16::MAX), 7);
        assert_eq!(QueueSize::new(1).unwrap().slot(u16::MAX), 0);
    }
}
