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
use super::request::Copied;
use super::slots::{Head, Marks, Parked, Slot, Slots, State};
use crate::dma::{Lend, Record, SharedPart, Stretch, share_all};
use crate::hal::Direction;
use crate::{Error, Hal, Misuse};

/// A chain's bytes, at most (VIRTIO 1.4 §2.7.5.2).
pub(super) const MOST_BYTES: u64 = 1 << 32;

/// All segments go to descriptors of the ring.
pub(super) const ALL: u16 = u16::MAX;

/// How many of a request's first segments go to descriptors of the ring, if it has `segments` at least.
#[inline]
pub(super) fn plan<R: Format>(segments: usize, slots: &Slots) -> u16 {
    let (table_room, free) = (slots.table_room(), slots.free_count);
    if table_room == 0 || segments <= 1 {
        return ALL;
    }
    let beyond = segments.saturating_sub(usize::from(table_room));
    let fits = i32::try_from(segments).is_ok_and(|segments| segments <= free);
    match u16::try_from(beyond) {
        Ok(0) => 0,
        Ok(beyond) if R::MIXED && slots.mixed() && !fits => beyond,
        _ => ALL,
    }
}

/// Where the last entry went: whether it has `NEXT` was a guess.
#[derive(Clone, Copy)]
enum Last {
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
    /// How many segments are expected, if no buffer turns out to be scattered.
    expected: u32,
    /// Segments that may still go to descriptors of the ring, and how many that was at the start.
    direct: u16,
    first_direct: u16,
    /// The next free descriptor.
    cursor: Slot,
    head: Head,
    segments: u32,
    bytes: u64,
    last: Last,
    overflow: bool,
    /// Finished or rejected: nothing is left to give up.
    complete: bool,
}

impl<'q, R: Format, H: Hal> Builder<'q, R, H> {
    /// Starts a request whose head is the next free descriptor; its payload may be parked there already.
    #[inline]
    pub(super) fn new(
        ring: &'q mut R,
        slots: &'q mut Slots,
        area: &'q mut RequestArea<H>,
        hal: &'q H,
        expected: usize,
        order: u64,
    ) -> Self {
        let id = slots.free_first;
        let direct = plan::<R>(expected, slots);
        let marks = Marks::RECORDED | slots.always;
        Self {
            ring,
            slots,
            area,
            hal,
            id,
            expected: u32::try_from(expected).unwrap_or(u32::MAX),
            direct,
            first_direct: direct,
            cursor: id,
            head: Head { order, marks, ..Head::FREE },
            segments: 0,
            bytes: 0,
            last: Last::Nothing,
            overflow: false,
            complete: false,
        }
    }

    /// Appends a segment, and keeps its record.
    #[inline]
    fn push(&mut self, shared: SharedPart) -> Result<(), Error> {
        let len = u32::try_from(shared.segment.len).map_err(|_| Misuse::BufferTooLong)?;
        let bytes = self.bytes.wrapping_add(u64::from(len));
        if bytes > MOST_BYTES {
            return Err(Misuse::BufferTooLong.into());
        }
        if self.segments >= u32::from(self.slots.longest()) {
            return Err(Misuse::TooManySegments.into());
        }
        let writes = shared.direction.device_writes();
        let segments = self.segments.wrapping_add(1);
        let next_flag = if segments < self.expected { NEXT } else { 0 };
        let flags = next_flag | if writes { WRITE } else { 0 };
        let entry = Entry { addr: shared.segment.device.get(), len, flags };
        if self.direct > 0 {
            let at = self.take_descriptor()?;
            if self.direct != ALL {
                self.direct = self.direct.wrapping_sub(1);
            }
            self.slots.part_mut(at).keep(&shared, len);
            self.amend_last(segments > self.expected, NEXT);
            self.ring.put(self.id, at, self.cursor, at == self.id, entry);
            self.last = Last::Descriptor { at, next: self.cursor, entry };
        } else {
            if self.head.in_table == 0 {
                // The descriptor that leads to the table; in a mixed chain it comes after the direct ones.
                let at = self.take_descriptor()?;
                *self.slots.part_mut(at) = Record::NOTHING;
            }
            let at = self.head.in_table;
            let Some(record) = self.slots.table_part_mut(self.id, at) else {
                self.overflow = true;
                return Err(Misuse::TooManySegments.into());
            };
            record.keep(&shared, len);
            self.head.in_table = at.wrapping_add(1);
            self.amend_last(segments > self.expected, NEXT);
            self.area.table(self.id).put(at, self.ring.table_entry(entry, at.wrapping_add(1)));
            self.last = Last::Table { at, entry };
        }
        if !shared.is_direct() {
            self.head.marks.insert(Marks::UNDO);
        }
        if writes {
            self.head.room = self.head.room.saturating_add(len);
        }
        self.segments = segments;
        self.bytes = bytes;
        Ok(())
    }

