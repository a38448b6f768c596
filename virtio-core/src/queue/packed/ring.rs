//! A packed virtqueue in shared memory (a room of unsafe code).
//!
//! **Packed In Place**: descriptor ring, driver's and device's event suppression lie in regions that the queue owns for as
//! long as this value is used, aligned as page-aligned regions and `layout` give. So every access below, at a place reduced
//! modulo `size`, is in bounds and aligned.
//!
//! **I-SHADOW**: of all this the driver reads back only what the device writes: the flags of the descriptor that is used
//! next, its id and length, and the device's event suppression, each by one load.
//!
//! **I-ORDER**: the flags of a list's first descriptor come last (`publish_flags`: a release), those of the first list of a
//! batch only when the batch is published; a full barrier lies between publishing and reading the device's event
//! suppression (`protocol`); an acquire between reading flags and the rest of a used descriptor.
#![expect(unsafe_code, reason = "reads and writes ring memory")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering, fence};

use super::layout::{EVENT_LEN, EVENT_OFFSET, ring_len};
use super::protocol::{self, PackedFields, place};
use crate::abi::packed::{PACKED_F_WRITE, PackedDescriptor};
use crate::dma::Region;
use crate::hal::Direction;
use crate::queue::format::{Counts, Entry, Format, UsedEntry};
use crate::queue::slots::Slot;
use crate::queue::split::Regions;
use crate::regs::BarrierClass;
use crate::transport::Rings;
use crate::{DeviceAddr, Error, Hal, Misbehaved, QueueIndex, QueueSize};

/// 16-bit cells in a descriptor, and which of them holds what.
const CELLS: usize = 8;
const LEN: usize = 4;
const ID: usize = 6;
const FLAGS: usize = 7;

/// The three parts of a packed virtqueue, and how far it has come. All counts are of descriptors.
#[derive(Debug)]
pub(in crate::queue) struct PackedRing {
    ring: NonNull<u16>,
    driver_event: NonNull<u16>,
    device_event: NonNull<u16>,
    /// Where the device sees the descriptor ring.
    device: DeviceAddr,
    /// Put so far, the request in the making included.
    put: u32,
    /// Put so far, by complete requests.
    added: u32,
    /// Made available.
    shown: u32,
    /// Covered by a notification.
    notified: u32,
    /// Used, as far as they were taken.
    used: u32,
    /// Flags of the first descriptor of the list in the making, and of the list that will be published first.
    first_flags: u16,
    held_flags: u16,
    size: QueueSize,
    class: BarrierClass,
    event_idx: bool,
}

// SAFETY: Packed In Place: the memory belongs to the queue, wherever both move together.
unsafe impl Send for PackedRing {}
// SAFETY: `&PackedRing` reads flags only, atomically.
unsafe impl Sync for PackedRing {}

impl PackedRing {
    /// Allocates a zeroed ring, and leaves its memory in `regions`, which the queue owns.
    pub(in crate::queue) fn new<H: Hal + Clone>(
        hal: &H,
        regions: &mut Regions<H>,
        size: QueueSize,
        event_idx: bool,
        class: BarrierClass,
    ) -> Result<Self, Error> {
        let [ring, driver, device] = regions;
        let ring = Region::new_in(ring, hal, ring_len(size), Direction::Both)?;
        let driver = Region::new_in(driver, hal, EVENT_LEN, Direction::ToDevice)?;
        let device = Region::new_in(device, hal, EVENT_LEN, Direction::FromDevice)?;
        Ok(Self {
            ring: ring.ptr().cast(),
            // SAFETY: the region has `EVENT_LEN` bytes, which this offset is inside of.
            driver_event: unsafe { driver.ptr().add(EVENT_OFFSET) }.cast(),
            // SAFETY: likewise.
            device_event: unsafe { device.ptr().add(EVENT_OFFSET) }.cast(),
            device: ring.device(),
            put: 0,
            added: 0,
            shown: 0,
            notified: 0,
            used: 0,
            first_flags: 0,
            held_flags: 0,
            size,
            class,
            event_idx,
        })
    }

    /// Where the parts lie, as the device sees them.
    pub(in crate::queue) fn addresses<H: Hal>(&self, regions: &Regions<H>) -> Rings {
        let [_, driver, device] = regions;
        let event = |region: &Option<Region<H>>| {
            region.as_ref().map_or(self.device, |region| region.device_at(EVENT_OFFSET))
        };
        Rings {
            size: self.size.get(),
            descriptor: self.device,
            driver: event(driver),
            device: event(device),
            notification_data: false,
            notif_config_data: false,
        }
    }

