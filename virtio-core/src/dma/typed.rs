//! The typed DMA region (a room of unsafe code).
#![expect(unsafe_code, reason = "gives DMA pages a type")]

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::direction::{Both, DmaDirection};
use super::region::Region;
use crate::{DeviceAddr, Error, Hal, Misuse};

/// A typed, zeroed region of whole pages that a device can reach, and that frees itself.
///
/// The value owns its memory: while you hold it, no device uses it. To let a device use it, give it away (as a payload
/// or an attachment); it comes back when the device is done, or not at all.
///
/// ```
/// use virtio_core::{dma::{Dma, ToDevice}, Hal};
/// # fn example<H: Hal + 'static>(hal: H) -> Result<(), virtio_core::Error> {
/// let mut pixels: Dma<[u32], H, ToDevice> = Dma::zeroed_slice(hal, 64 * 48)?;
/// pixels.as_mut_slice().fill(0xff_20_40);
/// assert_eq!(pixels.pages().get(), 3);
/// # Ok(()) }
/// # let hal = virtio_testkit::TestHal::new();
/// # example(hal.clone()).unwrap();
/// ```
pub struct Dma<T: ?Sized, H: Hal, D: DmaDirection = Both> {
    region: Region<H>,
    len: usize,
    direction: PhantomData<fn() -> D>,
    value: PhantomData<T>,
}

impl<T: FromZeros, H: Hal, D: DmaDirection> Dma<T, H, D> {
    /// Allocates a region for one `T`, zeroed.
    ///
    /// # Errors
    /// [`Error::Platform`] if the Hal has no memory, [`Misuse::BadLength`] for a type of size 0.
    pub fn zeroed(hal: H) -> Result<Self, Error> {
        const { assert!(align_of::<T>() <= 4096) };
        let region = Region::new(hal, size_of::<T>(), D::DIRECTION)?;
        Ok(Self { region, len: 1, direction: PhantomData, value: PhantomData })
    }
}

impl<T: FromBytes + IntoBytes, H: Hal, D: DmaDirection> Dma<T, H, D> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        // SAFETY: Region Owned: the memory holds at least `size_of::<T>()` bytes, page-aligned, zeroed at first; any
        // bytes are a T; while the value is held nobody else writes it.
        unsafe { self.region.ptr().cast::<T>().as_ref() }
    }

    /// The value, to change.
    #[must_use]
    pub fn value_mut(&mut self) -> &mut T {
        // SAFETY: as in `value`, and `&mut self` makes it the only reference.
        unsafe { self.region.ptr().cast::<T>().as_mut() }
    }
}

impl<T: FromZeros, H: Hal, D: DmaDirection> Dma<[T], H, D> {
    /// Allocates a region for `len` elements, zeroed.
    ///
    /// # Errors
    /// [`Error::Platform`] if the Hal has no memory, [`Misuse::BadLength`] for 0 bytes or more than can be counted.
    pub fn zeroed_slice(hal: H, len: usize) -> Result<Self, Error> {
        const { assert!(align_of::<T>() <= 4096) };
        let bytes = len.checked_mul(size_of::<T>()).ok_or(Misuse::BadLength)?;
        let region = Region::new(hal, bytes, D::DIRECTION)?;
        Ok(Self { region, len, direction: PhantomData, value: PhantomData })
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element; never the case.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: FromBytes + IntoBytes, H: Hal, D: DmaDirection> Dma<[T], H, D> {
    /// The elements.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        let elements = NonNull::slice_from_raw_parts(self.region.ptr().cast::<T>(), self.len);
        // SAFETY: Region Owned: the memory holds `len` elements, page-aligned, zeroed at first; any bytes are a T; while
        // the value is held nobody else writes it.
        unsafe { elements.as_ref() }
    }

    /// The elements, to change. Drawing into a frame that a device reads goes at the speed of plain memory.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        let mut elements = NonNull::slice_from_raw_parts(self.region.ptr().cast::<T>(), self.len);
        // SAFETY: as in `as_slice`, and `&mut self` makes it the only reference.
        unsafe { elements.as_mut() }
    }
}

impl<T: ?Sized, H: Hal, D: DmaDirection> Dma<T, H, D> {
    /// Where the device sees the region.
    #[must_use]
    pub fn paddr(&self) -> DeviceAddr {
        self.region.device()
    }

    /// The domain that the address belongs to.
    pub(super) fn domain(&self) -> u64 {
        self.region.hal().domain()
    }

    /// Length in pages of the Hal's size.
    #[must_use]
    pub fn pages(&self) -> NonZeroUsize {
        self.region.pages()
    }
}

impl<H: Hal, D: DmaDirection> Dma<[u8], H, D> {
    /// The bytes as a raw pointer, for a loan.
    pub(super) fn raw(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.region.ptr(), self.len)
    }
}

impl<H: Hal, D: DmaDirection> AsRef<[u8]> for Dma<[u8], H, D> {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<H: Hal, D: DmaDirection> AsMut<[u8]> for Dma<[u8], H, D> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl<T: ?Sized, H: Hal, D: DmaDirection> fmt::Debug for Dma<T, H, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dma").field("paddr", &self.paddr()).field("pages", &self.pages()).finish()
    }
}
