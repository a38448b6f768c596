//! What is measured: ring × shape of a request × batch × way of suppressing notifications.

use std::fmt;

use crate::device::Wish;

/// Entries of every queue here.
pub const QUEUE_SIZE: u16 = 256;

/// Under EVENT_IDX, the device wants a notification for every request whose number is a multiple of this.
pub const EVENT_STEP: u16 = 48;

/// How many requests show how often a driver kicks: the 16-bit index and the ring go round together, as often as it takes
/// to meet every step.
pub const KICK_REQUESTS: u64 = 3 * 65536;

/// The kind of ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ring {
    /// VIRTIO 1.4 §2.7.
    Split,
    /// VIRTIO 1.4 §2.8.
    Packed,
}

/// The shape of each request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One buffer that the device writes.
    One,
    /// A header, data and a status, as for reading a disk: one buffer that the device reads, two that it writes.
    Three,
    /// The same three buffers in an indirect table.
    ThreeIndirect,
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The ring.
    pub ring: Ring,
    /// The requests.
    pub shape: Shape,
    /// How many are added, published, kicked and completed at a time.
    pub batch: usize,
    /// Whether EVENT_IDX is negotiated. Otherwise the device wants every notification, by its flags.
    pub event_idx: bool,
}

impl Row {
    /// All of them, in the order of the table.
    pub fn all() -> Vec<Self> {
        let mut rows = Vec::new();
        for event_idx in [false, true] {
            for ring in [Ring::Split, Ring::Packed] {
                for shape in [Shape::One, Shape::Three, Shape::ThreeIndirect] {
                    // Suppression has nothing to do with the shape of a request: one that all packed peers can do.
                    let event_shape = if ring == Ring::Split { Shape::One } else { Shape::Three };
                    if event_idx && shape != event_shape {
                        continue;
                    }
                    rows.extend([1, 16].map(|batch| Self { ring, shape, batch, event_idx }));
                }
            }
        }
        rows
    }

    /// What the device wishes in this row.
    pub fn wish(self) -> Wish {
        // A packed ring counts descriptors, a split one requests.
        let step = if self.ring == Ring::Packed { EVENT_STEP * self.descriptors() } else { EVENT_STEP };
        if self.event_idx { Wish::Every(step) } else { Wish::Always }
    }

    /// The ring's descriptors that a request takes.
    fn descriptors(self) -> u16 {
        if self.shape == Shape::Three { 3 } else { 1 }
    }

    /// The fewest kicks per request that the specification allows for this row.
    pub fn least_kicks(self) -> f64 {
        if self.event_idx { 1.0 / f64::from(EVENT_STEP) } else { 1.0 / self.batch as f64 }
    }

    /// The row called so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|row| row.to_string() == name)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = match self.ring {
            Ring::Split => "split",
            Ring::Packed => "packed",
        };
        let shape = match self.shape {
            Shape::One => "1",
            Shape::Three => "3",
            Shape::ThreeIndirect => "3ind",
        };
        let event = if self.event_idx { "-event" } else { "" };
        write!(f, "{ring}-{shape}-b{}{event}", self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn every_row_is_found_by_its_name() {
        for row in Row::all() {
            assert_eq!(Row::parse(&row.to_string()), Some(row));
        }
        assert_eq!(Row::all().len(), 16);
    }
}
