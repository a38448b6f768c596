//! A split virtqueue in shared memory (a room of unsafe code).
//!
//! **Rings In Place**: descriptor table, available ring and used ring lie in regions that the queue owns for as long as this
//! value is used, at the offsets of `SplitLayout` for `size`, with the alignments that page-aligned regions and that layout
//! give. So every access below, at an index reduced modulo `size` or at a slot of the queue, is in bounds and aligned.
//!
//! **I-SHADOW (shared memory is write-only).** Of all this the driver reads back only what the device writes: `used.idx`,
//! used elements, `used.flags` and `avail_event`, each by one load.
//!
//! **I-ORDER (publication order).** Descriptors, then ring entry, then index (`publish_index`: a release); a full barrier
//! between publishing and reading a suppression field (`protocol`); an acquire between reading `used.idx` and its element.
#![expect(unsafe_code, reason = "reads and writes ring memory")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering, fence};

use super::layout::SplitLayout;
use super::protocol::{self, SplitFields, index};
use crate::abi::split::{Descriptor, UsedElem};
use crate::dma::Region;
use crate::hal::Direction;
use crate::queue::format::{Counts, Entry, Format, NEXT, UsedEntry};
use crate::queue::slots::Slot;
use crate::regs::BarrierClass;
use crate::transport::Rings;
use crate::{DeviceAddr, Error, Hal, Misbehaved, QueueIndex, QueueSize};

/// The three parts of a split virtqueue, and how far it has come.
#[derive(Debug)]
pub(in crate::queue) struct SplitRing {
    table: NonNull<[u64; 2]>,
    avail: NonNull<u16>,
    used: NonNull<u16>,
    /// Where the device sees the descriptor table.
    device: DeviceAddr,
    /// How many requests are covered by a notification.
    notified: u64,
    /// How many requests the device has used, at the last look.
    seen: u64,
    size: QueueSize,
    /// `size - 1`.
    mask: u16,
    class: BarrierClass,
    event_idx: bool,
    legacy: bool,
    /// A legacy device's lengths mean nothing: all was written.
    ignores_lengths: bool,
}

// SAFETY: Rings In Place: the memory belongs to the queue, wherever both move together.
unsafe impl Send for SplitRing {}
// SAFETY: `&SplitRing` reads indices only, atomically.
unsafe impl Sync for SplitRing {}

/// The memory of a ring: what the driver writes, and the used ring in pages of its own, so that an IOMMU can keep a device
/// from writing the rest. A legacy device gets one block.
pub(in crate::queue) type Regions<H> = [Option<Region<H>>; 3];

impl SplitRing {
    /// Allocates zeroed rings, and leaves their memory in `regions`, which the queue owns.
    pub(in crate::queue) fn new<H: Hal + Clone>(
        hal: &H,
        regions: &mut Regions<H>,
        size: QueueSize,
        legacy: bool,
        event_idx: bool,
        class: BarrierClass,
    ) -> Result<Self, Error> {
        let layout = SplitLayout::new(size, legacy);
        let [driver, device, _] = regions;
        let (driver, used) = if legacy {
            let all = Region::new_in(driver, hal, layout.device_len, Direction::Both)?;
            (all, all)
        } else {
            let driver = Region::new_in(driver, hal, layout.driver_len, Direction::ToDevice)?;
            (driver, Region::new_in(device, hal, layout.device_len, Direction::FromDevice)?)
        };
        Ok(Self {
            table: driver.ptr().cast(),
            // SAFETY: the region has `driver_len` bytes at least, which this offset is inside of.
            avail: unsafe { driver.ptr().add(layout.avail) }.cast(),
            // SAFETY: the region has `device_len` bytes, which this offset is inside of.
            used: unsafe { used.ptr().add(layout.used) }.cast(),
            device: driver.device(),
            notified: 0,
            seen: 0,
            size,
            mask: size.get().wrapping_sub(1),
            class,
            event_idx,
            legacy,
            ignores_lengths: false,
        })
    }

    /// Of a legacy device, takes each request as written to the full, whatever the device says (VIRTIO 1.4 §2.7.8.3).
    pub(in crate::queue) fn ignoring_legacy_lengths(mut self) -> Self {
        self.ignores_lengths = true;
        self
    }

