//! Shared-memory access of a split virtqueue (a room of unsafe code).
//!
//! **Rings In Place**: descriptor table, available ring and used ring lie in regions that this value owns, at the offsets
//! of `SplitLayout` for `size`, with the alignments that page-aligned regions and that layout give. So every access
//! below, at an index reduced modulo `size`, is in bounds and aligned.
//!
//! **I-SHADOW (shared memory is write-only).** Of all this the driver reads back only what the device writes: `used.idx`,
//! used elements, `used.flags` and `avail_event`, each by one load.
//!
//! **I-ORDER (publication order).** Descriptors, then ring entry, then index (`publish`: a release); a full barrier
//! (`full_barrier`) between publishing and reading a suppression field; an acquire between reading `used.idx` and its
//! element (`used_idx`).
#![expect(unsafe_code, reason = "reads and writes ring memory")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering, fence};

use crate::abi::split::{Descriptor, UsedElem};
use crate::dma::Region;
use crate::hal::Direction;
use crate::queue::layout::SplitLayout;
use crate::regs::BarrierClass;
use crate::transport::Rings;
use crate::{Error, Hal, QueueSize};

/// The three parts of a split virtqueue in DMA memory.
#[derive(Debug)]
pub(super) struct SplitRings<H: Hal> {
    /// Descriptor table and available ring; for a legacy device the used ring as well.
    driver: Region<H>,
    /// The used ring, in pages of its own, so that an IOMMU can keep a device from writing the rest.
    device: Option<Region<H>>,
    layout: SplitLayout,
    size: QueueSize,
    class: BarrierClass,
    native_order: bool,
}

impl<H: Hal + Clone> SplitRings<H> {
    /// Allocates zeroed rings. A legacy device gets one block, in the CPU's own byte order.
    pub(super) fn new(hal: &H, size: QueueSize, legacy: bool, class: BarrierClass) -> Result<Self, Error> {
        let layout = SplitLayout::new(size);
        let (driver, device) = if legacy {
            let len = layout.legacy_used.saturating_add(layout.used_len);
            (Region::new(hal.clone(), len, Direction::Both)?, None)
        } else {
            let driver = Region::new(hal.clone(), layout.driver_len, Direction::ToDevice)?;
            (driver, Some(Region::new(hal.clone(), layout.used_len, Direction::FromDevice)?))
        };
        Ok(Self { driver, device, layout, size, class, native_order: legacy })
    }
}

impl<H: Hal> SplitRings<H> {
    pub(super) fn addresses(&self) -> Rings {
        Rings {
            size: self.size.get(),
            descriptor: self.driver.device(),
            driver: self.driver.device_at(self.layout.avail),
            device: match &self.device {
                Some(region) => region.device(),
                None => self.driver.device_at(self.layout.legacy_used),
            },
            notification_data: false,
        }
    }

    /// Where the memory came from.
    pub(super) fn hal(&self) -> &H {
        self.driver.hal()
    }

    /// Says that the memory will never be freed.
    pub(super) fn report_leak(&self) {
        self.driver.report_leak();
        if let Some(region) = &self.device {
            region.report_leak();
        }
    }

    /// Writes descriptor `index`.
    pub(super) fn write_descriptor(&mut self, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        let descriptor = if self.native_order {
            Descriptor { addr, len, flags, next }
        } else {
            Descriptor { addr: addr.to_le(), len: len.to_le(), flags: flags.to_le(), next: next.to_le() }
        };
        let table = self.driver.ptr().cast::<Descriptor>();
        // SAFETY: Rings In Place; the index is reduced.
        let place = unsafe { table.add(usize::from(self.size.slot(index))) };
        // SAFETY: as above. The device may read it meanwhile only if it breaks the specification, and then gets garbage.
        unsafe { place.write_volatile(descriptor) };
    }

    /// Writes the entry of the available ring that goes with free-running index `at`.
    pub(super) fn write_available(&mut self, at: u16, head: u16) {
        let offset = usize::from(self.size.slot(at)).saturating_mul(2).saturating_add(4);
        self.store(self.driver_cell(self.layout.avail.saturating_add(offset)), head, Ordering::Relaxed);
    }

