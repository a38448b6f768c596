//! Requests over addresses, for kernels that manage their own memory (a room of unsafe code).
#![expect(unsafe_code, reason = "names memory by its address; declares a payload without buffers")]

use core::ptr::NonNull;

use super::add::Typed;
use super::area::RequestArea;
use super::build::{ALL, MOST_BYTES, plan};
use super::format::{Counts, Entry, Format, INDIRECT, NEXT, WRITE};
use super::port::Port;
use super::request::Rejected;
use super::ring::on;
use super::slots::{Marks, Shape, Slot, Slots};
use super::virtqueue::{Queue, Token};
use crate::dma::{Lend, Stretch};
use crate::transport::Transport;
use crate::{DeviceAddr, Error, Hal, Misuse};

/// A buffer by its address, as the device sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RawBuffer {
    /// Where it starts.
    pub device: DeviceAddr,
    /// Its length in bytes; not 0.
    pub len: u32,
}

/// A payload without buffers: a number of the caller's own, that comes back with the completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cookie(pub u64);

// SAFETY: no buffers at all.
unsafe impl Lend for Cookie {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

impl<P: 'static, H: Hal> Typed<'_, P, H> {
    /// Adds a request over addresses; the payload is kept, its own buffers are not used.
    ///
    /// # Safety
    /// The device may read the readable buffers and write the writable ones until the request is used, or the device or
    /// queue was reset, and nobody else accesses them in a way that conflicts.
    // Into the caller, who mostly knows how many buffers there are: then nothing is left of the loops.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn add_raw(
        &mut self,
        readable: &[RawBuffer],
        writable: &[RawBuffer],
        payload: P,
    ) -> Result<Token, (Error, P)> {
        let Queue { ring, slots, counts, cold, .. } = &mut *self.queue;
        let total = readable.len().wrapping_add(writable.len());
        let tables = total > 1 && slots.table_room() > 0;
        let room = slots.free_count;
        // Nothing fits while the queue is closed.
        let fits = i32::try_from(total).is_ok_and(|total| total <= room);
        if total == 0 || !(fits || tables && room > 0) {
            return Err((self.queue.no_room_for(total), payload));
        }
        let slot = slots.free_first;
        let order = counts.added;
        if tables {
            // Prepared: its table is about to be written for something else.
            slots.head_mut(slots.free_first).shape = Shape::NONE;
        }
        let area = tables.then_some(&mut cold.area);
        let written = on!(ring, ring => write(ring, slots, area, readable, writable, counts));
        match written {
            Ok(written) => Ok(self.keep(slot, order, &written, payload)),
            Err(misuse) => Err((misuse.into(), payload)),
        }
    }

    /// Keeps what has to be known of a request that was written.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn keep(&mut self, slot: Slot, order: u64, written: &Written, payload: P) -> Token {
        let Queue { slots, counts, .. } = &mut *self.queue;
        counts.added = order.wrapping_add(1);
        slots.free_first = written.next;
        slots.free_count = slots.free_count.wrapping_sub(i32::from(written.taken));
        // SAFETY: Typed Once; the descriptor headed no request, so nothing was parked there, and its head is marked below.
        unsafe { slots.park_unmarked(slot, payload) };
        let marks = Marks::PARKED.union(slots.always);
        let head = slots.head_mut(slot);
        head.order = order;
        head.room = written.room;
        (head.taken, head.last) = (written.taken, written.last);
        head.marks = marks;
        self.queue.token(slot, order)
    }
}

/// Writes a request, to descriptors of the ring or to a table in `area`, and commits it.
#[cfg_attr(not(debug_assertions), inline(always))]
fn write<R: Format, H: Hal>(
    ring: &mut R,
    slots: &Slots,
    area: Option<&mut RequestArea<H>>,
    readable: &[RawBuffer],
    writable: &[RawBuffer],
    counts: &Counts,
) -> Result<Written, Misuse> {
    let written = match area {
        Some(area) => write_table(ring, slots, area, readable, writable)?,
        None => write_direct(ring, slots, readable, writable),
    };
    if written.bytes > MOST_BYTES {
        ring.rewind();
        return Err(Misuse::BufferTooLong);
    }
    ring.commit(slots.free_first, counts);
    Ok(written)
}

/// What was written of a request.
struct Written {
    /// Descriptors of the ring, the last of them, and the one that is free next.
    taken: u16,
    last: Slot,
    next: Slot,
    /// Bytes in all, and those that the device may write.
    bytes: u64,
    room: u32,
}

/// Every buffer with its flags but `NEXT`, and whether it is the last.
#[cfg_attr(not(debug_assertions), inline(always))]
fn each(readable: &[RawBuffer], writable: &[RawBuffer], mut visit: impl FnMut(&RawBuffer, u16, bool)) {
    let mut left = readable.len().wrapping_add(writable.len());
    for buffer in readable {
        left = left.wrapping_sub(1);
        visit(buffer, 0, left == 0);
    }
    for buffer in writable {
        left = left.wrapping_sub(1);
        visit(buffer, WRITE, left == 0);
    }
}

