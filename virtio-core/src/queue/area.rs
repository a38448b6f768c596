//! Request headers, responses and indirect tables, in DMA memory, one place per descriptor (a room of unsafe code).
//!
//! A header or status byte on a kernel's stack cannot be lent to a device, and a heap allocation per request is slow. So
//! each queue has places for them, taken once and indexed by the head of the request.
//!
//! **Area In Place**: `headers`, `responses` and `tables` hold `size` places of their stride each; place *i* belongs to the
//! request whose head is *i*. The driver writes a header or table, and wipes a response, only while its head is not in flight,
//! and copies a response out, byte by byte and once, only after its used element (I-SHADOW).
#![expect(unsafe_code, reason = "copies headers in and responses out")]

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::request::Copied;
use super::slots::Slot;
use super::virtqueue::Setup;
use crate::dma::{Region, SharedPart};
use crate::hal::Direction;
use crate::{DeviceAddr, Error, Hal, Misuse, QueueSize};

/// Places start on a boundary that suits every wire structure.
const PLACE_ALIGN: usize = 16;

#[derive(Debug)]
struct Places<H: Hal> {
    region: Region<H>,
    room: usize,
    stride: usize,
}

impl<H: Hal + Clone> Places<H> {
    fn new(hal: &H, size: QueueSize, room: usize, direction: Direction) -> Result<Option<Self>, Error> {
        if room == 0 {
            return Ok(None);
        }
        let stride = room.checked_next_multiple_of(PLACE_ALIGN).ok_or(Misuse::BadLength)?;
        let bytes = stride.checked_mul(size.as_usize()).ok_or(Misuse::BadLength)?;
        let region = Region::new(hal.clone(), bytes, direction)?;
        Ok(Some(Self { region, room, stride }))
    }
}

impl<H: Hal> Places<H> {
    /// Byte offset of the place of `head`.
    fn offset(&self, head: Slot) -> usize {
        usize::from(head.get()).wrapping_mul(self.stride)
    }

    fn place(&self, head: Slot) -> NonNull<u8> {
        // SAFETY: Area In Place, Slot In Range.
        unsafe { self.region.ptr().add(self.offset(head)) }
    }

    fn part(&self, head: Slot, len: usize, direction: Direction) -> Result<SharedPart, Misuse> {
        if len > self.room {
            return Err(Misuse::NoRoomDeclared);
        }
        Ok(SharedPart::own(self.region.device_at(self.offset(head)), len, direction))
    }
}

/// The indirect table of one request (Area In Place).
pub(super) struct Table<'a> {
    /// Where it lies, and how many bytes there are.
    place: NonNull<u8>,
    room: usize,
    device: DeviceAddr,
    area: PhantomData<&'a mut ()>,
}

impl Table<'_> {
    /// Writes entry `at`.
    #[inline]
    pub(super) fn put(&mut self, at: u16, entry: [u64; 2]) {
        let offset = usize::from(at).wrapping_mul(ENTRY);
        if offset >= self.room {
            return;
        }
        // SAFETY: Area In Place: rooms are multiples of an entry, so all of it lies in the place.
        let place = unsafe { self.place.add(offset) }.cast::<[u64; 2]>();
        // SAFETY: as above; 16-byte aligned.
        unsafe { place.write(entry) };
    }

    /// Where the device sees it, and how many bytes so many entries have.
    pub(super) fn address(&self, entries: u16) -> (DeviceAddr, u32) {
        (self.device, u32::from(entries).wrapping_mul(16))
    }
}

/// The request area of one queue.
#[derive(Debug)]
pub(super) struct RequestArea<H: Hal> {
    headers: Option<Places<H>>,
    responses: Option<Places<H>>,
    /// Whether a place for a response is zeroed before it is used.
    wipes: bool,
    /// What the last byte of it is set to before it is used.
    status: Option<u8>,
    tables: Option<Places<H>>,
}

/// Bytes of an entry of an indirect table, in either format.
const ENTRY: usize = 16;

