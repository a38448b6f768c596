//! The device side of a packed queue (VIRTIO 1.4 §2.8).
//!
//! **Contestant's Rings**: the addresses are of a ring of [`QUEUE_SIZE`] descriptors and of two suppression structures in
//! memory that Stays, and of tables within; device and driver take turns on one thread, so nothing here races.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{Device, LONGEST_CHAIN, Rings, Tally, Wish};
use crate::memory;
use crate::row::QUEUE_SIZE;
use crate::wire::{AVAIL, EVENT_AT, INDIRECT, NEXT, PackedDescriptor, Suppression, USED, WRITE};

#[derive(Clone, Copy)]
struct Place {
    /// The next descriptor to look at.
    slot: u16,
    /// `AVAIL` while the driver's mark is a set bit, 0 in the laps in which it is a clear one.
    mark: u16,
    /// Descriptors consumed so far.
    seen: u64,
    /// The descriptor, counted the same way, of which the device wants to be notified.
    event: u64,
    tally: Tally,
}

/// See [`Device`].
pub struct PackedDevice {
    ring: NonNull<PackedDescriptor>,
    out: NonNull<PackedDescriptor>,
    events: NonNull<Suppression>,
    scratch: NonNull<PackedDescriptor>,
    scratch_events: NonNull<Suppression>,
    wish: Wish,
    place: Place,
}

/// The flags of a descriptor, which are stored last and loaded first.
///
/// # Safety
/// `descriptor` is in a ring (Contestant's Rings).
#[inline(always)]
unsafe fn flags<'a>(descriptor: NonNull<PackedDescriptor>) -> &'a AtomicU16 {
    // SAFETY: the field of a descriptor in a ring, which Stays; flags are accessed atomically or by turns.
    unsafe { AtomicU16::from_ptr(&raw mut (*descriptor.as_ptr()).flags) }
}

impl Place {
    #[inline(always)]
    fn step(&mut self) {
        self.slot += 1;
        self.seen += 1;
        if self.slot == QUEUE_SIZE {
            self.slot = 0;
            self.mark ^= AVAIL;
        }
    }
}

/// The position that a descriptor, counted from the start, has in a suppression structure.
fn position(count: u64) -> u16 {
    let size = u64::from(QUEUE_SIZE);
    let first_kind_of_lap = (count / size).is_multiple_of(2);
    (count % size) as u16 | u16::from(first_kind_of_lap) << 15
}

impl PackedDevice {
    #[inline(always)]
    fn table(address: u64, len: u32, tally: &mut Tally) -> u32 {
        let table = memory::pointer::<PackedDescriptor>(address);
        let mut written = 0;
        for index in 0..len as usize / size_of::<PackedDescriptor>() {
            // SAFETY: Contestant's Rings.
            let descriptor = unsafe { table.add(index).read() };
            let writes = descriptor.flags & WRITE != 0;
            tally.take(descriptor.address, descriptor.len, writes);
            written += if writes { descriptor.len } else { 0 };
        }
        written
    }
}

impl Device for PackedDevice {
    fn new(rings: Rings, wish: Wish) -> Self {
        let bytes = usize::from(QUEUE_SIZE) * size_of::<PackedDescriptor>();
        let mut device = Self {
            ring: memory::pointer(rings.descriptor),
            out: memory::pointer(rings.descriptor),
            events: memory::pointer(rings.device),
            scratch: memory::pages(bytes).cast(),
            scratch_events: memory::pages(size_of::<Suppression>()).cast(),
            wish,
            place: Place { slot: 0, mark: AVAIL, seen: 0, event: 0, tally: Tally::default() },
        };
        let event = match wish {
            Wish::Always => return device,
            Wish::Every(step) => u64::from(step) - 1,
            Wish::LeftBehind => 0,
        };
        device.place.event = event;
        let suppression = Suppression { position: position(event), flags: EVENT_AT };
        // SAFETY: Contestant's Rings.
        unsafe { device.events.write(suppression) };
        device
    }

    #[inline(never)]
    fn run(&mut self) {
        let mut place = self.place;
        loop {
            let first = place.slot;
            // SAFETY: Contestant's Rings; the slot is below the size.
            let mut at = unsafe { self.ring.add(usize::from(first)) };
            // SAFETY: in the ring.
            let mut now = unsafe { flags(at) }.load(Ordering::Acquire);
            // Available: the driver's bit is this lap's, the device's bit is not.
            if now & AVAIL != place.mark || (now & USED != 0) == (place.mark != 0) {
                break;
            }
            let used_flags = if place.mark != 0 { AVAIL | USED } else { 0 };
            let mut written = 0;
            let mut left = LONGEST_CHAIN;
            let id = loop {
                // SAFETY: Contestant's Rings.
                let descriptor = unsafe { at.read() };
                written += if now & INDIRECT != 0 {
                    Self::table(descriptor.address, descriptor.len, &mut place.tally)
                } else {
                    let writes = now & WRITE != 0;
                    place.tally.take(descriptor.address, descriptor.len, writes);
                    if writes { descriptor.len } else { 0 }
                };
                place.step();
                if now & NEXT == 0 {
                    break descriptor.id;
                }
                left -= 1;
                assert!(left > 0, "a chain that does not end");
                // SAFETY: Contestant's Rings; the slot is below the size.
                at = unsafe { self.ring.add(usize::from(place.slot)) };
                // SAFETY: in the ring.
                now = unsafe { flags(at) }.load(Ordering::Relaxed);
            };
            place.tally.requests += 1;
            // SAFETY: Contestant's Rings; the slot is below the size.
            let out = unsafe { self.out.add(usize::from(first)) };
            // SAFETY: Contestant's Rings.
            unsafe { (*out.as_ptr()).id = id };
            // SAFETY: Contestant's Rings.
            unsafe { (*out.as_ptr()).len = written };
            let wrote = if written > 0 { WRITE } else { 0 };
            // SAFETY: in the ring.
            unsafe { flags(out) }.store(used_flags | wrote, Ordering::Release);
        }
        if let Wish::Every(step) = self.wish
            && place.seen > place.event
        {
            place.event += u64::from(step);
            // SAFETY: Contestant's Rings.
            unsafe { (*self.events.as_ptr()).position = position(place.event) };
        }
        self.place = place;
    }

    fn rehearse(&mut self) {
        let place = self.place;
        std::mem::swap(&mut self.out, &mut self.scratch);
        std::mem::swap(&mut self.events, &mut self.scratch_events);
        self.run();
        std::mem::swap(&mut self.out, &mut self.scratch);
        std::mem::swap(&mut self.events, &mut self.scratch_events);
        self.place = place;
    }

    fn tally(&self) -> Tally {
        self.place.tally
    }
}