/// Writes a request to descriptors of the ring; there are enough.
#[cfg_attr(not(debug_assertions), inline(always))]
fn write_direct<R: Format>(
    ring: &mut R,
    slots: &Slots,
    readable: &[RawBuffer],
    writable: &[RawBuffer],
) -> Written {
    let id = slots.free_first;
    let mut written = Written { taken: 0, last: id, next: id, bytes: 0, room: 0 };
    let mut writable_bytes = 0_u64;
    each(readable, writable, |buffer, flags, last| {
        let at = written.next;
        let next = slots.link(at);
        let flags = if last { flags } else { flags | NEXT };
        ring.put(id, at, next, at == id, Entry { addr: buffer.device.get(), len: buffer.len, flags });
        (written.last, written.next) = (at, next);
        written.taken = written.taken.wrapping_add(1);
        written.bytes = written.bytes.wrapping_add(u64::from(buffer.len));
        if flags & WRITE != 0 {
            writable_bytes = writable_bytes.wrapping_add(u64::from(buffer.len));
        }
    });
    written.room = u32::try_from(writable_bytes).unwrap_or(u32::MAX);
    written
}

/// Writes a request to its indirect table, if all of it fits.
#[cfg_attr(not(debug_assertions), inline(always))]
fn write_table<R: Format, H: Hal>(
    ring: &mut R,
    slots: &Slots,
    area: &mut RequestArea<H>,
    readable: &[RawBuffer],
    writable: &[RawBuffer],
) -> Result<Written, Misuse> {
    let total = readable.len().wrapping_add(writable.len());
    if total > usize::from(slots.table_room()) {
        return write_long(ring, slots, area, readable, writable);
    }
    let id = slots.free_first;
    let mut table = area.table(id);
    let (mut at, mut bytes, mut writable_bytes) = (0_u16, 0_u64, 0_u64);
    each(readable, writable, |buffer, flags, last| {
        let flags = if last { flags } else { flags | NEXT };
        let entry = Entry { addr: buffer.device.get(), len: buffer.len, flags };
        table.put(at, ring.table_entry(entry, at.wrapping_add(1)));
        at = at.wrapping_add(1);
        bytes = bytes.wrapping_add(u64::from(buffer.len));
        if flags & WRITE != 0 {
            writable_bytes = writable_bytes.wrapping_add(u64::from(buffer.len));
        }
    });
    let (addr, len) = table.address(at);
    ring.put(id, id, id, true, Entry { addr: addr.get(), len, flags: INDIRECT });
    let room = u32::try_from(writable_bytes).unwrap_or(u32::MAX);
    Ok(Written { taken: 1, last: id, next: slots.link(id), bytes, room })
}

/// Writes a request that is longer than its table: what is beyond goes to descriptors of the ring, before the table where that
/// is legal, or all of it.
#[cold]
fn write_long<R: Format, H: Hal>(
    ring: &mut R,
    slots: &Slots,
    area: &mut RequestArea<H>,
    readable: &[RawBuffer],
    writable: &[RawBuffer],
) -> Result<Written, Misuse> {
    let total = readable.len().wrapping_add(writable.len());
    if total > slots.size().as_usize() {
        return Err(Misuse::TooManySegments);
    }
    let room = usize::try_from(slots.free_count).unwrap_or(0);
    let direct = plan::<R>(total, slots);
    if direct == ALL {
        return if total > room {
            Err(Misuse::QueueFull)
        } else {
            Ok(write_direct(ring, slots, readable, writable))
        };
    }
    if usize::from(direct) >= room {
        return Err(Misuse::QueueFull);
    }
    let id = slots.free_first;
    let mut table = area.table(id);
    let mut written = Written { taken: 0, last: id, next: id, bytes: 0, room: 0 };
    let (mut in_table, mut writable_bytes) = (0_u16, 0_u64);
    each(readable, writable, |buffer, flags, last| {
        let flags = if last { flags } else { flags | NEXT };
        let entry = Entry { addr: buffer.device.get(), len: buffer.len, flags };
        if written.taken < direct {
            let at = written.next;
            let next = slots.link(at);
            ring.put(id, at, next, at == id, entry);
            written.next = next;
            written.taken = written.taken.wrapping_add(1);
        } else {
            let at = in_table;
            in_table = in_table.wrapping_add(1);
            table.put(at, ring.table_entry(entry, in_table));
        }
        written.bytes = written.bytes.wrapping_add(u64::from(buffer.len));
        if flags & WRITE != 0 {
            writable_bytes = writable_bytes.wrapping_add(u64::from(buffer.len));
        }
    });
    let at = written.next;
    written.next = slots.link(at);
    let (addr, len) = table.address(in_table);
    ring.put(id, at, at, at == id, Entry { addr: addr.get(), len, flags: INDIRECT });
    written.last = at;
    written.taken = written.taken.wrapping_add(1);
    written.room = u32::try_from(writable_bytes).unwrap_or(u32::MAX);
    Ok(written)
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Port<'_, P, T, H> {
    /// Adds a request over addresses: `readable` for the device to read, then `writable` for it to write. Nothing is shared
    /// through the Hal, nothing is copied, and the payload's own buffers are not used: it is kept and comes back with the
    /// completion. The device does not see the request before [`Port::publish`].
    ///
    /// # Errors
    /// As for [`Port::add`].
    ///
    /// # Safety
    /// From now on until the request is used, or the device (or this queue of it) was reset:
    /// * the device may read the readable buffers and write the writable ones, at the addresses given;
    /// * nobody accesses them in a way that conflicts with that.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub unsafe fn add_raw(
        &mut self,
        readable: &[RawBuffer],
        writable: &[RawBuffer],
        payload: P,
    ) -> Result<Token, Rejected<P>> {
        // SAFETY: the caller's promise.
        unsafe { self.typed.add_raw(readable, writable, payload) }
            .map_err(|(error, payload)| Rejected { error, payload })
    }
}
