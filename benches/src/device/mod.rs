//! The device: one and the same for all contestants, in this process and on the driver's thread.
//!
//! It takes every request that is available, walks its descriptors, adds up what they say, and marks it used: the whole
//! batch with one index store. It is fair by being the same machine code for everybody ([`Device::run`] is never inlined),
//! and honest by its sum: a contestant whose descriptors are not the ones it was asked for ends the run
//! ([`Tally`]).

mod packed;
mod split;

pub use packed::PackedDevice;
pub use split::SplitDevice;

/// Where a contestant has its rings.
#[derive(Clone, Copy, Debug)]
pub struct Rings {
    /// The descriptor table, or the descriptor ring of a packed queue.
    pub descriptor: u64,
    /// The available ring, or the driver's event suppression.
    pub driver: u64,
    /// The used ring, or the device's event suppression.
    pub device: u64,
}

/// When the device wants to be notified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Of every batch, by its flags (no EVENT_IDX).
    Always,
    /// Under EVENT_IDX, of each so-manieth entry: requests on a split ring, descriptors on a packed one.
    Every(u16),
    /// Under EVENT_IDX, once: it polls then, and leaves its event index behind, as QEMU and vhost do.
    LeftBehind,
}

/// What the device has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// The addresses of all descriptors, added up.
    pub addresses: u64,
    /// Their lengths, and a large number for each that the device writes.
    pub shapes: u64,
}

impl Tally {
    /// Takes a descriptor.
    #[inline(always)]
    pub fn take(&mut self, address: u64, len: u32, writes: bool) {
        self.addresses = self.addresses.wrapping_add(address);
        self.shapes = self.shapes.wrapping_add(u64::from(len) + (u64::from(writes) << 40));
    }
}

/// The far side of a queue.
pub trait Device {
    /// Builds the device on the rings.
    fn new(rings: Rings, wish: Wish) -> Self;

    /// Uses everything that is available.
    fn run(&mut self);

    /// Does the work of [`Device::run`] without any effect: what it would write goes elsewhere. A run with a rehearsal
    /// before each batch takes longer by what the device costs, which is how the clock tells device from driver.
    fn rehearse(&mut self);

    /// What it has seen.
    fn tally(&self) -> Tally;
}

/// Longer chains are a contestant's mistake.
const LONGEST_CHAIN: u32 = 4;