    /// Where the parts lie, as the device sees them.
    pub(in crate::queue) fn addresses<H: Hal>(&self, regions: &Regions<H>) -> Rings {
        let layout = SplitLayout::new(self.size, self.legacy);
        let [driver, device, _] = regions;
        let at = |region: &Option<Region<H>>, offset| {
            region.as_ref().map_or(self.device, |region| region.device_at(offset))
        };
        Rings {
            size: self.size.get(),
            descriptor: self.device,
            driver: at(driver, layout.avail),
            device: at(if device.is_some() { device } else { driver }, layout.used),
            notification_data: false,
            notif_config_data: false,
        }
    }

    /// Starts anew: the regions were zeroed.
    pub(in crate::queue) fn restart(&mut self) {
        self.notified = 0;
        self.seen = 0;
    }

    fn fields<'a, H>(&'a self, hal: &'a H) -> Fields<'a, H> {
        Fields { ring: self, hal }
    }

    /// Cell `at` of the available ring: `flags`, `idx`, the entries, `used_event`.
    fn avail_cell(&self, at: usize) -> &AtomicU16 {
        // SAFETY: Rings In Place: only called with numbers up to `size + 2`.
        let cell = unsafe { self.avail.add(at) };
        // SAFETY: Rings In Place: a 2-byte aligned cell of this queue, accessed atomically by both sides.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }
    }

    /// Cell `at` of the used ring: `flags`, `idx`, four for each element, `avail_event`.
    fn used_cell(&self, at: usize) -> &AtomicU16 {
        // SAFETY: Rings In Place: only called with numbers up to `4 * size + 2`.
        let cell = unsafe { self.used.add(at) };
        // SAFETY: Rings In Place: a 2-byte aligned cell of this queue, accessed atomically by both sides.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }
    }

    /// To and from the order of the ring: little-endian, or the CPU's own on a legacy device (VIRTIO 1.4 §2.7.3).
    const fn ordered(&self, value: u16) -> u16 {
        if self.legacy { value } else { value.to_le() }
    }

    fn descriptor(&self, entry: Entry, next: u16) -> [u64; 2] {
        let Entry { addr, len, flags } = entry;
        let descriptor = if self.legacy {
            Descriptor { addr, len, flags, next }
        } else {
            Descriptor { addr: addr.to_le(), len: len.to_le(), flags: flags.to_le(), next: next.to_le() }
        };
        zerocopy::transmute!(descriptor)
    }

    /// Reads the used element that goes with count `at`, once.
    fn used_element(&self, at: u64) -> UsedEntry {
        let cell = usize::from(index(at) & self.mask).wrapping_mul(4).wrapping_add(2);
        // SAFETY: Rings In Place: the index is reduced.
        let element = unsafe { self.used.add(cell) }.cast::<[u32; 2]>();
        // SAFETY: as above; 4-byte aligned. A lying device may write it at the same time: any bytes are an element.
        let raw: UsedElem = zerocopy::transmute!(unsafe { element.read_volatile() });
        if self.legacy {
            UsedEntry { id: raw.id, len: if self.ignores_lengths { u32::MAX } else { raw.len } }
        } else {
            UsedEntry { id: u32::from_le(raw.id), len: u32::from_le(raw.len) }
        }
    }

    /// Where the device sees the descriptors.
    pub(in crate::queue) const fn device(&self) -> DeviceAddr {
        self.device
    }
}

impl Format for SplitRing {
    const MIXED: bool = true;

    #[inline]
    fn put(&mut self, _id: Slot, at: Slot, next: Slot, _first: bool, entry: Entry) {
        let next = if entry.flags & NEXT == 0 { 0 } else { next.get() };
        let [low, high] = self.descriptor(entry, next);
        // SAFETY: Rings In Place, Slot In Range.
        let place = unsafe { self.table.add(usize::from(at.get())) }.cast::<u64>();
        // SAFETY: as above. The device may read it meanwhile only if it breaks the specification, and then gets garbage.
        unsafe { place.write_volatile(low) };
        // SAFETY: the second half of the same descriptor.
        let place = unsafe { place.add(1) };
        // SAFETY: as above.
        unsafe { place.write_volatile(high) };
    }

    fn amend(&mut self, id: Slot, at: Slot, next: Slot, first: bool, entry: Entry) {
        self.put(id, at, next, first, entry);
    }

    #[inline]
    fn commit(&mut self, id: Slot, counts: &Counts) {
        let at = usize::from(index(counts.added) & self.mask).wrapping_add(2);
        self.avail_cell(at).store(self.ordered(id.get()), Ordering::Relaxed);
    }

    fn rewind(&mut self) {}

