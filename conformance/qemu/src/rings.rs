//! Which rings a device is to be driven with.

use virtio::Features;

/// A ring format and what it may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rings {
    /// Packed instead of split.
    pub packed: bool,
    /// Indirect descriptor tables.
    pub indirect: bool,
    /// `used_event` and `avail_event`.
    pub event_idx: bool,
}

impl Rings {
    /// What QEMU offers unless told otherwise.
    pub const DEFAULT: Self = Self { packed: false, indirect: true, event_idx: true };

    /// The four kinds of one format.
    #[must_use]
    pub const fn all(packed: bool) -> [Self; 4] {
        [
            Self { packed, indirect: false, event_idx: false },
            Self { packed, indirect: true, event_idx: false },
            Self { packed, indirect: false, event_idx: true },
            Self { packed, indirect: true, event_idx: true },
        ]
    }

    /// The features that make them, and no other ring feature.
    #[must_use]
    pub fn features(self) -> Features {
        let pick = |on, feature| if on { feature } else { Features::empty() };
        pick(self.packed, Features::RING_PACKED)
            | pick(self.indirect, Features::INDIRECT_DESC)
            | pick(self.event_idx, Features::EVENT_IDX)
    }

    /// The part of a feature set that is about them.
    #[must_use]
    pub fn of(features: Features) -> Features {
        features & (Features::RING_PACKED | Features::INDIRECT_DESC | Features::EVENT_IDX)
    }

    /// QEMU's properties that have a device offer just them.
    #[must_use]
    pub fn properties(self) -> String {
        let word = |on| if on { "on" } else { "off" };
        let Self { packed, indirect, event_idx } = self;
        format!("packed={},indirect_desc={},event_idx={}", word(packed), word(indirect), word(event_idx))
    }

    /// A name: `split`, `packed+indirect+event`.
    #[must_use]
    pub fn name(self) -> String {
        let mut name = String::from(if self.packed { "packed" } else { "split" });
        for (on, word) in [(self.indirect, "+indirect"), (self.event_idx, "+event")] {
            name.push_str(if on { word } else { "" });
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_features() {
        let [plain, indirect, event, both] = Rings::all(true);
        assert_eq!(plain.features(), Features::RING_PACKED);
        assert_eq!(indirect.name(), "packed+indirect");
        assert_eq!(event.properties(), "packed=on,indirect_desc=off,event_idx=on");
        assert_eq!(both.features(), Rings::of(Features::all()));
        assert_eq!(Rings::all(false)[0].features(), Features::empty());
    }
}
