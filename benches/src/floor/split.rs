//! A split ring by hand (VIRTIO 1.4 §2.7).

use std::arch::asm;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering, fence};

use super::{Floor, TABLE_STRIDE};
use crate::device::Rings;
use crate::memory;
use crate::pool::Buffer;
use crate::row::QUEUE_SIZE;
use crate::wire::{INDIRECT, NEXT, SplitDescriptor, UsedElement, WRITE};

const SIZE: usize = QUEUE_SIZE as usize;
const MASK: u32 = QUEUE_SIZE as u32 - 1;

/// Byte offsets. No two rings at the same offset of a page, where a load of one would wait for a store to the other.
const AVAILABLE: usize = memory::PAGE + 0x400;
const USED: usize = 2 * memory::PAGE + 0x700;
const TABLES: usize = 3 * memory::PAGE + 0x100;

/// What is kept of a request in flight.
#[derive(Clone, Copy, Default)]
struct Slot {
    cookie: u64,
    /// The last descriptor of its chain.
    last: u32,
}

/// See [`Floor`]. Counters are 32 bits wide, so that none is loaded together with a neighbour that was just stored.
pub struct FloorSplit<const INDIRECT_TABLES: bool, const EVENT_IDX: bool> {
    descriptors: NonNull<SplitDescriptor>,
    /// Flags, index, entries, used event.
    available: NonNull<u16>,
    /// Flags, index, elements, available event.
    used: NonNull<u16>,
    slots: NonNull<Slot>,
    tables: NonNull<u8>,
    /// The first free descriptor; the rest hang on its `next`.
    free: u32,
    /// Requests added so far.
    added: u32,
    /// Requests that the device was asked about last time.
    asked: u32,
    /// Requests seen used so far.
    seen: u32,
}

impl<const INDIRECT_TABLES: bool, const EVENT_IDX: bool> FloorSplit<INDIRECT_TABLES, EVENT_IDX> {
    /// Writes a chain from `at` on, each descriptor followed by the one its `next` names: the last, and what follows it.
    ///
    /// # Safety
    /// Floor's Rings; `table` is linked.
    #[inline(always)]
    unsafe fn chain(
        table: NonNull<SplitDescriptor>,
        at: u32,
        readable: &[Buffer],
        writable: &[Buffer],
    ) -> (u32, u32) {
        let mut left = readable.len() + writable.len();
        let (mut last, mut at) = (at, at);
        let mut put = |buffer: &Buffer, direction| {
            left -= 1;
            // SAFETY: in the table, which nobody else uses now.
            let descriptor = unsafe { table.add(at as usize).as_mut() };
            descriptor.address = buffer.address;
            descriptor.len = buffer.len;
            descriptor.flags = direction | if left > 0 { NEXT } else { 0 };
            (last, at) = (at, u32::from(descriptor.next));
        };
        for buffer in readable {
            put(buffer, 0);
        }
        for buffer in writable {
            put(buffer, WRITE);
        }
        (last, at)
    }

    fn index(ring: NonNull<u16>) -> &'static AtomicU16 {
        // SAFETY: the second field of both rings, which Stay.
        unsafe { AtomicU16::from_ptr(ring.add(1).as_ptr()) }
    }
}

impl<const INDIRECT_TABLES: bool, const EVENT_IDX: bool> Floor for FloorSplit<INDIRECT_TABLES, EVENT_IDX> {
    fn new() -> Self {
        let base = memory::pages(TABLES + SIZE * TABLE_STRIDE);
        // SAFETY: all offsets are within the allocation.
        let at = |offset| unsafe { base.add(offset) };
        let descriptors = base.cast::<SplitDescriptor>();
        for index in 0..SIZE {
            // SAFETY: in the table.
            unsafe { (*descriptors.add(index).as_ptr()).next = (index + 1) as u16 };
            for entry in 0..3 {
                let table = at(TABLES + index * TABLE_STRIDE).cast::<SplitDescriptor>();
                // SAFETY: three entries fit into the stride.
                unsafe { (*table.add(entry).as_ptr()).next = (entry + 1) as u16 };
            }
        }
        Self {
            descriptors,
            available: at(AVAILABLE).cast(),
            used: at(USED).cast(),
            slots: memory::pages(SIZE * size_of::<Slot>()).cast(),
            tables: at(TABLES),
            free: 0,
            added: 0,
            asked: 0,
            seen: 0,
        }
    }

