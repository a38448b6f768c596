//! Bouncing through a pool that was taken once (a room of unsafe code).
//!
//! * **Pool In Place**: `shared` points to a [`Shared`] in private pages, with `words` behind it; both stay until the last
//!   handle is dropped. All in it that changes is atomic.
//! * **Slot Owned**: the bytes of a slot, in pages of which nobody else knows, are accessed only by whoever has its bit, from
//!   [`Bitmap::take`] to [`Bitmap::give`], and by the device a segment was named to in between. A segment is a run of slots,
//!   from the first byte of the first one.
//! * **Slots Clean**: a slot whose bit is free holds nothing of ours: it was zeroed before the bit was given back.
#![expect(unsafe_code, reason = "copies between buffers and the slots of a pool")]

mod bitmap;

use core::alloc::Layout;
use core::fmt;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use core::time::Duration;

use super::{Direction, DmaMemory, Hal, HalError, Leaked, MmioKind, Segment, Trust, bounce};
use crate::PhysAddr;
use crate::regs::NativeRegs;
use bitmap::{BITS, Bitmap, Run, words_for};

/// Bytes of a slot: what a small buffer takes.
const SLOT: usize = 1024;
/// What [`Hal::share`] has to reach the next multiple of.
const REACH: usize = 4096;
/// From so many handles on, their number is not believed any more and the pool stays for good.
const CROWD: usize = usize::MAX / 2;
/// Far from both ends of what may still be counted.
const SATURATED: usize = CROWD + CROWD / 2;

const _: () = assert!(SLOT.is_power_of_two() && REACH % SLOT == 0 && REACH <= BITS * SLOT);

/// What all handles of a pool have in common.
struct Shared {
    handles: AtomicUsize,
    /// The slots.
    memory: DmaMemory,
    pages: NonZeroUsize,
    slots: usize,
    /// Where the bits are.
    words: NonNull<AtomicUsize>,
    /// The pages in which this is.
    private: DmaMemory,
    private_pages: NonZeroUsize,
    trust: Trust,
}

/// A [`Hal`] that copies every shared buffer through a fixed pool, taken once from the [`Hal::dma_alloc`] of the Hal within.
///
/// It is for guests that share only some pages with their host (see [confidential guests](super#confidential-guests)), for
/// machines whose devices reach only some of the memory, and for kernels that want no allocation per request. All else is
/// passed on: pages for rings still come from the Hal within, and must be pages that the device reaches.
///
/// Drivers take the pool; transports and what else maps registers take the Hal within. (An endpoint over a pool would keep the pool.)
///
/// A buffer of any alignment and length may be shared. It takes slots of 1 KiB; one longer than 64 KiB (32 KiB where `usize` has 32
/// bits) comes out as several segments, as does any other that does not fit in one piece. What the device may write is zeroed
/// before it sees it; only what it says it has written is copied back; and a slot is zeroed again before it is free.
///
/// If there is no room, sharing fails with [`HalError::OutOfMemory`]. That is transient: the request was not sent, nothing of
/// it is left in the pool, and it can be sent when another is done.
///
/// There is no lock: slots are taken and given back by single atomic steps, in interrupt handlers too. (So there is no pool
/// on targets without compare-and-swap.)
///
/// A clone is one more handle to the same pool, and the pool goes back with the last one. What a device that has not
/// confirmed its reset may still use is never free again, is reported through [`Hal::leaked`], and keeps the pool: its pages are
/// leaked, and reported too, if handles go while anything is shared.
///
/// ```
/// use core::num::NonZeroUsize;
/// use virtio_core::{BouncePool, DeviceId, Error, Hal, Transport};
///
/// /// A megabyte for all devices of a kernel: clones of the answer are what drivers take.
/// fn shared_pages<H: Hal>(hal: H) -> Result<BouncePool<H>, Error> {
///     Ok(BouncePool::new(hal, 1 << 20)?)
/// }
/// # let hal = virtio_testkit::TestHal::new();
/// # let pool = shared_pages(hal.clone())?;
/// # assert_eq!(pool.clone().free(), 1 << 20);
/// # Ok::<(), Error>(())
/// ```
pub struct BouncePool<H: Hal> {
    shared: NonNull<Shared>,
    inner: H,
}

