//! What the driver believes about its requests, in private memory (a room of unsafe code).
//!
//! **Shadow Agrees**: for every request in flight there is a private record of what the device may use for it. Chains are
//! walked here, never in shared memory (I-SHADOW).
//!
//! **Slots In Place**: the private pages hold `size` records of each kind and `size` payload places of `kind`'s layout,
//! at the offsets of `Offsets`; all are initialised for as long as the value lives.
//!
//! **Slot In Range**: a [`Slot`] is less than the size of the queue that made it, and never leaves that queue: it is made by
//! `Slots::slot`, which checks, or read from the private links, which hold nothing else.
//!
//! **Parked Once**: `PARKED` is set in head *i* exactly while payload place *i* holds a live value of `kind`'s type.
#![expect(unsafe_code, reason = "keeps records and payloads in private pages")]

use core::alloc::{Layout, LayoutError};
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::asynchronous::Seat;
use super::cold::{Cold, ColdBox, Place};
use super::kind::PayloadKind;
use super::virtqueue::Setup;
use crate::abi::features::Features;
use crate::dma::{Lend, Private, Record, Stretch};
use crate::hal::Direction;
use crate::{Error, Hal, Misuse, QueueSize};

/// The index of a descriptor, or of a request by its first descriptor (Slot In Range).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Slot(u16);

impl Slot {
    pub(super) const fn get(self) -> u16 {
        self.0
    }

    fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// # Safety
/// `place` holds a live `P` that is used no more.
pub(super) unsafe fn drop_payload<P>(place: NonNull<u8>) {
    // SAFETY: the caller's promise.
    unsafe { place.cast::<P>().drop_in_place() };
}

/// The proof that a payload of type `P` was parked at a slot, and not taken since.
#[derive(Debug)]
#[must_use]
pub(super) struct Parked<P> {
    slot: Slot,
    payload: PhantomData<fn(P) -> P>,
}

/// Set in `Head::order` unless the device may use the request's memory.
pub(super) const DONE: u64 = 1 << 63;

/// Where a request stands, together with [`DONE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum State {
    /// In flight; or, if it is `DONE`, handed out as a completion, or no request at all.
    Other,
    /// The device has used it; nobody has asked for it yet.
    Used,
    /// Done with, but its descriptors wait for those of older requests: with `IN_ORDER` they are given back in order.
    Spent,
}

bitflags::bitflags! {
    /// What else is known of a request.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Marks: u8 {
        /// Its payload is in its place (Parked Once).
        const PARKED = 1;
        /// Each of its segments has a record.
        const RECORDED = 2;
        /// It names an attachment.
        const ENTRIES = 4;
        /// Somebody waits for it with a waker.
        const WAKER = 8;
        /// Nobody waits for it any more: it ends when the device is done.
        const ABANDONED = 16;
        /// Some of its recorded segments have to be ended through the Hal.
        const UNDO = 32;
        /// It has a place for a response, behind the payload.
        const RESPONSE = 64;
        /// Its descriptors are given back in the order in which they were taken.
        const IN_ORDER = 128;
        /// All that asks for more than taking the payload when the device is done.
        const SPECIAL = Self::WAKER.bits() | Self::ABANDONED.bits() | Self::UNDO.bits();
    }
}

/// What the driver knows of the request that a descriptor heads.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Head {
    /// How many requests were added to the queue before it, which tells it from earlier ones with the same head; with
    /// [`DONE`] if it is not in flight. So a request that the device may use is one whose order is below what was shown.
    pub(super) order: u64,
    /// Bytes that the device may write: all, and with `RESPONSE` those of the payload, which come first.
    pub(super) room: u32,
    pub(super) payload_room: u32,
    /// What the device says it wrote.
    pub(super) claimed: u32,
    /// Descriptors of the ring that it takes.
    pub(super) taken: u16,
    /// The last of them.
    pub(super) last: Slot,
    pub(super) state: State,
    pub(super) marks: Marks,
    /// How many of its segments have their record with the table.
    pub(super) in_table: u16,
    /// The next request in the list of used ones.
    pub(super) next_used: u16,
    /// What the table of this slot was last written for (Prepared).
    pub(super) shape: Shape,
}