    fn table_entry(&self, entry: Entry, next: u16) -> [u64; 2] {
        let next = if entry.flags & NEXT == 0 { 0 } else { next };
        self.descriptor(entry, next)
    }

    fn publish<H: Hal>(&mut self, hal: &H, counts: &Counts) {
        self.fields(hal).publish_index(index(counts.added));
    }

    #[inline]
    fn wants_notification<H: Hal>(&mut self, hal: &H, counts: &Counts) -> bool {
        let old = core::mem::replace(&mut self.notified, counts.shown);
        old != counts.shown
            && protocol::wants_notification(&self.fields(hal), self.event_idx, old, counts.shown)
    }

    fn position(&self, counts: &Counts) -> u16 {
        index(counts.shown)
    }

    fn enable_interrupts<H: Hal>(&mut self, hal: &H, counts: &Counts, ahead: u16) -> bool {
        let used = index(counts.completed);
        // Without EVENT_IDX there is no "later".
        let ahead = if self.event_idx { ahead } else { 0 };
        let now = protocol::enable_interrupts(&self.fields(hal), self.event_idx, used.wrapping_add(ahead));
        now.wrapping_sub(used) > ahead
    }

    fn disable_interrupts<H: Hal>(&mut self, hal: &H, counts: &Counts) {
        protocol::disable_interrupts(&self.fields(hal), self.event_idx, index(counts.completed));
    }

    /// No more can be used than were shown.
    #[inline]
    fn look<H: Hal>(
        &mut self,
        hal: &H,
        counts: &Counts,
        queue: impl FnOnce() -> QueueIndex,
    ) -> Result<(), Misbehaved> {
        let advance = self.fields(hal).used_index().wrapping_sub(index(counts.completed));
        let in_flight = counts.shown.wrapping_sub(counts.completed);
        if u64::from(advance) > in_flight {
            let in_flight = u16::try_from(in_flight).unwrap_or(u16::MAX);
            return Err(Misbehaved::UsedIndexJump { queue: queue(), advance, in_flight });
        }
        self.seen = counts.completed.wrapping_add(u64::from(advance));
        Ok(())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn next_used<H: Hal>(
        &mut self,
        hal: &H,
        counts: &Counts,
        look: bool,
        queue: impl FnOnce() -> QueueIndex,
    ) -> Result<Option<UsedEntry>, Misbehaved> {
        if self.seen == counts.completed {
            if !look {
                return Ok(None);
            }
            self.look(hal, counts, queue)?;
            if self.seen == counts.completed {
                return Ok(None);
            }
        }
        Ok(Some(self.used_element(counts.completed)))
    }

    fn has_seen_more(&self, counts: &Counts) -> bool {
        self.seen != counts.completed
    }

    fn retire(&mut self, _descriptors: u16) {}

    fn can_retire(&self, counts: &Counts, requests: u64) -> bool {
        requests <= self.seen.wrapping_sub(counts.completed)
    }
}

/// The fields of a ring, with barriers of the class that the device needs.
struct Fields<'a, H> {
    ring: &'a SplitRing,
    hal: &'a H,
}

impl<H: Hal> SplitFields for Fields<'_, H> {
    fn publish_index(&self, index: u16) {
        if self.ring.class == BarrierClass::Device {
            self.hal.device_barrier();
        }
        self.ring.avail_cell(1).store(self.ring.ordered(index), Ordering::Release);
    }

    fn used_index(&self) -> u16 {
        let index = self.ring.used_cell(1).load(Ordering::Acquire);
        if self.ring.class == BarrierClass::Device {
            self.hal.device_barrier();
        }
        self.ring.ordered(index)
    }

    fn full_barrier(&self) {
        match self.ring.class {
            BarrierClass::Smp => fence(Ordering::SeqCst),
            BarrierClass::Device => self.hal.device_barrier(),
        }
    }

    fn used_flags(&self) -> u16 {
        self.ring.ordered(self.ring.used_cell(0).load(Ordering::Relaxed))
    }

    fn available_event(&self) -> u16 {
        let at = self.ring.size.as_usize().saturating_mul(4).saturating_add(2);
        self.ring.ordered(self.ring.used_cell(at).load(Ordering::Relaxed))
    }

    fn set_available_flags(&self, flags: u16) {
        self.ring.avail_cell(0).store(self.ring.ordered(flags), Ordering::Relaxed);
    }

    fn set_used_event(&self, event: u16) {
        let at = self.ring.size.as_usize().saturating_add(2);
        self.ring.avail_cell(at).store(self.ring.ordered(event), Ordering::Relaxed);
    }
}
