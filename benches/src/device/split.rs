//! The device side of a split queue (VIRTIO 1.4 §2.7).
//!
//! **Contestant's Rings**: the addresses are of rings of [`QUEUE_SIZE`] entries in memory that Stays, and of tables and
//! chains within; device and driver take turns on one thread, so nothing here races.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{Device, LONGEST_CHAIN, Rings, Tally, Wish};
use crate::memory;
use crate::row::QUEUE_SIZE;
use crate::wire::{INDIRECT, NEXT, SplitDescriptor, UsedElement, WRITE};

const SIZE: usize = QUEUE_SIZE as usize;
const MASK: u16 = QUEUE_SIZE - 1;

#[repr(C)]
struct Available {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [u16; SIZE],
    used_event: AtomicU16,
}

#[repr(C)]
struct Used {
    flags: AtomicU16,
    index: AtomicU16,
    ring: [UsedElement; SIZE],
    avail_event: AtomicU16,
}

#[derive(Clone, Copy)]
struct Place {
    /// Entries consumed, and used, so far.
    seen: u16,
    /// The entry of which the device wants to be notified.
    event: u16,
    tally: Tally,
}

/// See [`Device`].
pub struct SplitDevice {
    descriptors: NonNull<SplitDescriptor>,
    available: NonNull<Available>,
    used: NonNull<Used>,
    scratch: NonNull<Used>,
    wish: Wish,
    place: Place,
}

impl SplitDevice {
    /// Takes a chain; how many bytes of it the device writes.
    #[inline(always)]
    fn walk(&self, head: u16, tally: &mut Tally) -> u32 {
        let mut table = self.descriptors;
        let mut index = head;
        let mut written = 0;
        for _ in 0..LONGEST_CHAIN {
            // SAFETY: Contestant's Rings.
            let descriptor = unsafe { table.add(usize::from(index)).read() };
            if descriptor.flags & INDIRECT != 0 {
                (table, index) = (memory::pointer(descriptor.address), 0);
                continue;
            }
            let writes = descriptor.flags & WRITE != 0;
            tally.take(descriptor.address, descriptor.len, writes);
            written += if writes { descriptor.len } else { 0 };
            if descriptor.flags & NEXT == 0 {
                return written;
            }
            index = descriptor.next;
        }
        panic!("a chain that does not end");
    }
}

impl Device for SplitDevice {
    fn new(rings: Rings, wish: Wish) -> Self {
        let mut device = Self {
            descriptors: memory::pointer(rings.descriptor),
            available: memory::pointer(rings.driver),
            used: memory::pointer(rings.device),
            scratch: memory::pages(size_of::<Used>()).cast(),
            wish,
            place: Place { seen: 0, event: 0, tally: Tally::default() },
        };
        if let Wish::Every(step) = wish {
            device.place.event = step - 1;
            // SAFETY: Contestant's Rings.
            unsafe { device.used.as_ref() }.avail_event.store(step - 1, Ordering::Release);
        }
        device
    }

    #[inline(never)]
    fn run(&mut self) {
        let mut place = self.place;
        let used = self.used.as_ptr();
        // SAFETY: Contestant's Rings.
        let available = unsafe { self.available.as_ref() };
        let end = available.index.load(Ordering::Acquire);
        while place.seen != end {
            let slot = usize::from(place.seen & MASK);
            let head = available.ring[slot];
            let len = self.walk(head, &mut place.tally);
            place.tally.requests += 1;
            // SAFETY: Contestant's Rings; the slot is masked.
            unsafe { (*used).ring[slot] = UsedElement { id: u32::from(head), len } };
            place.seen = place.seen.wrapping_add(1);
        }
        // SAFETY: Contestant's Rings.
        let used = unsafe { &*used };
        used.index.store(place.seen, Ordering::Release);
        if let Wish::Every(step) = self.wish {
            let passed = place.seen.wrapping_sub(place.event.wrapping_add(1)) < 0x8000;
            if passed {
                place.event = place.event.wrapping_add(step);
                used.avail_event.store(place.event, Ordering::Release);
            }
        }
        self.place = place;
    }

    fn rehearse(&mut self) {
        let place = self.place;
        std::mem::swap(&mut self.used, &mut self.scratch);
        self.run();
        std::mem::swap(&mut self.used, &mut self.scratch);
        self.place = place;
    }

    fn tally(&self) -> Tally {
        self.place.tally
    }
}