/// The usual request: a header, one buffer, a response, all in a table. Which lengths the two in the driver's own memory have;
/// 0 for anything else.
///
/// **Prepared**: while a head has a shape, the first and the third entry of its table, and their records, are those of a request
/// of that shape, for both say the same each time. Whatever writes a table in another way takes the shape away first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Shape(u16);

impl Shape {
    pub(super) const NONE: Self = Self(0);
    /// Entries of its table.
    pub(super) const ENTRIES: u16 = 3;

    #[inline]
    pub(super) const fn new(header: usize, response: usize) -> Self {
        if header != 0 && header <= 0xff && response != 0 && response <= 0xff {
            let [header, ..] = header.to_le_bytes();
            let [response, ..] = response.to_le_bytes();
            Self(u16::from_le_bytes([header, response]))
        } else {
            Self::NONE
        }
    }
}

const _: () = assert!(size_of::<Head>() == 32);

impl Head {
    /// Whether the device may use its memory, once it was shown.
    pub(super) const fn in_flight(&self) -> bool {
        self.order & DONE == 0
    }

    /// Whether its segments are yet to be ended.
    pub(super) fn is_open(&self) -> bool {
        self.in_flight() || self.state == State::Used
    }
}

impl Head {
    pub(super) const FREE: Self = Self {
        order: DONE,
        room: 0,
        payload_room: 0,
        claimed: 0,
        taken: 0,
        last: Slot(0),
        state: State::Other,
        marks: Marks::empty(),
        in_table: 0,
        next_used: 0,
        shape: Shape::NONE,
    };
}

/// The private records of one queue. They lie in pages that the queue's cold half owns.
pub(super) struct Slots {
    heads: NonNull<Head>,
    /// The next descriptor of its chain, or of the free list.
    links: NonNull<Slot>,
    /// What has to be ended for each descriptor, and for each entry of each indirect table.
    records: NonNull<Record>,
    payloads: NonNull<u8>,
    seats: NonNull<Seat>,
    kind: PayloadKind,
    size: QueueSize,
    table_room: u16,
    /// Segments of a chain that has scattered buffers, at most.
    longest: u16,
    /// Header, data and status have descriptors of their own.
    framed: bool,
    /// Whether chains may begin in the ring and end in a table.
    mixed: bool,
    pub(super) free_first: Slot,
    /// With `IN_ORDER`: the oldest descriptor that is not free.
    pub(super) oldest: Slot,
    /// With `IN_ORDER`: the oldest request in flight, and where the next will be if there is none.
    pub(super) in_flight_first: Slot,
    /// The first of the seats that are taken, or `NONE`.
    pub(super) seated: u16,
    /// How many descriptors are free; far below 0 while the queue is closed.
    pub(super) free_count: i32,
    /// Marks of every request: `IN_ORDER` if that was negotiated.
    pub(super) always: Marks,
}

// SAFETY: the records lie in pages that belong to the same queue, and are reached through this value alone; payloads are
// `Send` (`Lend`), wakers too, and both are handed over by value.
unsafe impl Send for Slots {}
// SAFETY: `&Slots` gives out copies of plain records only.
unsafe impl Sync for Slots {}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({} of {:?})", self.size.get(), self.kind)
    }
}

/// Where the parts lie in the pages, heads and attachments' numbers first.
struct Offsets {
    total: usize,
    /// How many records of segments there are.
    parts: usize,
    records: usize,
    seats: usize,
    payloads: usize,
    links: usize,
    cold: usize,
}

impl Offsets {
    /// `None` if that is too much to count, or too strictly aligned for pages.
    fn of<H: Hal>(setup: &Setup) -> Option<Self> {
        let n = setup.size.as_usize();
        let parts = n.saturating_mul(usize::from(setup.table_entries()).saturating_add(1));
        let payload = setup.payload.layout().pad_to_align();
        let mut layout = Layout::array::<Head>(n).ok()?;
        let mut place = |part: Result<Layout, LayoutError>| {
            let (longer, offset) = layout.extend(part.ok()?).ok()?;
            layout = longer;
            Some(offset)
        };
        // Behind the heads, without a gap.
        place(Layout::array::<u64>(n))?;
        let records = place(Layout::array::<Record>(parts))?;
        let seats = place(Layout::array::<Seat>(n))?;
        let payloads = place(Layout::from_size_align(payload.size().saturating_mul(n), payload.align()))?;
        let links = place(Layout::array::<Slot>(n))?;
        let cold = place(Ok(Layout::new::<Cold<H>>()))?;
        (layout.align() <= 4096).then_some(Self {
            total: layout.size(),
            parts,
            records,
            seats,
            payloads,
            links,
            cold,
        })
    }
}

