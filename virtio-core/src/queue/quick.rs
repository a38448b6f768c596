//! Adding the usual request quickly: every buffer is one segment, and there is room (a room of unsafe code).
//!
//! What is unusual (a buffer in pieces, an empty one, a chain that is split between ring and table) gives the attempt up, and
//! `build` does it again: every `push` answers whether this goes on. *Given Up Whole* holds here as it does there.
//!
//! What melts into its caller for speed, here and wherever else `inline(always)` is conditional, does so only where there are
//! no debug assertions: in a debug build every function melted in would add all of its locals to the caller's frame, which
//! came to 20 KiB.
#![expect(unsafe_code, reason = "shares buffers, and ends the sharing of what was not sent")]

use core::mem::ManuallyDrop;

use super::area::RequestArea;
use super::build::MOST_BYTES;
use super::format::{Counts, Entry, Format, INDIRECT, NEXT, WRITE};
use super::request::Copied;
use super::slots::{Head, Marks, Parked, Shape, Slot, Slots};
use crate::dma::{Lend, SharedPart, Stretch, share_whole};
use crate::hal::Direction;
use crate::{Hal, HalError};

/// A request that is being built, of `expected` segments, all of them in the ring or all of them in its table.
pub(super) struct Quick<'q, R: Format, H: Hal, const TABLE: bool> {
    ring: &'q mut R,
    slots: &'q mut Slots,
    area: &'q mut RequestArea<H>,
    hal: &'q H,
    id: Slot,
    cursor: Slot,
    last: Slot,
    expected: u16,
    count: u16,
    room: u32,
    payload_room: u32,
    bytes: u64,
    marks: Marks,
    shape: Shape,
    /// Whether the first and the third entry of the table are what they were (Prepared).
    prepared: bool,
    /// `PARKED`, if there is a payload and it is parked.
    parked: Marks,
    /// Why a buffer could not be shared.
    error: Option<HalError>,
}

