//! The device's end of a packed queue (VIRTIO 1.4 §2.8).

use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

use crate::device::{Device, Rings, SIZE, cell};
use crate::memory;

const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
const ENABLE: u16 = 0;
const DISABLE: u16 = 1;
const DESC: u16 = 2;
/// 16-bit cells of a descriptor.
const CELLS: usize = 8;
const FLAGS: usize = 7;

/// See [`Device`].
pub struct PackedDevice {
    ring: NonNull<u16>,
    driver: NonNull<u16>,
    device: NonNull<u16>,
    event_idx: bool,
    /// How many requests were used: places, and above them the laps.
    count: u16,
}

// SAFETY: Ring Of Its Driver: the memory belongs to no thread.
unsafe impl Send for PackedDevice {}

/// The wrap counter of a count: 1 in the first lap.
fn wraps(count: u16) -> bool {
    count & SIZE == 0
}

/// A count as event suppression has it.
fn position(count: u16) -> u16 {
    (count % SIZE) | u16::from(wraps(count)) << 15
}

impl PackedDevice {
    /// Takes over a ring that is all zero.
    pub fn new(rings: Rings, event_idx: bool) -> Self {
        let [ring, driver, device] = [rings.descriptor, rings.driver, rings.device].map(memory::pointer);
        Self { ring, driver, device, event_idx, count: 0 }
    }

    fn flags(&self) -> usize {
        usize::from(self.count % SIZE) * CELLS + FLAGS
    }
}

impl Device for PackedDevice {
    fn suppress_kicks(&mut self) {
        cell(self.device, 1).store(DISABLE, Relaxed);
    }

    fn ask_for_kick(&mut self) {
        if self.event_idx {
            cell(self.device, 0).store(position(self.count), Relaxed);
            cell(self.device, 1).store(DESC, Release);
        } else {
            cell(self.device, 1).store(ENABLE, Relaxed);
        }
        fence(SeqCst);
    }

    fn is_available(&self) -> bool {
        let flags = cell(self.ring, self.flags()).load(Acquire);
        flags & (AVAIL | USED) == if wraps(self.count) { AVAIL } else { USED }
    }

    fn answer(&mut self) {
        // One descriptor each, used in order: its id is where it has to be.
        let flags = if wraps(self.count) { AVAIL | USED } else { 0 };
        cell(self.ring, self.flags()).store(flags, Release);
        self.count = self.count.wrapping_add(1);
    }

    fn wants_interrupt(&self) -> bool {
        fence(SeqCst);
        match cell(self.driver, 1).load(Acquire) {
            DISABLE => false,
            DESC => cell(self.driver, 0).load(Relaxed) == position(self.count.wrapping_sub(1)),
            _ => true,
        }
    }
}
