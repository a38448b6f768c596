//! A packed ring by hand (VIRTIO 1.4 §2.8).

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use super::{Floor, TABLE_STRIDE};
use crate::device::Rings;
use crate::memory;
use crate::pool::Buffer;
use crate::row::QUEUE_SIZE;
use crate::wire::{AVAIL, EVENT_AT, INDIRECT, NEXT, PackedDescriptor, Suppression, USED, WRITE};

const SIZE: usize = QUEUE_SIZE as usize;

/// Byte offsets, as for the split ring.
const DRIVER: usize = memory::PAGE + 0x400;
const DEVICE: usize = memory::PAGE + 0x500;
const TABLES: usize = 2 * memory::PAGE + 0x800;

/// What is kept of a request in flight, or of a free buffer id.
#[derive(Clone, Copy, Default)]
struct Slot {
    cookie: u64,
    /// Descriptors of the chain.
    count: u32,
    /// The next free id.
    next: u32,
}

/// A place in the ring.
#[derive(Clone, Copy)]
struct Place {
    slot: u32,
    /// The flags that make a descriptor available, or mark it used, in this lap.
    flags: u32,
}

impl Place {
    #[inline(always)]
    fn advance(&mut self, by: u32) {
        self.slot += by;
        if self.slot >= u32::from(QUEUE_SIZE) {
            rarely();
            self.slot -= u32::from(QUEUE_SIZE);
            self.flags ^= u32::from(AVAIL | USED);
        }
    }
}

/// Says that a branch is seldom taken.
#[cold]
fn rarely() {}

/// See [`Floor`].
pub struct FloorPacked<const INDIRECT_TABLES: bool, const EVENT_IDX: bool> {
    ring: NonNull<PackedDescriptor>,
    driver: NonNull<Suppression>,
    device: NonNull<Suppression>,
    slots: NonNull<Slot>,
    tables: NonNull<u8>,
    /// The first free id.
    free: u32,
    /// Where the next request goes.
    next: Place,
    /// Descriptors added since the device was asked last time.
    fresh: u32,
    /// Where the next used element will be.
    seen: Place,
}

/// The flags of a descriptor.
///
/// # Safety
/// It is in the ring.
#[inline(always)]
unsafe fn flags<'a>(descriptor: NonNull<PackedDescriptor>) -> &'a AtomicU16 {
    // SAFETY: a field of a ring that Stays.
    unsafe { AtomicU16::from_ptr(&raw mut (*descriptor.as_ptr()).flags) }
}

/// Writes all of a descriptor but its flags.
///
/// # Safety
/// It is the driver's.
#[inline(always)]
unsafe fn fill(descriptor: NonNull<PackedDescriptor>, address: u64, len: u32, id: u32) {
    let descriptor = descriptor.as_ptr();
    // SAFETY: the caller's promise.
    unsafe { (*descriptor).address = address };
    // SAFETY: the caller's promise.
    unsafe { (*descriptor).len = len };
    // SAFETY: the caller's promise.
    unsafe { (*descriptor).id = id as u16 };
}

/// The direction of the first descriptor of a chain.
#[inline(always)]
fn direction(readable: &[Buffer]) -> u16 {
    if readable.is_empty() { WRITE } else { 0 }
}

impl<const INDIRECT_TABLES: bool, const EVENT_IDX: bool> FloorPacked<INDIRECT_TABLES, EVENT_IDX> {
    /// Writes a chain that goes on at the start of the ring; answers the flags of its first descriptor.
    ///
    /// # Safety
    /// Floor's Rings.
    #[cold]
    #[inline(never)]
    unsafe fn across(&mut self, readable: &[Buffer], writable: &[Buffer], id: u32) -> u16 {
        let first = self.next;
        let mut left = readable.len() + writable.len();
        let buffers = readable.iter().map(|buffer| (buffer, 0)).chain(writable.iter().map(|b| (b, WRITE)));
        for (buffer, direction) in buffers {
            left -= 1;
            // SAFETY: Floor's Rings.
            let at = unsafe { self.ring.add(self.next.slot as usize) };
            // SAFETY: Floor's Rings.
            unsafe { fill(at, buffer.address, buffer.len, id) };
            if self.next.slot != first.slot {
                let now = self.next.flags as u16 | direction | if left > 0 { NEXT } else { 0 };
                // SAFETY: in the ring.
                unsafe { flags(at) }.store(now, Ordering::Relaxed);
            }
            self.next.advance(1);
        }
        // Only a chain of several descriptors comes here.
        first.flags as u16 | direction(readable) | NEXT
    }
}

impl<const INDIRECT_TABLES: bool, const EVENT_IDX: bool> Floor for FloorPacked<INDIRECT_TABLES, EVENT_IDX> {
    fn new() -> Self {
        let base = memory::pages(TABLES + SIZE * TABLE_STRIDE);
        // SAFETY: all offsets are within the allocation.
        let at = |offset| unsafe { base.add(offset) };
        let slots = memory::pages(SIZE * size_of::<Slot>()).cast::<Slot>();
        for id in 0..SIZE {
            // SAFETY: as many slots as ids.
            unsafe { (*slots.add(id).as_ptr()).next = id as u32 + 1 };
        }
        Self {
            ring: base.cast(),
            driver: at(DRIVER).cast(),
            device: at(DEVICE).cast(),
            slots,
            tables: at(TABLES),
            free: 0,
            next: Place { slot: 0, flags: u32::from(AVAIL) },
            fresh: 0,
            seen: Place { slot: 0, flags: u32::from(AVAIL | USED) },
        }
    }

