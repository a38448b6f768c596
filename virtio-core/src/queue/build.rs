//! A request's descriptors, from the first segment to the complete chain (a room of unsafe code).
//!
//! **Plan**: the first `direct` segments go to descriptors of the ring, the rest to the request's indirect table, to which
//! one more descriptor of the ring leads (VIRTIO 1.4 §2.7.5.3, §2.8.7). How many segments there will be is not known before
//! all are shared; a table that overflows gives the build up, and another plan is made.
//!
//! **Given Up Whole**: until `finish`, nothing outside this value refers to the request: dropping a builder, also by a panic
//! of the Hal, ends every segment it took and drops the payload it was given.
#![expect(unsafe_code, reason = "shares buffers, and ends the sharing of what was not sent")]

use super::area::RequestArea;
use super::format::{Counts, Entry, Format, INDIRECT, NEXT, WRITE};
use super::slots::{Head, Marks, Parked, Slot, Slots, State};
use crate::dma::{Lend, SharedPart, Stretch, share_all};
use crate::hal::Direction;
use crate::{Error, Hal, Misuse};

/// A chain's bytes, at most (VIRTIO 1.4 §2.7.5.2).
pub(super) const MOST_BYTES: u64 = 1 << 32;

/// All segments go to descriptors of the ring.
pub(super) const ALL: u16 = u16::MAX;

/// How many of a request's first segments go to descriptors of the ring, if it has `segments` at least.
pub(super) fn plan<R: Format>(segments: usize, table_room: u16, free: u32) -> u16 {
    if table_room == 0 || segments <= 1 {
        return ALL;
    }
    let beyond = segments.saturating_sub(usize::from(table_room));
    let fits = u32::try_from(segments).is_ok_and(|segments| segments <= free);
    match u16::try_from(beyond) {
        Ok(0) => 0,
        Ok(beyond) if R::MIXED && !fits => beyond,
        _ => ALL,
    }
}

/// Where an entry goes that is not written yet: whether it has `NEXT` is known only when the next one comes.
#[derive(Clone, Copy)]
enum Pending {
    Nothing,
    Descriptor { at: Slot, next: Slot, entry: Entry },
    Table { at: u16, entry: Entry },
}

/// A request that is being built.
pub(super) struct Builder<'q, R: Format, H: Hal> {
    ring: &'q mut R,
    slots: &'q mut Slots,
    area: &'q mut RequestArea<H>,
    hal: &'q H,
    id: Slot,
    /// Segments that may still go to descriptors of the ring.
    direct: u16,
    /// The next free descriptor.
    cursor: Slot,
    head: Head,
    segments: u32,
    bytes: u64,
    pending: Pending,
    overflow: bool,
    /// Finished or rejected: nothing is left to give up.
    complete: bool,
    /// What `direct` was at the start.
    first_direct: u16,
}

impl<'q, R: Format, H: Hal> Builder<'q, R, H> {
    /// Starts a request whose head is the next free descriptor; its payload may be parked there already.
    pub(super) fn new(
        ring: &'q mut R,
        slots: &'q mut Slots,
        area: &'q mut RequestArea<H>,
        hal: &'q H,
        direct: u16,
        order: u64,
    ) -> Self {
        let id = slots.free_first;
        let head = Head { order, marks: Marks::RECORDED, ..Head::FREE };
        Self {
            ring,
            slots,
            area,
            hal,
            id,
            direct,
            cursor: id,
            head,
            segments: 0,
            bytes: 0,
            pending: Pending::Nothing,
            overflow: false,
            complete: false,
            first_direct: direct,
        }
    }

    /// Appends a segment, and keeps its record.
    fn push(&mut self, shared: SharedPart) -> Result<(), Error> {
        let len = u32::try_from(shared.segment.len).map_err(|_| Misuse::BufferTooLong)?;
        let bytes = self.bytes.saturating_add(u64::from(len));
        if bytes > MOST_BYTES {
            return Err(Misuse::BufferTooLong.into());
        }
        if self.segments >= u32::from(self.slots.size().get()) {
            return Err(Misuse::TooManySegments.into());
        }
        let flags = if shared.direction.device_writes() { WRITE } else { 0 };
        let entry = Entry { addr: shared.segment.device.get(), len, flags };
        if self.direct > 0 {
            let at = self.take_descriptor()?;
            self.direct = if self.direct == ALL { ALL } else { self.direct.saturating_sub(1) };
            *self.slots.part_mut(at) = shared;
            self.write_pending(true);
            self.pending = Pending::Descriptor { at, next: self.cursor, entry };
        } else {
            if self.head.in_table == 0 {
                // The descriptor that leads to the table; in a mixed chain it comes after the direct ones.
                let at = self.take_descriptor()?;
                *self.slots.part_mut(at) = SharedPart::NOTHING;
            }
            let at = self.head.in_table;
            match self.slots.table_part_mut(self.id, at) {
                Some(part) => *part = shared,
                None => {
                    self.overflow = true;
                    return Err(Misuse::TooManySegments.into());
                }
            }
            self.head.in_table = at.saturating_add(1);
            self.write_pending(true);
            self.pending = Pending::Table { at, entry };
        }
        if !shared.is_direct() {
            self.head.marks.insert(Marks::UNDO);
        }
        if shared.direction.device_writes() {
            self.head.payload_room = self.head.payload_room.saturating_add(len);
        }
        self.segments = self.segments.saturating_add(1);
        self.bytes = bytes;
        Ok(())
    }

    /// Takes the next descriptor of the ring.
    fn take_descriptor(&mut self) -> Result<Slot, Misuse> {
        if u32::from(self.head.taken) >= self.slots.free_count {
            return Err(Misuse::QueueFull);
        }
        let at = self.cursor;
        self.cursor = self.slots.link(at);
        self.head.last = at;
        self.head.taken = self.head.taken.saturating_add(1);
        Ok(at)
    }

