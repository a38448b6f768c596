//! Pages for the driver's own state, which the device never reaches (a room of unsafe code).
//!
//! **Private Owned**: the pages belong to this value alone, zeroed once, until it is dropped.
#![expect(unsafe_code, reason = "allocates and frees private pages")]

use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::hal::DmaMemory;
use crate::{Error, Hal, HalError, Leaked, Misuse};

/// Private pages without a type. Frees itself.
#[derive(Debug)]
pub(crate) struct Private<H: Hal> {
    memory: DmaMemory,
    pages: NonZeroUsize,
    hal: H,
}

// SAFETY: Private Owned: the memory belongs to this value, wherever it moves; the Hal moves with it.
unsafe impl<H: Hal> Send for Private<H> {}
// SAFETY: `&Private` gives out an address only.
unsafe impl<H: Hal> Sync for Private<H> {}

impl<H: Hal> Private<H> {
    /// Allocates and zeroes enough pages for `bytes`.
    pub(crate) fn new(hal: H, bytes: usize) -> Result<Self, Error> {
        let page = hal.page_size();
        let pages = NonZeroUsize::new(bytes.div_ceil(page.max(1))).ok_or(Misuse::BadLength)?;
        let len = pages.get().checked_mul(page).ok_or(Misuse::BadLength)?;
        if isize::try_from(len).is_err() {
            return Err(Misuse::BadLength.into());
        }
        let memory = hal.private_alloc(pages)?;
        let private = Self { memory, pages, hal };
        if private.memory.ptr.addr().get() % page != 0 {
            return Err(HalError::BrokenContract.into());
        }
        // SAFETY: the Hal promises `len` writable bytes there that nobody else uses.
        unsafe { private.memory.ptr.write_bytes(0, len) };
        Ok(private)
    }

    pub(crate) fn ptr(&self) -> NonNull<u8> {
        self.memory.ptr
    }

    /// Says that the pages will never be freed.
    pub(crate) fn report_leak(&self) {
        self.hal.leaked(Leaked { device: self.memory.device, pages: self.pages.get() });
    }
}

impl<H: Hal> Drop for Private<H> {
    fn drop(&mut self) {
        // SAFETY: Private Owned; no device was ever told of these pages.
        unsafe { self.hal.private_dealloc(self.memory, self.pages) };
    }
}
