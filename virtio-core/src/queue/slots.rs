//! What the driver believes about its requests, in private memory (a room of unsafe code).
//!
//! **Shadow Agrees**: for every request in flight there is a private record of what the device may use for it. Chains are
//! walked here, never in shared memory (I-SHADOW).
//!
//! **Slots In Place**: the private pages hold `size` records of each kind and `size` payload places of `kind`'s layout,
//! at the offsets computed in `new`; all are initialised for as long as the value lives.
//!
//! **Slot In Range**: a [`Slot`] is less than the size of the queue that made it, and never leaves that queue: it is made by
//! `Slots::slot`, which checks, or read from the private links, which hold nothing else.
//!
//! **Parked Once**: `PARKED` is set in head *i* exactly while payload place *i* holds a live value of `kind`'s type.
#![expect(unsafe_code, reason = "keeps records and payloads in private pages")]

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::task::Waker;

use super::cold::{Cold, Place};
use super::kind::PayloadKind;
use crate::dma::{Lend, Private, SharedPart, Stretch};
use crate::hal::Direction;
use crate::{Error, Hal, Misuse, QueueSize};

/// The index of a descriptor, or of a request by its first descriptor (Slot In Range).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Slot(u16);

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
    payload: PhantomData<P>,
}

/// Where a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum State {
    /// No request has this head.
    Free,
    /// The device may use its memory.
    InFlight,
    /// The device has used it; nobody has asked for it yet.
    Used,
    /// Handed out as a completion.
    Taken,
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
    }
}

/// What the driver knows of the request that a descriptor heads.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Head {
    /// How many requests were added to the queue before it: tells it from earlier ones with the same head.
    pub(super) order: u64,
    /// Bytes that the device may write: of the payload, and of the response area.
    pub(super) payload_room: u32,
    pub(super) response_room: u32,
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
    /// The attachment whose entries the request names, with `ENTRIES`.
    pub(super) entries: u64,
}

impl Head {
    pub(super) const FREE: Self = Self {
        order: 0,
        payload_room: 0,
        response_room: 0,
        claimed: 0,
        taken: 0,
        last: Slot(0),
        state: State::Free,
        marks: Marks::empty(),
        in_table: 0,
        next_used: 0,
        entries: 0,
    };
}