impl<H: Hal + Clone> RequestArea<H> {
    /// Makes room for a header, a response and a table for each descriptor, of the lengths that were declared. Once.
    pub(super) fn allocate(&mut self, hal: &H, setup: &Setup) -> Result<(), Error> {
        let size = setup.size;
        let table = usize::from(setup.table_entries()).saturating_mul(ENTRY);
        self.headers = Places::new(hal, size, setup.header_room, Direction::ToDevice)?;
        self.responses = Places::new(hal, size, setup.response_room, Direction::FromDevice)?;
        self.wipes = setup.wipes_responses;
        self.status = setup.status;
        self.tables = Places::new(hal, size, table, Direction::ToDevice)?;
        Ok(())
    }
}

impl<H: Hal> RequestArea<H> {
    /// No room for anything.
    pub(super) const EMPTY: Self =
        Self { headers: None, responses: None, wipes: false, status: None, tables: None };

    /// Says that the memory will never be freed.
    pub(super) fn report_leak(&self) {
        for places in [&self.headers, &self.responses, &self.tables].into_iter().flatten() {
            places.region.report_leak();
        }
    }

    /// Copies a header, and what follows it, into the place of `head`. Only for a head that is not in flight.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn put_header(&mut self, head: Slot, copied: Copied<'_>) -> Result<SharedPart, Misuse> {
        if !copied.data.is_empty() {
            return self.put_header_and_data(head, copied);
        }
        let places = self.headers.as_ref().ok_or(Misuse::NoRoomDeclared)?;
        let part = places.part(head, copied.header.len(), Direction::ToDevice)?;
        // SAFETY: Area In Place: the place has room for it (`part` has checked) and nobody else uses it.
        unsafe { copy_header(copied.header, places.place(head)) };
        Ok(part)
    }

    #[inline(never)]
    fn put_header_and_data(&mut self, head: Slot, copied: Copied<'_>) -> Result<SharedPart, Misuse> {
        let Copied { header, data } = copied;
        let places = self.headers.as_ref().ok_or(Misuse::NoRoomDeclared)?;
        let len = header.len().saturating_add(data.len());
        let mut part = places.part(head, len, Direction::ToDevice)?;
        let place = places.place(head);
        // The data begin where words do, if that leaves room: copying a frame byte by byte takes ten times as long.
        let lead = header.len().wrapping_neg() & (PLACE_ALIGN - 1);
        let lead = if lead.saturating_add(len) <= places.stride { lead } else { 0 };
        part.segment.device = places.region.device_at(places.offset(head).wrapping_add(lead));
        // SAFETY: Area In Place: the place is `stride` long, has room for all of this, and nobody else uses it.
        let start = unsafe { place.add(lead) };
        // SAFETY: as above.
        unsafe { copy_header(header, start) };
        // SAFETY: as above.
        let behind = unsafe { start.add(header.len()) };
        // SAFETY: as above.
        unsafe { behind.copy_from_nonoverlapping(NonNull::from(data).cast(), data.len()) };
        Ok(part)
    }

    /// Copies a header to where one of the same length was put before (Prepared). Answers its length.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn put_header_again(&mut self, head: Slot, header: &[u8]) -> u32 {
        if let Some(places) = &self.headers {
            let [len, ..] = header.len().to_le_bytes();
            // SAFETY: Area In Place: the place has room for it, as it had before, and nobody else uses it.
            unsafe { copy_header(header, places.place(head)) };
            return u32::from(len);
        }
        0
    }

    /// Makes the place ready for a response of `len` bytes, as one was before (Prepared). Answers that length.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn response_again(&mut self, head: Slot, len: usize) -> u32 {
        if let Some(places) = self.responses.as_ref().filter(|_| self.wipes || self.status.is_some()) {
            // SAFETY: Area In Place: the place has room for it, as it had before, and nobody else uses it.
            unsafe { self.preset(places.place(head), len) };
        }
        let [len, ..] = len.to_le_bytes();
        u32::from(len)
    }

    /// Presets a place for a response, as the queue was declared.
    ///
    /// # Safety
    /// `len` bytes from `place` on lie in one place (Area In Place), and nobody else uses them.
    #[inline]
    unsafe fn preset(&self, place: NonNull<u8>, len: usize) {
        if self.wipes {
            // SAFETY: the caller's promise.
            unsafe { place.write_bytes(0, len) };
        }
        if let (Some(status), Some(last)) = (self.status, len.checked_sub(1)) {
            // SAFETY: the caller's promise, and `last < len`.
            let last = unsafe { place.add(last) };
            // SAFETY: as above.
            unsafe { last.write(status) };
        }
    }

    /// The place for a response of `len` bytes to the request of `head`. Only for a head that is not in flight.
    pub(super) fn response(&mut self, head: Slot, len: usize) -> Result<SharedPart, Misuse> {
        let places = self.responses.as_ref().ok_or(Misuse::NoRoomDeclared)?;
        let part = places.part(head, len, Direction::FromDevice)?;
        // SAFETY: Area In Place: the place has room for so many bytes (`part` has checked) and nobody else uses it.
        unsafe { self.preset(places.place(head), len) };
        Ok(part)
    }

    /// The table of `head`. Only for a head that is not in flight.
    #[inline]
    pub(super) fn table(&mut self, head: Slot) -> Table<'_> {
        match &self.tables {
            Some(places) => Table {
                place: places.place(head),
                room: places.room,
                device: places.region.device_at(places.offset(head)),
                area: PhantomData,
            },
            None => {
                Table { place: NonNull::dangling(), room: 0, device: DeviceAddr::new(0), area: PhantomData }
            }
        }
    }

    /// Copies bytes `from..` of the response of `len` bytes to `head` into `bytes`, as many as both have; answers how many.
    /// Each byte is read once.
    pub(super) fn read_response(&self, head: Slot, len: usize, from: usize, bytes: &mut [u8]) -> usize {
        let Some(places) = &self.responses else { return 0 };
        let rest = len.min(places.room).saturating_sub(from);
        let len = rest.min(bytes.len());
        if len == 0 {
            return 0;
        }
        // SAFETY: Area In Place: `from < room`, and `len` bytes from there are in the place.
        let place = unsafe { places.place(head).add(from) };
        // SAFETY: as above.
        unsafe { read_once(place, bytes.get_mut(..len).unwrap_or_default()) };
        len
    }
}

