//! A position in a packed ring: a slot, and which lap it is in.

/// A slot and a wrap counter (VIRTIO 1.4 §2.8.1), as one number in event suppression and notifications (§2.8.10, §2.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) slot: u16,
    pub(super) wrap: bool,
}

impl Position {
    /// Where both sides begin.
    pub(super) const START: Self = Self { slot: 0, wrap: true };

    pub(super) fn from_raw(raw: u16) -> Self {
        Self { slot: raw & 0x7fff, wrap: raw & 0x8000 != 0 }
    }

    pub(super) fn raw(self) -> u16 {
        self.slot | u16::from(self.wrap) << 15
    }

    /// `count` slots further, in a ring of `size`: a lap at most.
    pub(super) fn step(self, count: u16, size: u16) -> Self {
        let size = u32::from(size);
        let to = u32::from(self.slot) + u32::from(count);
        let slot = u16::try_from(to % size).expect("a slot is below the size");
        Self { slot, wrap: self.wrap ^ (to >= size) }
    }

    /// How many slots it is from `self` on to `later`, within two laps.
    pub(super) fn to(self, later: Self, size: u16) -> u32 {
        let size = u32::from(size);
        let place = |position: Self| u32::from(position.slot) + if position.wrap { 0 } else { size };
        (place(later) + 2 * size - place(self)) % (2 * size)
    }
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn laps_alternate_and_distances_span_two_of_them() {
        for size in [1, 2, 3, 5, 256, 32768] {
            let mut at = Position::START;
            for count in [0, 1, size - 1, size, 1, size] {
                let later = at.step(count, size);
                assert_eq!(at.to(later, size), u32::from(count), "{at:?} + {count} of {size}");
                assert_eq!(Position::from_raw(later.raw()), later);
                at = later;
            }
        }
        assert_eq!(Position::START.raw(), 0x8000);
        assert_eq!(Position::START.step(3, 3), Position { slot: 0, wrap: false });
        // 2¹⁵ slots, and the last of them in the second lap.
        assert_eq!(Position::START.step(32768, 32768).step(32767, 32768).raw(), 0x7fff);
    }
}