impl Slots {
    /// Allocates the records, and the cold half, which lies in the same pages.
    pub(super) fn new<H: Hal + Clone>(hal: &H, setup: &Setup) -> Result<(Self, ColdBox<H>), Error> {
        let &Setup { size, payload: kind, .. } = setup;
        let Some(offsets) = Offsets::of::<H>(setup) else { return Err(Misuse::BadLength.into()) };
        let pages = Private::new(hal.clone(), offsets.total)?;
        let base = pages.ptr();
        let in_order = setup.features.contains(Features::IN_ORDER);
        let mut slots = Self {
            heads: base.cast(),
            // SAFETY: the layout has this offset inside the pages.
            records: unsafe { base.add(offsets.records) }.cast(),
            // SAFETY: likewise.
            seats: unsafe { base.add(offsets.seats) }.cast(),
            // SAFETY: likewise.
            payloads: unsafe { base.add(offsets.payloads) },
            // SAFETY: likewise.
            links: unsafe { base.add(offsets.links) }.cast(),
            kind,
            size,
            table_room: setup.table_entries(),
            longest: setup.longest.min(size.get()),
            framed: setup.framed,
            mixed: setup.mixed,
            free_first: Slot(0),
            oldest: Slot(0),
            in_flight_first: Slot(0),
            seated: super::virtqueue::NONE,
            free_count: 0,
            always: if in_order { Marks::IN_ORDER } else { Marks::empty() },
        };
        slots.initialise(offsets.parts);
        // SAFETY: the layout has this offset inside the pages.
        let cold = unsafe { base.add(offsets.cold) };
        Ok((slots, ColdBox::new(Place(cold), pages, setup.index)))
    }

    /// Writes every seat and record for the first time. `parts` is how many records of segments there are.
    fn initialise(&mut self, parts: usize) {
        for at in 0..self.size.as_usize() {
            // SAFETY: `at < size`, the array's length.
            let seat = unsafe { self.seats.add(at) };
            // SAFETY: in bounds; initialises the place.
            unsafe { seat.write(Seat::EMPTY) };
        }
        for at in 0..parts {
            // SAFETY: `at < parts`, the array's length.
            let part = unsafe { self.records.add(at) };
            // SAFETY: in bounds; initialises the record.
            unsafe { part.write(Record::NOTHING) };
        }
        self.clear();
    }

    /// Makes every record free, the descriptors linked in order and in a circle, as `IN_ORDER` wants them. Only when no
    /// payload is parked.
    pub(super) fn clear(&mut self) {
        for index in 0..self.size.get() {
            // SAFETY: `index < size`, the array's length.
            let head = unsafe { self.heads.add(usize::from(index)) };
            // SAFETY: in bounds; initialises the record.
            unsafe { head.write(Head::FREE) };
            // SAFETY: `index < size`, the array's length.
            let link = unsafe { self.links.add(usize::from(index)) };
            // SAFETY: in bounds; initialises the link (Slot In Range: reduced).
            unsafe { link.write(Slot(self.size.slot(index.wrapping_add(1)))) };
        }
        self.free_first = Slot(0);
        self.oldest = Slot(0);
        self.in_flight_first = Slot(0);
        self.free_count = i32::from_ne_bytes(u32::from(self.size.get()).to_ne_bytes());
    }

    pub(super) const fn size(&self) -> QueueSize {
        self.size
    }

    pub(super) const fn framed(&self) -> bool {
        self.framed
    }

    pub(super) const fn longest(&self) -> u16 {
        self.longest
    }

    pub(super) const fn mixed(&self) -> bool {
        self.mixed
    }

    pub(super) const fn table_room(&self) -> u16 {
        self.table_room
    }

    pub(super) fn kind_is<P: Lend>(&self) -> bool {
        self.kind.is::<P>()
    }

    /// The slot of that number, if there is one.
    #[inline]
    pub(super) fn slot(&self, number: u32) -> Option<Slot> {
        let [low, high, ..] = number.to_le_bytes();
        (number < u32::from(self.size.get())).then_some(Slot(u16::from_le_bytes([low, high])))
    }

