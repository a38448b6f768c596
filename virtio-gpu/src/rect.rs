//! Rectangles of pixels.

use crate::abi::WireRect;

/// A rectangle of pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Rect {
    /// The rectangle at `x`, `y` of this size.
    #[must_use]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// Whether it has no pixel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The first column to its right; no further than columns can be counted.
    #[must_use]
    pub const fn right(&self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The first row below it; no further than rows can be counted.
    #[must_use]
    pub const fn bottom(&self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// What both have in common, if they have.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let width = self.right().min(other.right()).checked_sub(x)?;
        let height = self.bottom().min(other.bottom()).checked_sub(y)?;
        Some(Self { x, y, width, height }).filter(|common| !common.is_empty())
    }

    /// The smallest rectangle around both. One without pixels adds nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let width = self.right().max(other.right()).saturating_sub(x);
        let height = self.bottom().max(other.bottom()).saturating_sub(y);
        Self { x, y, width, height }
    }
}

impl From<WireRect> for Rect {
    fn from(wire: WireRect) -> Self {
        Self::new(wire.x.get(), wire.y.get(), wire.width.get(), wire.height.get())
    }
}

impl From<Rect> for WireRect {
    fn from(rect: Rect) -> Self {
        Self { x: rect.x.into(), y: rect.y.into(), width: rect.width.into(), height: rect.height.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = u32::MAX;

    #[test]
    fn intersections() {
        let screen = Rect::new(0, 0, 10, 8);
        for (rect, common) in [
            (Rect::new(2, 3, 4, 5), Some(Rect::new(2, 3, 4, 5))),
            (Rect::new(9, 7, 4, 5), Some(Rect::new(9, 7, 1, 1))),
            (Rect::new(10, 0, 1, 1), None),
            (Rect::new(0, 8, 1, 1), None),
            (Rect::new(0, 0, 0, 5), None),
            (Rect::new(5, 5, MAX, MAX), Some(Rect::new(5, 5, 5, 3))),
            (Rect::new(MAX, MAX, MAX, MAX), None),
            (Rect::new(0, 0, MAX, MAX), Some(screen)),
        ] {
            assert_eq!(rect.intersection(&screen), common, "{rect:?}");
            assert_eq!(screen.intersection(&rect), common, "{rect:?}");
        }
    }

    #[test]
    fn unions() {
        let rect = Rect::new(2, 3, 4, 5);
        for (other, around) in [
            (rect, rect),
            (Rect::new(3, 4, 1, 1), rect),
            (Rect::new(0, 0, 1, 1), Rect::new(0, 0, 6, 8)),
            (Rect::new(9, 9, 2, 2), Rect::new(2, 3, 9, 8)),
            (Rect::new(9, 9, 0, 2), rect),
            (Rect::new(0, 0, MAX, MAX), Rect::new(0, 0, MAX, MAX)),
        ] {
            assert_eq!(rect.union(&other), around, "{other:?}");
            assert_eq!(other.union(&rect), around, "{other:?}");
        }
    }
}
