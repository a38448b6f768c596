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
        self.tables = Places::new(hal, size, table, Direction::ToDevice)?;
        Ok(())
    }
}

impl<H: Hal> RequestArea<H> {
    /// No room for anything.
    pub(super) const EMPTY: Self = Self { headers: None, responses: None, wipes: false, tables: None };

    /// Says that the memory will never be freed.
    pub(super) fn report_leak(&self) {
        for places in [&self.headers, &self.responses, &self.tables].into_iter().flatten() {
            places.region.report_leak();
        }
    }

    /// Copies `header` into the place of `head`. Only for a head that is not in flight.
    pub(super) fn put_header(&mut self, head: Slot, header: &[u8]) -> Result<SharedPart, Misuse> {
        let places = self.headers.as_ref().ok_or(Misuse::NoRoomDeclared)?;
        let part = places.part(head, header.len(), Direction::ToDevice)?;
        // SAFETY: Area In Place: the place has room for the header (`part` has checked) and nobody else uses it.
        unsafe { places.place(head).copy_from_nonoverlapping(NonNull::from(header).cast(), header.len()) };
        Ok(part)
    }

    /// The place for a response of `len` bytes to the request of `head`. Only for a head that is not in flight.
    pub(super) fn response(&mut self, head: Slot, len: usize) -> Result<SharedPart, Misuse> {
        let places = self.responses.as_ref().ok_or(Misuse::NoRoomDeclared)?;
        let part = places.part(head, len, Direction::FromDevice)?;
        if self.wipes {
            // SAFETY: Area In Place: the place has room for so many bytes (`part` has checked) and nobody else uses it.
            unsafe { places.place(head).write_bytes(0, len) };
        }
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

    /// Copies the first bytes of the response to `head` into `bytes`, as many as both have. Each byte is read once.
    pub(super) fn read_response(&self, head: Slot, len: usize, bytes: &mut [u8]) -> usize {
        let Some(places) = &self.responses else { return 0 };
        let place = places.place(head);
        let len = len.min(places.room).min(bytes.len());
        for (at, byte) in bytes.iter_mut().enumerate().take(len) {
            // SAFETY: Area In Place: `at < room`.
            let source = unsafe { place.add(at) };
            // SAFETY: as above; a lying device may still write it, and any byte will do.
            *byte = unsafe { source.read_volatile() };
        }
        len
    }
}