/// The private records of one queue. They lie in pages that the queue's cold half owns.
pub(super) struct Slots {
    heads: NonNull<Head>,
    /// The next descriptor of its chain, or of the free list.
    links: NonNull<Slot>,
    /// What has to be ended for each descriptor, and for each entry of each indirect table.
    undo: NonNull<SharedPart>,
    payloads: NonNull<u8>,
    wakers: NonNull<Option<Waker>>,
    kind: PayloadKind,
    stride: usize,
    size: QueueSize,
    table_room: u16,
    pub(super) free_first: Slot,
    /// With `IN_ORDER`: the oldest descriptor that is not free.
    pub(super) oldest: Slot,
    /// With `IN_ORDER`: the oldest request in flight, and where the next will be if there is none.
    pub(super) in_flight_first: Slot,
    pub(super) free_count: u32,
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

impl Slots {
    /// Allocates records for `size` descriptors and for `table_room` entries of an indirect table each. Answers the pages
    /// as well, and a place for the queue's cold half in them.
    pub(super) fn new<H: Hal>(
        hal: H,
        size: QueueSize,
        table_room: u16,
        kind: PayloadKind,
    ) -> Result<(Self, Private<H>, Place), Error> {
        let n = size.as_usize();
        let stride = kind.layout().pad_to_align().size();
        let parts = n.saturating_mul(usize::from(table_room).saturating_add(1));
        let place = || {
            let (layout, undo) = Layout::array::<Head>(n)?.extend(Layout::array::<SharedPart>(parts)?)?;
            let (layout, wakers) = layout.extend(Layout::array::<Option<Waker>>(n)?)?;
            let payloads = Layout::from_size_align(stride.saturating_mul(n), kind.layout().align())?;
            let (layout, payloads) = layout.extend(payloads)?;
            let (layout, links) = layout.extend(Layout::array::<Slot>(n)?)?;
            let (layout, cold) = layout.extend(Layout::new::<Cold<H>>())?;
            Ok::<_, core::alloc::LayoutError>((layout, undo, wakers, payloads, links, cold))
        };
        let (layout, undo, wakers, payloads, links, cold) = place().map_err(|_| Misuse::BadLength)?;
        if layout.align() > 4096 {
            return Err(Misuse::BadLength.into());
        }
        let pages = Private::new(hal, layout.size())?;
        let base = pages.ptr();
        let mut slots = Self {
            heads: base.cast(),
            // SAFETY: the layout has this offset inside the pages.
            undo: unsafe { base.add(undo) }.cast(),
            // SAFETY: likewise.
            wakers: unsafe { base.add(wakers) }.cast(),
            // SAFETY: likewise.
            payloads: unsafe { base.add(payloads) },
            // SAFETY: likewise.
            links: unsafe { base.add(links) }.cast(),
            kind,
            stride,
            size,
            table_room,
            free_first: Slot(0),
            oldest: Slot(0),
            in_flight_first: Slot(0),
            free_count: 0,
        };
        for at in 0..n {
            // SAFETY: `at < n`, the array's length.
            let waker = unsafe { slots.wakers.add(at) };
            // SAFETY: in bounds; initialises the place.
            unsafe { waker.write(None) };
        }
        for at in 0..parts {
            // SAFETY: `at < parts`, the array's length.
            let part = unsafe { slots.undo.add(at) };
            // SAFETY: in bounds; initialises the record.
            unsafe { part.write(SharedPart::NOTHING) };
        }
        slots.clear();
        // SAFETY: the layout has this offset inside the pages.
        let cold = unsafe { base.add(cold) };
        Ok((slots, pages, Place(cold)))
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
        self.free_count = u32::from(self.size.get());
    }

    pub(super) const fn size(&self) -> QueueSize {
        self.size
    }

    pub(super) const fn table_room(&self) -> u16 {
        self.table_room
    }

    pub(super) fn kind_is<P: 'static>(&self) -> bool {
        self.kind.is::<P>()
    }

    /// The slot of that number, if there is one.
    pub(super) fn slot(&self, number: u32) -> Option<Slot> {
        let slot = u16::try_from(number).ok()?;
        (slot < self.size.get()).then_some(Slot(slot))
    }

