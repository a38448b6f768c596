//! Who is measured.

use std::error::Error;
use std::fmt;
use std::path::Path;

use virtio_blk::DiskOptions;

use crate::drive::Bench;
use crate::ours::{Blk, Core};
use crate::theirs::VirtioDriver;

/// A contestant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contestant {
    /// `virtio-blk`, as it comes.
    Ours,
    /// The same, with chains of descriptors in the ring, which is all that the rival has.
    OursDirect,
    /// `virtio-core`'s queue alone, with the requests of a disk: what `virtio-blk` adds is the difference.
    Core,
    /// libblkio's crate `virtio-driver` 0.6: what all others are compared with.
    VirtioDriver,
}

impl Contestant {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Ours, Self::OursDirect, Self::Core, Self::VirtioDriver];

    /// Its name, as it stands in the table, and its disk's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursDirect => "ours-direct",
            Self::Core => "core",
            Self::VirtioDriver => "virtio-driver",
        }
    }

    /// The one called so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contestant| contestant.name() == name)
    }

    /// Connects it to the disk at `socket`.
    ///
    /// # Errors
    /// What it says.
    pub fn connect(self, socket: &Path) -> Result<Box<dyn Bench>, Box<dyn Error>> {
        Ok(match self {
            Self::Ours => Box::new(Blk::connect(socket, |options| options)?),
            Self::OursDirect => Box::new(Blk::connect(socket, DiskOptions::direct_chains)?),
            Self::Core => Box::new(Core::connect(socket)?),
            Self::VirtioDriver => Box::new(VirtioDriver::connect(socket)?),
        })
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
