//! Which pixels were touched since the last flush.

use crate::rect::Rect;

/// The smallest rectangle around all that was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Damage {
    area: Rect,
}

impl Damage {
    /// Nothing was touched.
    #[must_use]
    pub const fn none() -> Self {
        Self { area: Rect::new(0, 0, 0, 0) }
    }

    /// Adds an area.
    pub fn add(&mut self, area: Rect) {
        self.area = self.area.union(&area);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::none();
    }

    /// What was touched, if anything.
    #[must_use]
    pub fn area(&self) -> Option<Rect> {
        Some(self.area).filter(|area| !area.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_around_what_is_added() {
        let mut damage = Damage::none();
        assert_eq!(damage.area(), None);
        damage.add(Rect::new(7, 7, 0, 9));
        assert_eq!(damage.area(), None);
        damage.add(Rect::new(4, 5, 1, 1));
        damage.add(Rect::new(2, 9, 1, 2));
        assert_eq!(damage.area(), Some(Rect::new(2, 5, 3, 6)));
        damage.clear();
        assert_eq!(damage.area(), None);
    }
}