impl<'q, R: Format, H: Hal, const TABLE: bool> Quick<'q, R, H, TABLE> {
    /// Starts a request whose head is the next free descriptor. `expected` descriptors are free, or the table has so many
    /// entries.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(
        ring: &'q mut R,
        slots: &'q mut Slots,
        area: &'q mut RequestArea<H>,
        hal: &'q H,
        expected: u16,
        parked: Marks,
        shape: Shape,
    ) -> Self {
        let id = slots.free_first;
        let shape = if TABLE && expected == Shape::ENTRIES { shape } else { Shape::NONE };
        let prepared = shape != Shape::NONE && slots.head(id).shape == shape;
        if TABLE && !prepared {
            slots.head_mut(id).shape = Shape::NONE;
        }
        let marks = Marks::RECORDED.union(slots.always);
        let (count, room, payload_room, bytes) = (0, 0, 0, 0);
        Self {
            ring,
            slots,
            area,
            hal,
            id,
            cursor: id,
            last: id,
            expected,
            count,
            room,
            payload_room,
            bytes,
            marks,
            shape,
            prepared,
            parked,
            error: None,
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn push(&mut self, part: &SharedPart, len: u32) {
        let writes = part.direction.device_writes();
        let at = self.count;
        self.count = at.wrapping_add(1);
        let next_flag = if self.count < self.expected { NEXT } else { 0 };
        let flags = next_flag | if writes { WRITE } else { 0 };
        let entry = Entry { addr: part.segment.device.get(), len, flags };
        if TABLE {
            if let Some(record) = self.slots.table_part_mut(self.id, at) {
                record.keep(part, len);
            }
            self.area.table(self.id).put(at, self.ring.table_entry(entry, self.count));
        } else {
            let here = self.cursor;
            let next = self.slots.link(here);
            self.slots.part_mut(here).keep(part, len);
            self.ring.put(self.id, here, next, at == 0, entry);
            (self.last, self.cursor) = (here, next);
        }
        if !part.is_direct() {
            self.marks.insert(Marks::UNDO);
        }
        self.bytes = self.bytes.wrapping_add(u64::from(len));
        if writes {
            self.room = self.room.saturating_add(len);
        }
    }

    /// Appends a header, copied to its place.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn push_header(&mut self, copied: Copied<'_>) -> bool {
        if copied.is_empty() {
            return true;
        }
        if self.prepared {
            let len = self.area.put_header_again(self.id, copied.header);
            self.count = self.count.wrapping_add(1);
            self.bytes = self.bytes.wrapping_add(u64::from(len));
            return true;
        }
        if self.slots.framed() && !copied.data.is_empty() {
            return false;
        }
        match self.area.put_header(self.id, copied) {
            Ok(part) => self.push_own(&part),
            Err(_) => false,
        }
    }

    /// Appends the place for a response.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn push_response(&mut self, len: usize) -> bool {
        if len == 0 {
            return true;
        }
        self.payload_room = self.room;
        self.marks.insert(Marks::RESPONSE);
        if self.prepared {
            let len = self.area.response_again(self.id, len);
            self.count = self.count.wrapping_add(1);
            self.bytes = self.bytes.wrapping_add(u64::from(len));
            self.room = self.room.saturating_add(len);
            return true;
        }
        if self.slots.framed() && len > 1 {
            return false;
        }
        match self.area.response(self.id, len) {
            Ok(part) => self.push_own(&part),
            Err(_) => false,
        }
    }

    /// Appends memory of the driver's own.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn push_own(&mut self, part: &SharedPart) -> bool {
        match u32::try_from(part.segment.len) {
            Ok(len) => {
                self.push(part, len);
                true
            }
            Err(_) => false,
        }
    }

    /// Shares the first `count` buffers of the parked payload that go in `direction`, and appends them.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn push_payload<P: Lend>(
        &mut self,
        parked: &Parked<P>,
        count: usize,
        direction: Direction,
    ) -> bool {
        for at in 0..count {
            let Some(stretch) = self.slots.stretch(parked, direction, at) else { return false };
            // SAFETY: the payload is parked (I-LOAN): its memory stays valid and unused until it is unparked, and Given Up
            // Whole and State Honest end every segment before that.
            if !unsafe { self.push_stretch(stretch, direction) } {
                return false;
            }
        }
        true
    }

    /// # Safety
    /// As for `Builder::push_stretch`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn push_stretch(&mut self, stretch: Stretch, direction: Direction) -> bool {
        let Ok(len) = u32::try_from(stretch.memory.len()) else { return false };
        // SAFETY: passed on; what `push` takes is ended with the request.
        match unsafe { share_whole(self.hal, stretch, direction) } {
            Ok(Some(part)) => {
                self.push(&part, len);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.error = Some(error);
                false
            }
        }
    }

    /// Whether all that was expected is there, and no more than a chain may hold.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_complete(&self) -> bool {
        self.count == self.expected && self.count != 0 && self.bytes <= MOST_BYTES
    }

    /// The chain is complete: it will be shown with the next publication.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn finish(mut self, entries: u64, counts: &mut Counts) -> Slot {
        let id = self.id;
        let mut taken = self.count;
        if TABLE {
            let (device, len) = self.area.table(id).address(self.count);
            let entry = Entry { addr: device.get(), len, flags: INDIRECT };
            self.ring.put(id, id, id, true, entry);
            self.cursor = self.slots.link(id);
            taken = 1;
            *self.slots.part_mut(id) = crate::dma::Record::NOTHING;
        }
        if entries != 0 {
            self.marks.insert(Marks::ENTRIES);
            self.slots.set_entries(id, entries);
        }
        let head = self.slots.head_mut(id);
        head.order = counts.added;
        (head.room, head.payload_room) = (self.room, self.payload_room);
        (head.taken, head.last) = (taken, self.last);
        head.in_table = if TABLE { self.count } else { 0 };
        if TABLE {
            head.shape = self.shape;
        }
        head.marks = self.marks | self.parked;
        self.slots.free_first = self.cursor;
        self.slots.free_count = self.slots.free_count.wrapping_sub(i32::from(taken));
        self.ring.commit(id, counts);
        counts.added = counts.added.wrapping_add(1);
        core::mem::forget(self);
        id
    }

    /// Ends the segments. The payload stays parked.
    // Field by field: a reference to the whole would keep it out of registers on the way that counts.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn give_up(&mut self) {
        let (taken, in_table) = if TABLE { (0, self.count) } else { (self.count, 0) };
        let head = Head { taken, last: self.last, in_table, marks: self.marks | self.parked, ..Head::FREE };
        end(self.ring, self.slots, self.hal, self.id, head);
    }

    /// Gives the attempt up; the payload stays parked. Answers the error, if there was one: otherwise it can be done in the
    /// other way.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn abandon(self) -> Option<HalError> {
        // If the Hal panics below, nothing is ended twice, and the payload stays parked until the queue is released.
        let mut given_up = ManuallyDrop::new(self);
        given_up.give_up();
        given_up.error
    }
}

/// Ends the segments that `head` tells of, of a request that the device was never told of.
#[cold]
fn end<R: Format, H: Hal>(ring: &mut R, slots: &mut Slots, hal: &H, id: Slot, head: Head) {
    ring.rewind();
    *slots.head_mut(id) = head;
    // SAFETY: Given Up Whole: the device was never told of them, and they are ended only here.
    unsafe { slots.end_segments(hal, id, 0) };
    *slots.head_mut(id) = Head { marks: head.marks & Marks::PARKED, ..Head::FREE };
}

impl<R: Format, H: Hal, const TABLE: bool> Drop for Quick<'_, R, H, TABLE> {
    /// Reached by a panic of the Hal only.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        self.give_up();
        if self.parked.contains(Marks::PARKED) {
            // SAFETY: Given Up Whole: the device was never told of it, and its segments have just ended.
            unsafe { self.slots.drop_parked(self.id) };
        }
    }
}