    fn rings(&self) -> Rings {
        Rings {
            descriptor: memory::address(self.ring),
            driver: memory::address(self.driver),
            device: memory::address(self.device),
        }
    }

    #[inline(always)]
    unsafe fn add(&mut self, readable: &[Buffer], writable: &[Buffer], cookie: u64) {
        let id = self.free;
        // SAFETY: Floor's Rings.
        let slot = unsafe { self.slots.add(id as usize).as_mut() };
        self.free = slot.next;
        let total = readable.len() + writable.len();
        let count = if INDIRECT_TABLES { 1 } else { total as u32 };
        *slot = Slot { cookie, count, next: 0 };
        // SAFETY: Floor's Rings.
        let first = unsafe { self.ring.add(self.next.slot as usize) };
        let lap = self.next.flags as u16;
        let first_flags;
        if INDIRECT_TABLES {
            // SAFETY: Floor's Rings.
            let table = unsafe { self.tables.add(id as usize * TABLE_STRIDE) }.cast::<PackedDescriptor>();
            let mut entry = table;
            let mut put = |buffer: &Buffer, flags| {
                // SAFETY: three entries fit into the stride.
                unsafe {
                    entry.write(PackedDescriptor { address: buffer.address, len: buffer.len, id: 0, flags })
                };
                // SAFETY: as above.
                entry = unsafe { entry.add(1) };
            };
            readable.iter().for_each(|buffer| put(buffer, 0));
            writable.iter().for_each(|buffer| put(buffer, WRITE));
            // SAFETY: Floor's Rings.
            unsafe { fill(first, memory::address(table), (total * 16) as u32, id) };
            first_flags = lap | INDIRECT;
            self.next.advance(1);
        } else if total > 1 && self.next.slot + count > u32::from(QUEUE_SIZE) {
            // SAFETY: passed on.
            first_flags = unsafe { self.across(readable, writable, id) };
        } else {
            // Up to the end of the ring, slots are neighbours.
            first_flags = lap | direction(readable) | if total > 1 { NEXT } else { 0 };
            let mut index = 0;
            let mut put = |buffer: &Buffer, direction| {
                // SAFETY: Floor's Rings.
                let at = unsafe { first.add(index) };
                // SAFETY: Floor's Rings.
                unsafe { fill(at, buffer.address, buffer.len, id) };
                index += 1;
                // The first flags are stored last: the device must not see a chain before its end is there.
                if index > 1 {
                    let now = lap | direction | if index < total { NEXT } else { 0 };
                    // SAFETY: in the ring.
                    unsafe { flags(at) }.store(now, Ordering::Relaxed);
                }
            };
            readable.iter().for_each(|buffer| put(buffer, 0));
            writable.iter().for_each(|buffer| put(buffer, WRITE));
            self.next.advance(count);
        }
        if EVENT_IDX {
            self.fresh += count;
        }
        // The request is visible from here on: a hand-written ring has no reason to wait for the rest of its batch.
        // SAFETY: in the ring.
        unsafe { flags(first) }.store(first_flags, Ordering::Release);
    }

    #[inline(always)]
    unsafe fn publish(&mut self) -> bool {
        fence(Ordering::SeqCst);
        // Both fields with one load.
        // SAFETY: the structure Stays, and is shared by turns only.
        let Suppression { position, flags } = unsafe { self.device.read_volatile() };
        if EVENT_IDX {
            let fresh = std::mem::take(&mut self.fresh);
            if flags == EVENT_AT {
                // How far behind the next slot the position is, in slots.
                let same_lap = (position >> 15 != 0) == (self.next.flags & u32::from(AVAIL) != 0);
                let lap = if same_lap { 0 } else { u32::from(QUEUE_SIZE) };
                let behind = (self.next.slot + lap).wrapping_sub(u32::from(position & 0x7fff));
                return behind.wrapping_sub(1) < fresh;
            }
        }
        flags == 0
    }

    #[inline(always)]
    unsafe fn drain(&mut self, mut done: impl FnMut(u64, u32)) {
        const BOTH: u16 = AVAIL | USED;
        // In registers: a store through any of the pointers could be one to `self` for all the compiler knows.
        let (ring, slots) = (self.ring, self.slots);
        let (mut seen, mut free) = (self.seen, self.free);
        loop {
            // SAFETY: Floor's Rings.
            let element = unsafe { ring.add(seen.slot as usize) };
            // SAFETY: in the ring.
            if unsafe { flags(element) }.load(Ordering::Acquire) & BOTH != seen.flags as u16 {
                break;
            }
            // SAFETY: Floor's Rings.
            let PackedDescriptor { id, len, .. } = unsafe { element.read() };
            // SAFETY: Floor's Rings.
            let slot = unsafe { slots.add(usize::from(id)).as_mut() };
            slot.next = free;
            free = u32::from(id);
            seen.advance(slot.count);
            done(slot.cookie, len);
        }
        (self.seen, self.free) = (seen, free);
    }
}