    fn rings(&self) -> Rings {
        Rings {
            descriptor: memory::address(self.descriptors),
            driver: memory::address(self.available),
            device: memory::address(self.used),
        }
    }

    #[inline(always)]
    unsafe fn add(&mut self, readable: &[Buffer], writable: &[Buffer], cookie: u64) {
        let head = self.free;
        let last;
        if INDIRECT_TABLES {
            // SAFETY: Floor's Rings.
            let table = unsafe { self.tables.add(head as usize * TABLE_STRIDE) }.cast();
            // SAFETY: tables are linked from the start.
            unsafe { Self::chain(table, 0, readable, writable) };
            // SAFETY: Floor's Rings.
            let descriptor = unsafe { self.descriptors.add(head as usize).as_mut() };
            descriptor.address = memory::address(table);
            descriptor.len = ((readable.len() + writable.len()) * size_of::<SplitDescriptor>()) as u32;
            descriptor.flags = INDIRECT;
            self.free = u32::from(descriptor.next);
            last = head;
        } else {
            // SAFETY: Floor's Rings; free descriptors are linked.
            (last, self.free) = unsafe { Self::chain(self.descriptors, head, readable, writable) };
        }
        // SAFETY: Floor's Rings.
        unsafe { self.slots.add(head as usize).write(Slot { cookie, last }) };
        // SAFETY: the entry is masked, behind flags and index.
        unsafe { self.available.add(2 + (self.added & MASK) as usize).write(head as u16) };
        self.added = self.added.wrapping_add(1);
    }

    #[inline(always)]
    unsafe fn publish(&mut self) -> bool {
        Self::index(self.available).store(self.added as u16, Ordering::Release);
        fence(Ordering::SeqCst);
        if EVENT_IDX {
            // SAFETY: behind the elements; the field is shared by turns only.
            let event = unsafe { AtomicU16::from_ptr(self.used.add(2 + 4 * SIZE).as_ptr()) };
            let event = event.load(Ordering::Relaxed);
            let (new, old) = (self.added as u16, self.asked as u16);
            self.asked = self.added;
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            // SAFETY: the first field.
            let flags = unsafe { AtomicU16::from_ptr(self.used.as_ptr()) };
            flags.load(Ordering::Relaxed) & 1 == 0
        }
    }

    #[inline(always)]
    unsafe fn drain(&mut self, mut done: impl FnMut(u64, u32)) {
        let mut end = Self::index(self.used).load(Ordering::Acquire);
        // SAFETY: behind flags and index.
        let elements = unsafe { self.used.add(2) }.cast::<UsedElement>();
        // In registers: a store through any of the pointers could be one to `self` for all the compiler knows.
        let (descriptors, slots) = (self.descriptors, self.slots);
        let (mut seen, mut free) = (self.seen, self.free);
        while seen as u16 != end {
            // SAFETY: the element is masked.
            let UsedElement { id, len } = unsafe { elements.add((seen & MASK) as usize).read() };
            // SAFETY: Floor's Rings.
            let Slot { cookie, last } = unsafe { slots.add(id as usize).read() };
            // SAFETY: Floor's Rings.
            unsafe { (*descriptors.add(last as usize).as_ptr()).next = free as u16 };
            free = id;
            seen = seen.wrapping_add(1);
            // Costs nothing, and hides how often the loop runs: unrolled, it would cost a lone request a third more.
            // SAFETY: an empty template.
            unsafe { asm!("/* {0:x} */", inout(reg) end, options(pure, nomem, nostack, preserves_flags)) };
            done(cookie, len);
        }
        (self.seen, self.free) = (seen, free);
    }
}