    /// Where the device sees the descriptors.
    pub(in crate::queue) const fn device(&self) -> DeviceAddr {
        self.device
    }

    /// Starts anew: the regions were zeroed.
    pub(in crate::queue) fn restart(&mut self) {
        (self.put, self.added, self.shown, self.notified, self.used) = (0, 0, 0, 0, 0);
    }

    fn fields<'a, H>(&'a self, hal: &'a H) -> Fields<'a, H> {
        Fields { ring: self, hal }
    }

    /// The first 16-bit cell of the descriptor at a place.
    fn descriptor(&self, place: u16) -> NonNull<u16> {
        let cell = usize::from(self.size.slot(place)).saturating_mul(CELLS);
        // SAFETY: Packed In Place; the place is reduced.
        unsafe { self.ring.add(cell) }
    }

    fn flags_cell(&self, place: u16) -> &AtomicU16 {
        // SAFETY: Packed In Place: a cell of that descriptor.
        let cell = unsafe { self.descriptor(place).add(FLAGS) };
        // SAFETY: Packed In Place: 2-byte aligned, accessed atomically by both sides.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }
    }

    /// Cell `at` of an event suppression structure: 0 is the position, 1 are the flags.
    fn event_cell(&self, event: NonNull<u16>, at: usize) -> &AtomicU16 {
        // SAFETY: Packed In Place: only called with the two structures, and with 0 or 1.
        let cell = unsafe { event.add(at) };
        // SAFETY: Packed In Place: 2-byte aligned, accessed atomically by both sides.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }
    }
}

impl Format for PackedRing {
    const MIXED: bool = false;

    #[inline]
    fn put(&mut self, id: Slot, _at: Slot, _next: Slot, first: bool, entry: Entry) {
        let flags = entry.flags | protocol::available(self.size, self.put);
        let place = place(self.size, self.put);
        self.put = self.put.wrapping_add(1);
        let descriptor = self.descriptor(place);
        // SAFETY: Packed In Place: the first 8 bytes of a descriptor.
        unsafe { descriptor.cast::<u64>().write_volatile(entry.addr.to_le()) };
        // SAFETY: Packed In Place: the second half of that descriptor.
        let rest = unsafe { descriptor.add(LEN) };
        if first {
            // The device watches the flags of a list's first descriptor: they come last, by themselves.
            self.first_flags = flags;
            // SAFETY: Packed In Place: the 4 bytes of the length.
            unsafe { rest.cast::<u32>().write_volatile(entry.len.to_le()) };
            // SAFETY: Packed In Place: a cell of that descriptor.
            let cell = unsafe { descriptor.add(ID) };
            // SAFETY: as above.
            unsafe { cell.write_volatile(id.get().to_le()) };
        } else {
            let half = u64::from(entry.len) | u64::from(id.get()) << 32 | u64::from(flags) << 48;
            // SAFETY: as above. Nobody looks at these flags before the first descriptor's are published.
            unsafe { rest.cast::<u64>().write_volatile(half.to_le()) };
        }
    }

    fn amend(&mut self, id: Slot, at: Slot, next: Slot, first: bool, entry: Entry) {
        self.put = self.put.wrapping_sub(1);
        self.put(id, at, next, first, entry);
    }

    #[inline]
    fn commit(&mut self, _id: Slot, _counts: &Counts) {
        let start = core::mem::replace(&mut self.added, self.put);
        if start == self.shown {
            // Nothing behind it can be seen before it.
            self.held_flags = self.first_flags;
        } else {
            let place = place(self.size, start);
            self.flags_cell(place).store(self.first_flags.to_le(), Ordering::Release);
        }
    }

    fn rewind(&mut self) {
        // All but the first were marked available already, for nobody looks at them before the first; whatever comes to lie
        // before them next must not make a device see them.
        for at in 1..self.put.wrapping_sub(self.added) {
            let count = self.added.wrapping_add(at);
            let flags = protocol::not_available(self.size, count);
            self.flags_cell(place(self.size, count)).store(flags.to_le(), Ordering::Relaxed);
        }
        self.put = self.added;
    }

    fn table_entry(&self, entry: Entry, _next: u16) -> [u64; 2] {
        let descriptor = PackedDescriptor {
            addr: entry.addr.to_le(),
            len: entry.len.to_le(),
            id: 0,
            flags: (entry.flags & PACKED_F_WRITE).to_le(),
        };
        zerocopy::transmute!(descriptor)
    }

    fn publish<H: Hal>(&mut self, hal: &H, _counts: &Counts) {
        let start = core::mem::replace(&mut self.shown, self.added);
        if start != self.added {
            self.fields(hal).publish_flags(place(self.size, start), self.held_flags);
        }
    }