/// Copies a header to `place`: a few words, if both are aligned to them, for a call of `memcpy` takes longer.
///
/// # Safety
/// As many bytes from `place` on lie in one place of a live region (Area In Place), and nobody else uses it.
#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn copy_header(header: &[u8], place: NonNull<u8>) {
    // Half words, for some headers are 12 bytes long.
    type Word = u32;
    const WORD: usize = size_of::<Word>();
    let source = header.as_ptr().cast::<Word>();
    let target = place.cast::<Word>();
    let whole = header.len() & (WORD - 1) == 0 && header.len() <= 16 * WORD;
    if !(whole && source.is_aligned() && target.is_aligned()) {
        // SAFETY: the caller's promise.
        return unsafe { place.copy_from_nonoverlapping(NonNull::from(header).cast(), header.len()) };
    }
    for at in 0..header.len() >> WORD.trailing_zeros() {
        // SAFETY: `header` has so many words, and they are aligned.
        let word = unsafe { source.add(at) };
        // SAFETY: as above.
        let word = unsafe { word.read() };
        // SAFETY: the caller's promise, and aligned.
        let target = unsafe { target.add(at) };
        // SAFETY: as above. Volatile, lest it becomes a call of `memcpy`.
        unsafe { target.write_volatile(word) };
    }
}

/// Copies what lies at `place` into `bytes`, reading each byte once: by words where it is aligned to them. A lying device may
/// still write it, and any bytes will do.
///
/// # Safety
/// `bytes.len()` bytes from `place` on lie in one place of a live region (Area In Place).
unsafe fn read_once(place: NonNull<u8>, bytes: &mut [u8]) {
    const WORD: usize = size_of::<u64>();
    let aligned = place.cast::<u64>().is_aligned();
    let (words, tail) = bytes.split_at_mut(if aligned { bytes.len() & !(WORD - 1) } else { 0 });
    let behind_words = words.len();
    for (at, word) in words.chunks_exact_mut(WORD).enumerate() {
        // SAFETY: the caller's promise: `words` is no longer than what lies at `place`, which is aligned.
        let source = unsafe { place.cast::<u64>().add(at) };
        // SAFETY: as above.
        word.copy_from_slice(&unsafe { source.read_volatile() }.to_ne_bytes());
    }
    for (at, byte) in tail.iter_mut().enumerate() {
        // SAFETY: the caller's promise: the tail follows the words.
        let source = unsafe { place.add(behind_words.wrapping_add(at)) };
        // SAFETY: as above.
        *byte = unsafe { source.read_volatile() };
    }
}