    /// Makes everything up to free-running index `index` available: descriptors and ring entries before the index.
    pub(super) fn publish(&mut self, index: u16) {
        if self.class == BarrierClass::Device {
            self.driver.hal().device_barrier();
        }
        self.store(self.driver_cell(self.layout.avail.saturating_add(2)), index, Ordering::Release);
    }

    /// Writes `avail.flags`.
    pub(super) fn set_available_flags(&mut self, flags: u16) {
        self.store(self.driver_cell(self.layout.avail), flags, Ordering::Relaxed);
    }

    /// Writes `used_event`.
    pub(super) fn set_used_event(&mut self, event: u16) {
        self.store(self.driver_cell(self.layout.used_event), event, Ordering::Relaxed);
    }

    /// A full barrier of the class that the device needs.
    pub(super) fn full_barrier(&self) {
        match self.class {
            BarrierClass::Smp => fence(Ordering::SeqCst),
            BarrierClass::Device => self.driver.hal().device_barrier(),
        }
    }

    /// Reads `used.flags`.
    pub(super) fn used_flags(&self) -> u16 {
        self.load(self.used_cell(0), Ordering::Relaxed)
    }

    /// Reads `avail_event`.
    pub(super) fn available_event(&self) -> u16 {
        self.load(self.used_cell(self.layout.avail_event), Ordering::Relaxed)
    }

    /// Reads `used.idx`; what the device wrote before it is visible afterwards.
    pub(super) fn used_index(&self) -> u16 {
        let index = self.load(self.used_cell(2), Ordering::Acquire);
        if self.class == BarrierClass::Device {
            self.driver.hal().device_barrier();
        }
        index
    }

    /// Reads the used element that goes with free-running index `at`, each field once.
    pub(super) fn used_element(&self, at: u16) -> UsedElem {
        let offset = usize::from(self.size.slot(at)).saturating_mul(size_of::<UsedElem>()).saturating_add(4);
        // SAFETY: Rings In Place; the index is reduced.
        let place = unsafe { self.used().add(offset) }.cast::<UsedElem>();
        // SAFETY: as above; 4-byte aligned. A lying device may write it at the same time: any bytes are a `UsedElem`.
        let raw = unsafe { place.read_volatile() };
        if self.native_order {
            raw
        } else {
            UsedElem { id: u32::from_le(raw.id), len: u32::from_le(raw.len) }
        }
    }

    fn used(&self) -> NonNull<u8> {
        match &self.device {
            Some(region) => region.ptr(),
            // SAFETY: Rings In Place: a legacy block holds the used ring at this offset.
            None => unsafe { self.driver.ptr().add(self.layout.legacy_used) },
        }
    }

    /// The 16-bit cell at `offset` of the driver's part. Only called with offsets of the layout.
    fn driver_cell(&self, offset: usize) -> NonNull<u16> {
        // SAFETY: Rings In Place: offsets of the available ring.
        unsafe { self.driver.ptr().add(offset) }.cast()
    }

    /// The 16-bit cell at `offset` of the used ring. Only called with offsets of the layout.
    fn used_cell(&self, offset: usize) -> NonNull<u16> {
        // SAFETY: Rings In Place: offsets of the used ring.
        unsafe { self.used().add(offset) }.cast()
    }

    fn store(&self, cell: NonNull<u16>, value: u16, order: Ordering) {
        let raw = if self.native_order { value } else { value.to_le() };
        // SAFETY: Rings In Place: a 2-byte aligned cell of this queue, accessed atomically by both sides.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }.store(raw, order);
    }

    fn load(&self, cell: NonNull<u16>, order: Ordering) -> u16 {
        // SAFETY: as in `store`.
        let raw = unsafe { AtomicU16::from_ptr(cell.as_ptr()) }.load(order);
        if self.native_order { raw } else { u16::from_le(raw) }
    }
}