    fn wants_notification<H: Hal>(&mut self, hal: &H, _counts: &Counts) -> bool {
        let old = core::mem::replace(&mut self.notified, self.shown);
        old != self.shown
            && protocol::wants_notification(&self.fields(hal), self.size, self.event_idx, old, self.shown)
    }

    fn position(&self, _counts: &Counts) -> u16 {
        protocol::position(self.size, self.shown)
    }

    fn enable_interrupts<H: Hal>(&mut self, hal: &H, _counts: &Counts, ahead: u16) -> bool {
        // Where the n-th used descriptor will lie depends on which requests are used before it: each takes one place at least.
        // An event that comes too early is only an interrupt too many; one that comes late could be waited for in vain.
        let event = self.used.wrapping_add(u32::from(ahead));
        // Whether more than one is used can only be seen by taking them: if the first is, let the caller look.
        protocol::enable_interrupts(&self.fields(hal), self.size, self.event_idx, self.used, event)
    }

    fn disable_interrupts<H: Hal>(&mut self, hal: &H, _counts: &Counts) {
        protocol::disable_interrupts(&self.fields(hal));
    }

    fn look<H: Hal>(
        &mut self,
        _hal: &H,
        _counts: &Counts,
        _queue: impl FnOnce() -> QueueIndex,
    ) -> Result<(), Misbehaved> {
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn next_used<H: Hal>(
        &mut self,
        hal: &H,
        _counts: &Counts,
        _look: bool,
        _queue: impl FnOnce() -> QueueIndex,
    ) -> Result<Option<UsedEntry>, Misbehaved> {
        let place = place(self.size, self.used);
        let flags = self.fields(hal).flags(place);
        if !protocol::is_used(self.size, self.used, flags) {
            return Ok(None);
        }
        let descriptor = self.descriptor(place);
        // SAFETY: Packed In Place: a cell of that descriptor.
        let cell = unsafe { descriptor.add(ID) };
        // SAFETY: as above; any bytes are an id.
        let id = u16::from_le(unsafe { cell.read_volatile() });
        // SAFETY: Packed In Place: a cell of that descriptor.
        let cell = unsafe { descriptor.add(LEN) }.cast::<u32>();
        // SAFETY: as above: the 4 bytes of the length; any bytes are one.
        let len = u32::from_le(unsafe { cell.read_volatile() });
        // The length means something only with WRITE (VIRTIO 1.4 §2.8.5), but QEMU 7.2 never sets it there. It is an allegation
        // in any case, cut to what was posted as writable.
        Ok(Some(UsedEntry { id: u32::from(id), len }))
    }

    fn has_seen_more(&self, _counts: &Counts) -> bool {
        true
    }

    fn retire(&mut self, descriptors: u16) {
        self.used = self.used.wrapping_add(u32::from(descriptors));
    }

    fn can_retire(&self, _counts: &Counts, _requests: u64) -> bool {
        true
    }
}

/// The fields of a ring, with barriers of the class that the device needs.
struct Fields<'a, H> {
    ring: &'a PackedRing,
    hal: &'a H,
}

impl<H: Hal> Fields<'_, H> {
    fn device_barrier(&self) {
        if self.ring.class == BarrierClass::Device {
            self.hal.device_barrier();
        }
    }
}

impl<H: Hal> PackedFields for Fields<'_, H> {
    fn publish_flags(&self, place: u16, flags: u16) {
        self.device_barrier();
        self.ring.flags_cell(place).store(flags.to_le(), Ordering::Release);
    }

    fn flags(&self, place: u16) -> u16 {
        let flags = self.ring.flags_cell(place).load(Ordering::Acquire);
        self.device_barrier();
        u16::from_le(flags)
    }

    fn full_barrier(&self) {
        match self.ring.class {
            BarrierClass::Smp => fence(Ordering::SeqCst),
            BarrierClass::Device => self.hal.device_barrier(),
        }
    }

    fn device_event_flags(&self) -> u16 {
        let flags = self.ring.event_cell(self.ring.device_event, 1).load(Ordering::Acquire);
        self.device_barrier();
        u16::from_le(flags)
    }

    fn device_event(&self) -> u16 {
        u16::from_le(self.ring.event_cell(self.ring.device_event, 0).load(Ordering::Relaxed))
    }

    fn set_driver_event(&self, position: u16) {
        self.ring.event_cell(self.ring.driver_event, 0).store(position.to_le(), Ordering::Relaxed);
    }

    fn set_driver_event_flags(&self, flags: u16) {
        self.device_barrier();
        self.ring.event_cell(self.ring.driver_event, 1).store(flags.to_le(), Ordering::Release);
    }
}
