//! Who is measured, and how each is set up for a row.

use std::fmt;

use crate::bell::Bell;
use crate::device::{Device, PackedDevice, SplitDevice, Wish};
use crate::drive::{Bench, Driver, Tells, bench};
use crate::floor::{FloorDriver, FloorPacked, FloorSplit};
use crate::ours::{Owned, Raw};
use crate::peers::virtio_driver::VirtioDriver;
use crate::peers::virtio_drivers::VirtioDrivers;
use crate::pool::{Pool, Request};
use crate::row::{Ring, Row, Shape};

/// A contestant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contestant {
    /// A ring by hand: what all others are compared with.
    Floor,
    /// `virtio-core`'s queue, by addresses.
    OursRaw,
    /// `virtio-core`'s queue, with owned payloads.
    OursOwned,
    /// The crate `virtio-drivers` 0.13.
    VirtioDrivers,
    /// libblkio's crate `virtio-driver` 0.6.
    VirtioDriver,
}

impl Contestant {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] =
        [Self::Floor, Self::OursRaw, Self::OursOwned, Self::VirtioDrivers, Self::VirtioDriver];

    /// Those that the verdict is about.
    pub const OURS: [Self; 2] = [Self::OursRaw, Self::OursOwned];

    /// Its name, as it stands in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::OursRaw => "ours-raw",
            Self::OursOwned => "ours-owned",
            Self::VirtioDrivers => "virtio-drivers",
            Self::VirtioDriver => "virtio-driver",
        }
    }

    /// The one called so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contestant| contestant.name() == name)
    }

    /// Why it has no such row, if so.
    pub fn cannot(self, row: Row) -> Option<&'static str> {
        match (self, row.ring, row.shape) {
            (Self::VirtioDrivers, Ring::Packed, _) => Some("has no packed ring"),
            (Self::VirtioDriver, _, Shape::ThreeIndirect) => Some("has no indirect descriptors"),
            (Self::VirtioDriver, Ring::Packed, Shape::One) => Some("publishes a chain of one with NEXT set"),
            _ => None,
        }
    }

    /// Sets it up for `row`, on a device with this wish. `None` for what it [cannot](Self::cannot) do.
    pub fn build(self, row: Row, wish: Wish) -> Option<Box<dyn Bench>> {
        if self.cannot(row).is_some() {
            return None;
        }
        Some(match row.shape {
            Shape::One => self.shaped::<0, 1>(row, wish),
            Shape::Three | Shape::ThreeIndirect => self.shaped::<1, 2>(row, wish),
        })
    }

    fn shaped<const R: usize, const W: usize>(self, row: Row, wish: Wish) -> Box<dyn Bench> {
        let pool = Pool::new(row.shape);
        let requests = pool.requests::<R, W>();
        let tells = Tells {
            written: self != Self::VirtioDriver,
            // Header and response lie in the queue's own memory.
            addresses: self != Self::OursOwned || row.shape == Shape::One,
        };
        let setting = Setting { row, wish, pool, bell: Bell::new(), tells };
        match self {
            Self::Floor => floor(requests, setting),
            Self::OursRaw => setting.on_its_ring(Raw::new(&requests, row, setting.bell)),
            Self::OursOwned => setting.on_its_ring(Owned::new(&requests, row, setting.bell)),
            Self::VirtioDrivers => {
                let driver = VirtioDrivers::new(&requests, row, setting.bell);
                setting.on::<SplitDevice>(driver)
            }
            Self::VirtioDriver => setting.on_its_ring(VirtioDriver::new(requests, row, setting.bell)),
        }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// All that a driver is put together with.
#[derive(Clone, Copy)]
struct Setting {
    row: Row,
    wish: Wish,
    pool: Pool,
    bell: Bell,
    tells: Tells,
}

impl Setting {
    fn on<V: Device + 'static>(self, driver: impl Driver + 'static) -> Box<dyn Bench> {
        bench::<V>(driver, self.row, self.wish, self.pool, self.bell, self.tells)
    }

    fn on_its_ring(self, driver: impl Driver + 'static) -> Box<dyn Bench> {
        match self.row.ring {
            Ring::Split => self.on::<SplitDevice>(driver),
            Ring::Packed => self.on::<PackedDevice>(driver),
        }
    }
}