    /// All slots.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.size.get()).map(Slot)
    }

    pub(super) fn head(&self, slot: Slot) -> &Head {
        // SAFETY: Slots In Place, Slot In Range.
        let head = unsafe { self.heads.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { head.as_ref() }
    }

    pub(super) fn head_mut(&mut self, slot: Slot) -> &mut Head {
        // SAFETY: Slots In Place, Slot In Range.
        let mut head = unsafe { self.heads.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { head.as_mut() }
    }

    pub(super) fn link(&self, slot: Slot) -> Slot {
        // SAFETY: Slots In Place, Slot In Range.
        let link = unsafe { self.links.add(slot.at()) };
        // SAFETY: as above.
        unsafe { link.read() }
    }

    pub(super) fn set_link(&mut self, slot: Slot, next: Slot) {
        // SAFETY: Slots In Place, Slot In Range.
        let link = unsafe { self.links.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { link.write(next) };
    }

    /// The record of the segment that descriptor `slot` carries.
    pub(super) fn part(&self, slot: Slot) -> &SharedPart {
        // SAFETY: Slots In Place, Slot In Range.
        let part = unsafe { self.undo.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { part.as_ref() }
    }

    /// As [`Slots::part`].
    pub(super) fn part_mut(&mut self, slot: Slot) -> &mut SharedPart {
        // SAFETY: Slots In Place, Slot In Range.
        let mut part = unsafe { self.undo.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { part.as_mut() }
    }

    fn table_place(&self, slot: Slot, at: u16) -> Option<NonNull<SharedPart>> {
        if at >= self.table_room {
            return None;
        }
        let before = slot.at().saturating_mul(usize::from(self.table_room)).saturating_add(usize::from(at));
        // SAFETY: Slots In Place: behind the `size` records of descriptors there are `table_room` for each slot.
        Some(unsafe { self.undo.add(self.size.as_usize().saturating_add(before)) })
    }

    /// The record of entry `at` of the table of `slot`.
    pub(super) fn table_part(&self, slot: Slot, at: u16) -> Option<&SharedPart> {
        // SAFETY: Slots In Place, borrowed with `self`.
        self.table_place(slot, at).map(|part| unsafe { part.as_ref() })
    }

    /// As [`Slots::table_part`].
    pub(super) fn table_part_mut(&mut self, slot: Slot, at: u16) -> Option<&mut SharedPart> {
        // SAFETY: Slots In Place, borrowed with `self`.
        self.table_place(slot, at).map(|mut part| unsafe { part.as_mut() })
    }

    /// The waker of whoever waits for `slot`.
    pub(super) fn waker_mut(&mut self, slot: Slot) -> &mut Option<Waker> {
        // SAFETY: Slots In Place, Slot In Range.
        let mut waker = unsafe { self.wakers.add(slot.at()) };
        // SAFETY: as above, borrowed with `self`.
        unsafe { waker.as_mut() }
    }

    fn place(&self, slot: Slot) -> NonNull<u8> {
        // SAFETY: Slots In Place, Slot In Range.
        unsafe { self.payloads.add(slot.at().saturating_mul(self.stride)) }
    }

    /// Parks a payload in the place of `slot`.
    ///
    /// # Safety
    /// The queue carries `P`, and the head is not `PARKED`.
    pub(super) unsafe fn park<P>(&mut self, slot: Slot, payload: P) -> Parked<P> {
        // SAFETY: Slots In Place and the caller's promise: room and alignment for a P; Parked Once: nothing is there.
        unsafe { self.place(slot).cast::<P>().write(payload) };
        self.head_mut(slot).marks.insert(Marks::PARKED);
        Parked { slot, payload: PhantomData }
    }

    /// Takes back what `parked` is the proof of. Only on the queue that made the proof, and before the device was told.
    pub(super) fn take_back<P>(&mut self, parked: Parked<P>) -> P {
        self.head_mut(parked.slot).marks.remove(Marks::PARKED);
        // SAFETY: Parked Once: the proof says that a live P is there; proofs are neither copied nor kept past the
        // request's commit, so it has not been taken since.
        unsafe { self.place(parked.slot).cast::<P>().read() }
    }

    /// Takes the payload out of the place of `slot`, if one is there.
    ///
    /// # Safety
    /// The queue carries `P`; the device no longer uses its memory (I-RESET), and no sharing of it is open.
    pub(super) unsafe fn unpark<P>(&mut self, slot: Slot) -> Option<P> {
        let marks = &mut self.head_mut(slot).marks;
        if !marks.contains(Marks::PARKED) {
            return None;
        }
        marks.remove(Marks::PARKED);
        // SAFETY: Parked Once: a live P was there, and the mark has just been cleared.
        Some(unsafe { self.place(slot).cast::<P>().read() })
    }

    /// Drops the payload in the place of `slot`, if there is one.
    ///
    /// # Safety
    /// The device no longer uses its memory (I-RESET), and no sharing of it is open.
    pub(super) unsafe fn drop_parked(&mut self, slot: Slot) {
        let marks = &mut self.head_mut(slot).marks;
        if marks.contains(Marks::PARKED) {
            marks.remove(Marks::PARKED);
            // SAFETY: Parked Once, and `kind` describes the type of every payload here.
            unsafe { (self.kind.drop())(self.place(slot)) };
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
        let place = self.place(parked.slot).cast::<P>();
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
