//! Whole pages from the Hal, zeroed, owned (a room of unsafe code).
//!
//! **Region Owned**: `memory` covers `bytes()` bytes, page-aligned on both sides, which belong to this value alone until
//! it is dropped or leaked.
#![expect(unsafe_code, reason = "allocates, zeroes and frees DMA pages")]

use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::hal::{Direction, DmaMemory};
use crate::{DeviceAddr, Error, Hal, HalError, Leaked, Misuse};

/// DMA pages without a type. Frees itself.
#[derive(Debug)]
pub(crate) struct Region<H: Hal> {
    memory: DmaMemory,
    pages: NonZeroUsize,
    hal: H,
}

// SAFETY: Region Owned: the memory belongs to this value, wherever it moves; the Hal moves with it.
unsafe impl<H: Hal> Send for Region<H> {}
// SAFETY: `&Region` gives out addresses only.
unsafe impl<H: Hal> Sync for Region<H> {}

impl<H: Hal> Region<H> {
    /// Allocates and zeroes enough pages for `bytes`.
    pub(crate) fn new(hal: H, bytes: usize, direction: Direction) -> Result<Self, Error> {
        let page = hal.page_size();
        let pages = NonZeroUsize::new(bytes.div_ceil(page.max(1))).ok_or(Misuse::BadLength)?;
        let len = pages.get().checked_mul(page).ok_or(Misuse::BadLength)?;
        if isize::try_from(len).is_err() {
            return Err(Misuse::BadLength.into());
        }
        let memory = hal.dma_alloc(pages, direction)?;
        let region = Self { memory, pages, hal };
        let aligned = region.memory.device.is_aligned_to(page) && region.memory.ptr.addr().get() % page == 0;
        if !aligned || region.memory.device.checked_add(len).is_none() {
            return Err(HalError::BrokenContract.into());
        }
        // SAFETY: the Hal promises `len` writable bytes there that nobody else uses.
        unsafe { region.memory.ptr.write_bytes(0, len) };
        Ok(region)
    }

    /// The same, where the region is to stay.
    pub(crate) fn new_in<'p>(
        place: &'p mut Option<Self>,
        hal: &H,
        bytes: usize,
        direction: Direction,
    ) -> Result<&'p Self, Error>
    where
        H: Clone,
    {
        let region = Self::new(hal.clone(), bytes, direction)?;
        Ok(place.insert(region))
    }

    /// Makes all bytes 0 again. Only while no device knows of the region.
    pub(crate) fn zero(&self) {
        // SAFETY: Region Owned; bytes are all that anybody takes the memory for.
        unsafe { self.memory.ptr.write_bytes(0, self.bytes()) };
    }

    pub(crate) fn ptr(&self) -> NonNull<u8> {
        self.memory.ptr
    }

    pub(crate) fn device(&self) -> DeviceAddr {
        self.memory.device
    }

    pub(crate) fn pages(&self) -> NonZeroUsize {
        self.pages
    }

    /// Never overflows: `new` has computed it.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.get().saturating_mul(self.hal.page_size())
    }

    pub(crate) fn hal(&self) -> &H {
        &self.hal
    }

    /// Says that the pages will never be freed: the device may still use them.
    pub(crate) fn report_leak(&self) {
        self.hal.leaked(Leaked { device: self.memory.device, pages: self.pages.get() });
    }

    /// The device address of a byte offset inside the region.
    pub(crate) fn device_at(&self, offset: usize) -> DeviceAddr {
        // `new` has checked that the whole region has addresses; an offset beyond it is of no use to anybody.
        DeviceAddr::new(self.memory.device.get().wrapping_add(u64::try_from(offset).unwrap_or(0)))
    }
}

impl<H: Hal> Drop for Region<H> {
    fn drop(&mut self) {
        // SAFETY: Region Owned; whoever shared the region with a device drops it only under I-RESET and leaks it
        // otherwise.
        unsafe { self.hal.dma_dealloc(self.memory, self.pages) };
    }
}