/// The floor's compile-time choices.
fn floor<const R: usize, const W: usize>(requests: Vec<Request<R, W>>, setting: Setting) -> Box<dyn Bench> {
    let bell = setting.bell;
    match (setting.row.ring, setting.row.shape == Shape::ThreeIndirect, setting.row.event_idx) {
        (Ring::Split, false, false) => {
            setting.on::<SplitDevice>(FloorDriver::<FloorSplit<false, false>, R, W>::new(requests, bell))
        }
        (Ring::Split, false, true) => {
            setting.on::<SplitDevice>(FloorDriver::<FloorSplit<false, true>, R, W>::new(requests, bell))
        }
        (Ring::Split, true, _) => {
            setting.on::<SplitDevice>(FloorDriver::<FloorSplit<true, false>, R, W>::new(requests, bell))
        }
        (Ring::Packed, false, false) => {
            setting.on::<PackedDevice>(FloorDriver::<FloorPacked<false, false>, R, W>::new(requests, bell))
        }
        (Ring::Packed, false, true) => {
            setting.on::<PackedDevice>(FloorDriver::<FloorPacked<false, true>, R, W>::new(requests, bell))
        }
        (Ring::Packed, true, _) => {
            setting.on::<PackedDevice>(FloorDriver::<FloorPacked<true, false>, R, W>::new(requests, bell))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::drive::Turn;
    use crate::pool::Request;
    use crate::row::KICK_REQUESTS;

    #[test]
    fn each_does_what_it_is_asked_and_the_rehearsal_leaves_no_trace() {
        for row in Row::all() {
            for contestant in Contestant::ALL {
                let Some(mut bench) = contestant.build(row, row.wish()) else { continue };
                // Past the wrap of the 16-bit index.
                for turn in [Turn::Once, Turn::Rehearsed, Turn::Once] {
                    bench.run(0x6000, turn);
                }
            }
        }
    }

    #[test]
    fn the_floor_kicks_as_seldom_as_may_be() {
        for row in Row::all() {
            let mut bench = Contestant::Floor.build(row, row.wish()).unwrap();
            bench.run(KICK_REQUESTS, Turn::Once);
            assert_eq!(bench.kicks() as f64 / KICK_REQUESTS as f64, row.least_kicks(), "{row}");
        }
    }

    #[test]
    fn a_driver_that_sends_other_buffers_is_caught() {
        let row = Row::parse("split-1-b1").unwrap();
        let caught = catch_unwind(|| {
            let (asked, sent) = (Pool::new(row.shape), Pool::new(row.shape));
            let tells = Tells { written: true, addresses: true };
            let setting = Setting { row, wish: row.wish(), pool: asked, bell: Bell::new(), tells };
            floor(sent.requests::<0, 1>(), setting).run(1, Turn::Once);
        });
        assert!(caught.is_err());
    }

    /// Why that cell of the table is empty. Should a later version do it, this fails, and the cell can be filled.
    #[test]
    fn virtio_driver_sets_next_on_a_packed_chain_of_one() {
        let row = Row::parse("packed-1-b1").unwrap();
        assert!(Contestant::VirtioDriver.cannot(row).is_some());
        let caught = catch_unwind(|| {
            let bench = Contestant::VirtioDriver.shaped::<0, 1>(row, row.wish());
            // The first is seen, with an empty descriptor behind it; the second is not.
            { bench }.run(2, Turn::Once);
        });
        assert!(caught.is_err());
    }

    #[test]
    fn a_pool_has_as_many_buffers_as_its_shape() {
        let requests: Vec<Request<1, 2>> = Pool::new(Shape::Three).requests();
        assert_eq!(requests[0].writable.map(|buffer| buffer.len), [512, 1]);
        assert!(catch_unwind(|| Pool::new(Shape::One).requests::<1, 2>()).is_err());
    }
}