// SAFETY: Pool In Place: what handles have in common is atomic or never changes, and a Hal is `Send`.
unsafe impl<H: Hal> Send for BouncePool<H> {}
// SAFETY: likewise, and a Hal is `Sync`.
unsafe impl<H: Hal> Sync for BouncePool<H> {}

impl<H: Hal> fmt::Debug for BouncePool<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BouncePool")
            .field("bytes", &self.bytes())
            .field("free", &self.free())
            .finish_non_exhaustive()
    }
}

/// Pages for `bytes`, at least one; and their length in bytes, which a pointer can go through.
fn pages_for(bytes: usize, page: usize) -> Option<(NonZeroUsize, usize)> {
    let pages = NonZeroUsize::new(bytes.div_ceil(page)).unwrap_or(NonZeroUsize::MIN);
    let len = pages.get().checked_mul(page)?;
    isize::try_from(len).ok()?;
    Some((pages, len))
}

impl<H: Hal> BouncePool<H> {
    /// A pool of so many bytes, rounded up to pages.
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`]: there are not so many contiguous pages, or too few private ones for the accounts;
    /// [`HalError::NoPrivateMemory`] if the Hal within does not trust its host and does not
    /// [keep private memory](Hal::keeps_private).
    pub fn new(inner: H, bytes: usize) -> Result<Self, HalError> {
        let trust = inner.trust();
        Self::with_trust(inner, bytes, trust)
    }

    /// The same, for a guest that does not trust its host, whatever the Hal within says: [`Hal::trust`] answers
    /// [`Trust::Confidential`].
    ///
    /// # Errors
    /// [`HalError::NoPrivateMemory`] if the Hal within does not [keep private memory](Hal::keeps_private), else as for
    /// [`BouncePool::new`].
    pub fn confidential(inner: H, bytes: usize) -> Result<Self, HalError> {
        Self::with_trust(inner, bytes, Trust::Confidential)
    }

    fn with_trust(inner: H, bytes: usize, trust: Trust) -> Result<Self, HalError> {
        // The accounts are pointers that every handle follows: they must not lie where the host can change them.
        if trust == Trust::Confidential && !inner.keeps_private() {
            return Err(HalError::NoPrivateMemory);
        }
        let page = inner.page_size();
        if !page.is_power_of_two() || page < REACH {
            return Err(HalError::BrokenContract);
        }
        let (pages, len) = pages_for(bytes, page).ok_or(HalError::OutOfMemory)?;
        let slots = len / SLOT;
        let array = Layout::array::<AtomicUsize>(words_for(slots)).map_err(|_| HalError::OutOfMemory)?;
        let (layout, words_at) = Layout::new::<Shared>().extend(array).map_err(|_| HalError::OutOfMemory)?;
        let (private_pages, _) = pages_for(layout.size(), page).ok_or(HalError::OutOfMemory)?;
        let private = inner.private_alloc(private_pages)?;
        let memory = match inner.dma_alloc(pages, Direction::Both) {
            Ok(memory) => memory,
            Err(error) => {
                // SAFETY: allocated just now, and used by nobody.
                unsafe { inner.private_dealloc(private, private_pages) };
                return Err(error);
            }
        };
        let aligned = private.ptr.addr().get() % page == 0
            && memory.ptr.addr().get() % page == 0
            && memory.device.checked_add(len).is_some();
        if !aligned {
            // SAFETY: allocated just now, and used by nobody.
            unsafe { inner.private_dealloc(private, private_pages) };
            // SAFETY: likewise.
            unsafe { inner.dma_dealloc(memory, pages) };
            return Err(HalError::BrokenContract);
        }
        // SAFETY: the Hal promises `len` writable bytes there that nobody else uses (Slots Clean).
        unsafe { memory.ptr.write_bytes(0, len) };
        // SAFETY: the pages have room for `layout`, in which `words_at` is the offset of the array.
        let words = unsafe { private.ptr.add(words_at) }.cast::<AtomicUsize>();
        let shared = private.ptr.cast::<Shared>();
        let value = Shared {
            handles: AtomicUsize::new(1),
            memory,
            pages,
            slots,
            words,
            private,
            private_pages,
            trust,
        };
        // SAFETY: the pages are aligned to more than the layout asks for, have room for it, and are nobody else's.
        unsafe { shared.write(value) };
        for index in 0..words_for(slots) {
            // SAFETY: inside the array, for which the layout has room.
            let word = unsafe { words.add(index) };
            // SAFETY: likewise, and aligned as the layout says.
            unsafe { word.write(AtomicUsize::new(0)) };
        }
        let pool = Self { shared, inner };
        pool.bitmap().clear();
        Ok(pool)
    }

    fn shared(&self) -> &Shared {
        // SAFETY: Pool In Place: this is one of the handles.
        unsafe { self.shared.as_ref() }
    }

    fn bitmap(&self) -> Bitmap<'_> {
        let Shared { words, slots, .. } = *self.shared();
        // SAFETY: Pool In Place: so many words were written there by `with_trust`.
        let words = unsafe { NonNull::slice_from_raw_parts(words, words_for(slots)).as_ref() };
        Bitmap::new(words, slots)
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared().slots.saturating_mul(SLOT)
    }

    /// Bytes that are free at this moment. They need not lie side by side.
    #[must_use]
    pub fn free(&self) -> usize {
        self.bitmap().count_free().saturating_mul(SLOT)
    }

    /// The Hal within.
    #[must_use]
    pub const fn inner(&self) -> &H {
        &self.inner
    }

    /// The slots under a segment of this pool.
    fn run_of(&self, bounce: NonNull<u8>, len: usize) -> Option<Run> {
        let offset = bounce.addr().get().checked_sub(self.shared().memory.ptr.addr().get())?;
        let run = Run { first: offset / SLOT, count: len.div_ceil(SLOT) };
        (run.first.checked_add(run.count)? <= self.shared().slots).then_some(run)
    }
}

impl<H: Hal + Clone> Clone for BouncePool<H> {
    fn clone(&self) -> Self {
        let inner = self.inner.clone();
        let handles = &self.shared().handles;
        if handles.fetch_add(1, Ordering::Relaxed) > CROWD {
            // So many were forgotten that the number means nothing any more.
            handles.store(SATURATED, Ordering::Relaxed);
        }
        Self { shared: self.shared, inner }
    }
}

impl<H: Hal> Drop for BouncePool<H> {
    fn drop(&mut self) {
        let Shared { memory, pages, private, private_pages, .. } = *self.shared();
        let handles = &self.shared().handles;
        let before = handles.fetch_sub(1, Ordering::Release);
        if before > CROWD {
            handles.store(SATURATED, Ordering::Relaxed);
        }
        if before != 1 {
            return;
        }
        fence(Ordering::Acquire);
        if self.bitmap().is_free() {
            // SAFETY: taken by `with_trust`, from this Hal or another copy of it; no slot is anybody's (Slot Owned), and there is
            // no handle left to take one.
            unsafe { self.inner.dma_dealloc(memory, pages) };
        } else {
            self.inner.leaked(Leaked { device: memory.device, pages: pages.get() });
        }
        // SAFETY: as above; this was the last handle (Pool In Place), and no device was told of private pages.
        unsafe { self.inner.private_dealloc(private, private_pages) };
    }
}

// SAFETY: sharing keeps its promise by Slot Owned: a segment is a run of slots of pages from the Hal within, which the device
// reaches, until `unshare`; what a driver never unshares keeps its slots, and so the pool. All other promises are kept by the
// Hal within. Nothing here unwinds.
unsafe impl<H: Hal> Hal for BouncePool<H> {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        self.inner.dma_alloc(pages, direction)
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.inner.dma_dealloc(memory, pages) }
    }
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.inner.map_mmio(address, len, kind)
    }
    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.inner.unmap_mmio(regs) }
    }

    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        let start = buffer.cast::<u8>();
        let to_reach = REACH.saturating_sub(start.addr().get() % REACH);
        let least = buffer.len().min(to_reach).div_ceil(SLOT);
        let run = self.bitmap().take(buffer.len().div_ceil(SLOT), least).ok_or(HalError::OutOfMemory)?;
        let room = run.count.saturating_mul(SLOT);
        let len = buffer.len().min(room);
        let memory = self.shared().memory;
        let offset = run.first.saturating_mul(SLOT);
        let Some(device) = memory.device.checked_add(offset) else {
            // `with_trust` has checked that all of the pool has addresses.
            self.bitmap().give(run);
            return Err(HalError::BrokenContract);
        };
        // SAFETY: the run was taken, so it lies in the pool.
        let slots = unsafe { memory.ptr.add(offset) };
        let copied = if direction.device_reads() { len } else { 0 };
        // SAFETY: `copied` exceeds neither the buffer (readable, by the caller's promise) nor the run, which is ours and
        // overlaps nothing (Slot Owned).
        unsafe { slots.copy_from_nonoverlapping(start, copied) };
        // A host may have written to free slots: the driver reads nothing that was not put here for this request.
        // SAFETY: `copied <= len <= room`, so this is inside the run.
        let rest = unsafe { slots.add(copied) };
        // SAFETY: likewise; the run is ours (Slot Owned).
        unsafe { rest.write_bytes(0, room.saturating_sub(copied)) };
        Ok(Segment { device, len, bounce: Some(slots), direct: false })
    }

    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        let Some(slots) = segment.bounce else { return };
        let Some(run) = self.run_of(slots, segment.len) else { return };
        if direction.device_writes() {
            let len = written.min(segment.len);
            // SAFETY: `len` does not exceed the segment, and so neither buffer (writable, by the caller's promise) nor run.
            unsafe { buffer.copy_from_nonoverlapping(slots, len) };
        }
        // SAFETY: the run is this segment's, and the caller promises that the device is done with it (Slot Owned); afterwards it
        // may be given back (Slots Clean).
        unsafe { slots.write_bytes(0, run.count.saturating_mul(SLOT)) };
        self.bitmap().give(run);
    }

    unsafe fn sync_to_device(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: the caller's promises are the ones asked for, and a segment's slots are as long as it (Slot Owned).
        unsafe { bounce::sync_to_device(segment, buffer, offset, len) }
    }
    unsafe fn sync_to_cpu(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: the caller's promises are the ones asked for, and a segment's slots are as long as it (Slot Owned).
        unsafe { bounce::sync_to_cpu(segment, buffer, offset, len) }
    }

    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        self.inner.private_alloc(pages)
    }
    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.inner.private_dealloc(memory, pages) }
    }
    fn keeps_private(&self) -> bool {
        self.inner.keeps_private()
    }
    fn trust(&self) -> Trust {
        self.shared().trust
    }
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }
    fn translates(&self) -> bool {
        self.inner.translates()
    }
    fn now(&self) -> Option<Duration> {
        self.inner.now()
    }
    fn spin_budget(&self) -> Option<u64> {
        self.inner.spin_budget()
    }
    fn relax(&self) {
        self.inner.relax();
    }
    fn device_barrier(&self) {
        self.inner.device_barrier();
    }
    fn domain(&self) -> u64 {
        self.inner.domain()
    }
    fn leaked(&self, what: Leaked) {
        self.inner.leaked(what);
    }
    fn stuck(&self) -> ! {
        self.inner.stuck()
    }
}