    /// All slots.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.size.get()).map(Slot)
    }

    #[inline]
    pub(super) fn head(&self, slot: Slot) -> &Head {
        // SAFETY: Slots In Place, Slot In Range.
        let head = unsafe { self.heads.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { head.as_ref() }
    }

    #[inline]
    pub(super) fn head_mut(&mut self, slot: Slot) -> &mut Head {
        // SAFETY: Slots In Place, Slot In Range.
        let mut head = unsafe { self.heads.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { head.as_mut() }
    }

    /// The attachment whose entries a request names, with `ENTRIES`.
    fn entries_place(&self, slot: Slot) -> NonNull<u64> {
        // SAFETY: Slots In Place: behind the `size` heads there are as many numbers.
        let behind = unsafe { self.heads.add(self.size.as_usize()) }.cast::<u64>();
        // SAFETY: Slot In Range.
        unsafe { behind.add(slot.at()) }
    }

    pub(super) fn entries(&self, slot: Slot) -> u64 {
        // SAFETY: Slots In Place; zeroed pages hold valid numbers.
        unsafe { self.entries_place(slot).read() }
    }

    pub(super) fn set_entries(&mut self, slot: Slot, entries: u64) {
        // SAFETY: Slots In Place, borrowed with `self`.
        unsafe { self.entries_place(slot).write(entries) };
    }

    #[inline]
    pub(super) fn link(&self, slot: Slot) -> Slot {
        // SAFETY: Slots In Place, Slot In Range.
        let link = unsafe { self.links.add(slot.at()) };
        // SAFETY: as above.
        unsafe { link.read() }
    }

    #[inline]
    pub(super) fn set_link(&mut self, slot: Slot, next: Slot) {
        // SAFETY: Slots In Place, Slot In Range.
        let link = unsafe { self.links.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { link.write(next) };
    }

    /// The record of the segment that descriptor `slot` carries.
    pub(super) fn part(&self, slot: Slot) -> &Record {
        // SAFETY: Slots In Place, Slot In Range.
        let part = unsafe { self.records.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { part.as_ref() }
    }

    /// As [`Slots::part`].
    #[inline]
    pub(super) fn part_mut(&mut self, slot: Slot) -> &mut Record {
        // SAFETY: Slots In Place, Slot In Range.
        let mut part = unsafe { self.records.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { part.as_mut() }
    }

    fn table_place(&self, slot: Slot, at: u16) -> Option<NonNull<Record>> {
        if at >= self.table_room {
            return None;
        }
        let before = slot.at().saturating_mul(usize::from(self.table_room)).saturating_add(usize::from(at));
        // SAFETY: Slots In Place: behind the `size` records of descriptors there are `table_room` for each slot.
        Some(unsafe { self.records.add(self.size.as_usize().saturating_add(before)) })
    }

    /// The record of entry `at` of the table of `slot`.
    pub(super) fn table_part(&self, slot: Slot, at: u16) -> Option<&Record> {
        // SAFETY: Slots In Place, borrowed with `self`.
        self.table_place(slot, at).map(|part| unsafe { part.as_ref() })
    }

    /// As [`Slots::table_part`].
    pub(super) fn table_part_mut(&mut self, slot: Slot, at: u16) -> Option<&mut Record> {
        // SAFETY: Slots In Place, borrowed with `self`.
        self.table_place(slot, at).map(|mut part| unsafe { part.as_mut() })
    }

    /// The seat of whoever waits for `slot`.
    pub(super) fn seat(&self, slot: Slot) -> &Seat {
        // SAFETY: Slots In Place, Slot In Range.
        let seat = unsafe { self.seats.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { seat.as_ref() }
    }

    /// As [`Slots::seat`].
    pub(super) fn seat_mut(&mut self, slot: Slot) -> &mut Seat {
        // SAFETY: Slots In Place, Slot In Range.
        let mut seat = unsafe { self.seats.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { seat.as_mut() }
    }

    /// The place of a payload of type `P`, which the queue carries.
    ///
    /// # Safety
    /// The queue carries `P`.
    unsafe fn place<P>(&self, slot: Slot) -> NonNull<P> {
        // SAFETY: Slots In Place, Slot In Range: places of one type lie as in an array.
        unsafe { self.payloads.cast::<P>().add(slot.at()) }
    }

    /// Parks a payload in the place of `slot`, and marks its head.
    ///
    /// # Safety
    /// The queue carries `P`, and the head is not `PARKED`.
    #[inline]
    pub(super) unsafe fn park<P>(&mut self, slot: Slot, payload: P) -> Parked<P> {
        // SAFETY: the caller's promise.
        let place = unsafe { self.place::<P>(slot) };
        // SAFETY: room and alignment for a P; Parked Once: nothing is there.
        unsafe { place.write(payload) };
        self.head_mut(slot).marks = Marks::PARKED;
        Parked { slot, payload: PhantomData }
    }

    /// As [`Slots::park`]; the caller marks the head.
    ///
    /// # Safety
    /// As for [`Slots::park`], and the head is marked `PARKED`.
    #[inline(always)]
    pub(super) unsafe fn park_unmarked<P>(&mut self, slot: Slot, payload: P) {
        // SAFETY: the caller's promise.
        let place = unsafe { self.place::<P>(slot) };
        // SAFETY: room and alignment for a P; Parked Once: nothing is there.
        unsafe { place.write(payload) };
    }

    /// Takes back what `parked` is the proof of. Only on the queue that made the proof, and before the device was told.
    pub(super) fn take_back<P>(&mut self, parked: Parked<P>) -> P {
        self.head_mut(parked.slot).marks.remove(Marks::PARKED);
        // SAFETY: the proof says so.
        let place = unsafe { self.place::<P>(parked.slot) };
        // SAFETY: Parked Once: the proof says that a live P is there; proofs are neither copied nor kept past the
        // request's commit, so it has not been taken since.
        unsafe { place.read() }
    }

    /// Takes the payload out of the place of `slot`, if one is there.
    ///
    /// # Safety
    /// The queue carries `P`; the device no longer uses its memory (I-RESET), and no sharing of it is open.
    #[inline]
    pub(super) unsafe fn unpark<P>(&mut self, slot: Slot) -> Option<P> {
        let marks = self.head(slot).marks;
        // SAFETY: passed on.
        marks.contains(Marks::PARKED).then(|| unsafe { self.unpark_marked(slot, marks) })
    }

    /// Takes the payload out of the place of `slot`, whose head has these marks, `PARKED` among them.
    ///
    /// # Safety
    /// As for [`Slots::unpark`], and the head is `PARKED`.
    #[inline(always)]
    pub(super) unsafe fn unpark_marked<P>(&mut self, slot: Slot, marks: Marks) -> P {
        self.head_mut(slot).marks = marks.difference(Marks::PARKED);
        // SAFETY: the caller's promise.
        let place = unsafe { self.place::<P>(slot) };
        // SAFETY: Parked Once: a live P was there, and the mark has just been cleared.
        unsafe { place.read() }
    }

    /// Drops the payload in the place of `slot`, if there is one.
    ///
    /// # Safety
    /// The device no longer uses its memory (I-RESET), and no sharing of it is open.
    #[inline]
    pub(super) unsafe fn drop_parked(&mut self, slot: Slot) {
        let marks = &mut self.head_mut(slot).marks;
        if marks.contains(Marks::PARKED) {
            marks.remove(Marks::PARKED);
            let offset = slot.at().saturating_mul(self.kind.layout().pad_to_align().size());
            // SAFETY: Slots In Place, Slot In Range.
            let place = unsafe { self.payloads.add(offset) };
            // SAFETY: Parked Once, and `kind` describes the type of every payload here.
            unsafe { (self.kind.drop())(place) };
        }
    }

    /// Buffer `at` of the payload that `parked` is the proof of, of those that go in `direction`. Taken after parking, once
    /// (I-LOAN).
    pub(super) fn stretch<P: Lend>(
        &mut self,
        parked: &Parked<P>,
        direction: Direction,
        at: usize,
    ) -> Option<Stretch> {
        // SAFETY: the proof says so.
        let place = unsafe { self.place::<P>(parked.slot) };
        // Parked Once: a live P is there, nobody refers to it, and it is neither moved nor touched until it is unparked,
        // which needs the device to be done.
        if direction.device_writes() {
            // SAFETY: as above.
            unsafe { P::writable_at(place, at) }
        } else {
            // SAFETY: as above.
            unsafe { P::readable_at(place, at) }
        }
    }
}