    /// Takes the next descriptor of the ring.
    #[inline]
    fn take_descriptor(&mut self) -> Result<Slot, Misuse> {
        if i32::from(self.head.taken) >= self.slots.free_count {
            return Err(Misuse::QueueFull);
        }
        let at = self.cursor;
        self.cursor = self.slots.link(at);
        self.head.last = at;
        self.head.taken = self.head.taken.wrapping_add(1);
        Ok(at)
    }

    /// Writes the last entry again, where the guess about its `NEXT` was wrong.
    #[inline]
    fn amend_last(&mut self, wrong: bool, next_flag: u16) {
        if wrong {
            self.amend(next_flag);
        }
    }

    #[cold]
    fn amend(&mut self, next_flag: u16) {
        let amended = |entry: Entry| Entry { flags: (entry.flags & !NEXT) | next_flag, ..entry };
        match self.last {
            Last::Nothing => {}
            Last::Descriptor { at, next, entry } => {
                self.ring.amend(self.id, at, next, at == self.id, amended(entry));
            }
            Last::Table { at, entry } => {
                let raw = self.ring.table_entry(amended(entry), at.wrapping_add(1));
                self.area.table(self.id).put(at, raw);
            }
        }
    }

    /// Appends a header, copied to its place.
    pub(super) fn push_header(&mut self, copied: Copied<'_>) -> Result<(), Error> {
        if copied.is_empty() {
            return Ok(());
        }
        let part = self.area.put_header(self.id, copied)?;
        self.push_framed(part, copied.header.len())
    }

    /// Appends memory of the driver's own.
    pub(super) fn push_own(&mut self, part: SharedPart) -> Result<(), Error> {
        self.push(part)
    }

    /// Appends memory of the driver's own; in two, from byte `at` on, where the device wants them apart.
    fn push_framed(&mut self, part: SharedPart, at: usize) -> Result<(), Error> {
        let len = part.segment.len;
        let second = part.segment.device.checked_add(at);
        match second.filter(|_| self.slots.framed() && at > 0 && at < len) {
            Some(second) => {
                self.push(SharedPart::own(part.segment.device, at, part.direction))?;
                self.push(SharedPart::own(second, len.saturating_sub(at), part.direction))
            }
            None => self.push(part),
        }
    }

    /// Appends the place for a response: device-writable, but not payload.
    pub(super) fn push_response(&mut self, len: usize) -> Result<(), Error> {
        if len > 0 {
            self.head.payload_room = self.head.room;
            self.head.marks.insert(Marks::RESPONSE);
            let part = self.area.response(self.id, len)?;
            self.push_framed(part, len.saturating_sub(1))
        } else {
            Ok(())
        }
    }

    /// Shares the first `count` buffers of the parked payload that go in `direction`, and appends them.
    #[inline]
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
    #[inline]
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
    #[inline]
    pub(super) fn finish(&mut self, entries: u64, counts: &mut Counts) -> Result<Slot, Error> {
        if self.segments == 0 {
            return Err(Misuse::EmptyRequest.into());
        }
        // A buffer that is empty has no segment: then fewer came than expected.
        self.amend_last(self.segments < self.expected, 0);
        if self.head.in_table > 0 {
            let at = self.head.last;
            let (device, len) = self.area.table(self.id).address(self.head.in_table);
            let entry = Entry { addr: device.get(), len, flags: INDIRECT };
            self.ring.put(self.id, at, at, at == self.id, entry);
        }
        let record = self.slots.head_mut(self.id);
        let parked = record.marks & Marks::PARKED;
        *record = Head { state: State::Other, marks: self.head.marks | parked, ..self.head };
        if entries != 0 {
            record.marks.insert(Marks::ENTRIES);
            self.slots.set_entries(self.id, entries);
        }
        self.slots.free_first = self.cursor;
        self.slots.free_count = self.slots.free_count.wrapping_sub(i32::from(self.head.taken));
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
        self.first_direct =
            if R::MIXED && self.slots.mixed() && more < self.slots.size().get() { more } else { ALL };
        self.direct = self.first_direct;
        self.cursor = self.id;
        let marks = Marks::RECORDED | self.slots.always;
        self.head = Head { order: self.head.order, marks, ..Head::FREE };
        (self.segments, self.bytes, self.last, self.overflow) = (0, 0, Last::Nothing, false);
        self.complete = false;
        true
    }

    /// Gives the request up: ends its segments. The payload stays parked.
    #[cold]
    fn give_up(&mut self) {
        // If the Hal panics below, nothing is ended twice: not by a drop, and not as if the request were in flight. The payload
        // stays parked until the queue is released.
        self.complete = true;
        self.ring.rewind();
        let parked = self.slots.head(self.id).marks & Marks::PARKED;
        let marks = self.head.marks | parked;
        *self.slots.head_mut(self.id) = Head { order: Head::FREE.order, marks, ..self.head };
        // SAFETY: the device was never told of them, and they are ended only here.
        unsafe { self.slots.end_segments(self.hal, self.id, 0) };
        *self.slots.head_mut(self.id) = Head { marks: parked, ..Head::FREE };
    }

    /// Gives the request up; its payload comes back.
    pub(super) fn reject<P>(mut self, parked: Parked<P>) -> P {
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