    fn write_pending(&mut self, more: bool) {
        let next_flag = if more { NEXT } else { 0 };
        match self.pending {
            Pending::Nothing => {}
            Pending::Descriptor { at, next, entry } => {
                let entry = Entry { flags: entry.flags | next_flag, ..entry };
                self.ring.put(self.id, at, next, at == self.id, entry);
            }
            Pending::Table { at, entry } => {
                let entry = Entry { flags: entry.flags | next_flag, ..entry };
                let raw = self.ring.table_entry(entry, at.saturating_add(1));
                self.area.put_entry(self.id, at, raw);
            }
        }
    }

    /// Appends a header, copied to its place.
    pub(super) fn push_header(&mut self, header: &[u8]) -> Result<(), Error> {
        if header.is_empty() {
            return Ok(());
        }
        let part = self.area.put_header(self.id, header)?;
        self.push(part)
    }

    /// Appends memory of the driver's own.
    pub(super) fn push_own(&mut self, part: SharedPart) -> Result<(), Error> {
        self.push(part)
    }

    /// Appends the place for a response: device-writable, but not payload.
    pub(super) fn push_response(&mut self, len: usize) -> Result<(), Error> {
        if len > 0 {
            let before = self.head.payload_room;
            let part = self.area.response(self.id, len)?;
            self.push(part)?;
            self.head.response_room = self.head.payload_room.saturating_sub(before);
            self.head.payload_room = before;
        }
        Ok(())
    }

    /// Shares the first `count` buffers of the parked payload that go in `direction`, and appends them.
    pub(super) fn push_payload<P: Lend>(
        &mut self,
        parked: &Parked<P>,
        count: usize,
        direction: Direction,
    ) -> Result<(), Error> {
        for at in 0..count {
            let stretch = self.slots.stretch(parked, direction, at).ok_or(Misuse::BadLength)?;
            // SAFETY: the payload is parked (I-LOAN): its memory stays valid and unused until it is unparked, and Given Up
            // Whole and State Honest end every segment before that.
            unsafe { self.push_stretch(stretch, direction) }?;
        }
        Ok(())
    }

    /// Shares a buffer and appends its segments.
    ///
    /// # Safety
    /// The memory is valid as `direction` says, and used by nobody else until the request is settled, given up or
    /// released after a confirmed reset.
    pub(super) unsafe fn push_stretch(
        &mut self,
        stretch: Stretch,
        direction: Direction,
    ) -> Result<(), Error> {
        let hal = self.hal;
        // SAFETY: passed on; every segment that `push` takes is ended with the request.
        unsafe { share_all(hal, stretch, direction, |shared| self.push(shared)) }
    }

    /// The chain is complete: it will be shown with the next publication.
    pub(super) fn finish(&mut self, entries: u64, counts: &mut Counts) -> Result<Slot, Error> {
        if self.segments == 0 {
            return Err(Misuse::EmptyRequest.into());
        }
        self.write_pending(false);
        if self.head.in_table > 0 {
            let at = self.head.last;
            let (device, len) = self.area.table(self.id, self.head.in_table);
            let entry = Entry { addr: device.get(), len, flags: INDIRECT };
            self.ring.put(self.id, at, at, at == self.id, entry);
        }
        let record = self.slots.head_mut(self.id);
        let parked = record.marks & Marks::PARKED;
        *record = Head { state: State::InFlight, marks: self.head.marks | parked, ..self.head };
        if entries != 0 {
            record.entries = entries;
            record.marks.insert(Marks::ENTRIES);
        }
        self.slots.free_first = self.cursor;
        self.slots.free_count = self.slots.free_count.saturating_sub(u32::from(self.head.taken));
        self.ring.commit(self.id, counts);
        counts.added = counts.added.wrapping_add(1);
        self.complete = true;
        Ok(self.id)
    }

    /// Starts again with another plan, after the table of this one has overflowed. Answers whether there is one.
    pub(super) fn plan_again(&mut self) -> bool {
        if !self.overflow {
            return false;
        }
        self.give_up();
        let more = self.first_direct.saturating_add(self.slots.table_room());
        self.first_direct = if R::MIXED && more < self.slots.size().get() { more } else { ALL };
        self.direct = self.first_direct;
        self.cursor = self.id;
        self.head = Head { order: self.head.order, marks: Marks::RECORDED, ..Head::FREE };
        (self.segments, self.bytes, self.pending, self.overflow) = (0, 0, Pending::Nothing, false);
        true
    }

    /// Gives the request up: ends its segments. The payload stays parked.
    fn give_up(&mut self) {
        self.ring.rewind();
        let parked = self.slots.head(self.id).marks & Marks::PARKED;
        *self.slots.head_mut(self.id) = Head { marks: self.head.marks | parked, ..self.head };
        // SAFETY: the device was never told of them, and they are ended only here.
        unsafe { self.slots.end_segments(self.hal, self.id, 0) };
        *self.slots.head_mut(self.id) = Head { marks: parked, ..Head::FREE };
    }

    /// Gives the request up; its payload comes back.
    pub(super) fn reject<P>(mut self, parked: Parked<P>) -> P {
        // Whatever happens from here on, nothing is ended or dropped twice.
        self.complete = true;
        self.give_up();
        self.slots.take_back(parked)
    }
}

impl<R: Format, H: Hal> Drop for Builder<'_, R, H> {
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        self.give_up();
        // SAFETY: Given Up Whole: the device was never told of it, and its segments have just ended.
        unsafe { self.slots.drop_parked(self.id) };
    }
}
