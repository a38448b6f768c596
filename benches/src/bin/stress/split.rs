//! The device's end of a split queue (VIRTIO 1.4 §2.7).

use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

use crate::device::{Device, Rings, SIZE, cell};
use crate::memory;

const NO_NOTIFY: u16 = 1;
const NO_INTERRUPT: u16 = 1;
const USED_EVENT: usize = 2 + SIZE as usize;
const AVAIL_EVENT: usize = 2 + 4 * SIZE as usize;

/// See [`Device`].
pub struct SplitDevice {
    available: NonNull<u16>,
    used: NonNull<u16>,
    event_idx: bool,
    /// How many requests were used, modulo 2¹⁶.
    index: u16,
}

// SAFETY: Ring Of Its Driver: the memory belongs to no thread.
unsafe impl Send for SplitDevice {}

impl SplitDevice {
    /// Takes over rings that are all zero.
    pub fn new(rings: Rings, event_idx: bool) -> Self {
        let [available, used] = [rings.driver, rings.device].map(memory::pointer);
        Self { available, used, event_idx, index: 0 }
    }
}

impl Device for SplitDevice {
    fn suppress_kicks(&mut self) {
        // With EVENT_IDX, an event that is left behind is enough.
        if !self.event_idx {
            cell(self.used, 0).store(NO_NOTIFY, Relaxed);
        }
    }

    fn ask_for_kick(&mut self) {
        if self.event_idx {
            cell(self.used, AVAIL_EVENT).store(self.index, Relaxed);
        } else {
            cell(self.used, 0).store(0, Relaxed);
        }
        fence(SeqCst);
    }

    fn is_available(&self) -> bool {
        cell(self.available, 1).load(Acquire) != self.index
    }

    fn answer(&mut self) {
        let slot = usize::from(self.index % SIZE);
        let id = cell(self.available, 2 + slot).load(Relaxed);
        // SAFETY: Ring Of Its Driver: the slot is below the size.
        let element = unsafe { self.used.add(2 + 4 * slot) }.cast::<[u32; 2]>();
        // SAFETY: Ring Of Its Driver: the device's until the index is written.
        unsafe { element.write([u32::from(id), 0]) };
        self.index = self.index.wrapping_add(1);
        cell(self.used, 1).store(self.index, Release);
    }

    fn wants_interrupt(&self) -> bool {
        fence(SeqCst);
        if self.event_idx {
            cell(self.available, USED_EVENT).load(Relaxed) == self.index.wrapping_sub(1)
        } else {
            cell(self.available, 0).load(Relaxed) & NO_INTERRUPT == 0
        }
    }
}
