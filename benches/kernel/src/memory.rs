//! Memory: pages for rings and buffers, which are never given back, and a heap for who wants one. Everything is mapped where it
//! is, so an address is the same for driver and device.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes in a page.
pub const PAGE: usize = 4096;
/// Where RAM ends: QEMU is started with 256 MiB, which begin at 1 GiB.
const END: usize = 0x5000_0000;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Fresh, zeroed pages in a row: nobody has had them, and QEMU's RAM begins as zeros.
pub fn pages(count: usize) -> NonNull<u8> {
    unsafe extern "C" {
        static __image_end: u8;
    }
    let first = match NEXT.load(Relaxed) {
        0 => (&raw const __image_end).addr().next_multiple_of(PAGE),
        next => next,
    };
    let end = first + count * PAGE;
    assert!(end <= END, "out of memory");
    NEXT.store(end, Relaxed);
    NonNull::new(core::ptr::with_exposed_provenance_mut(first)).expect("RAM is not at 0")
}

/// Buffers for a device to fill, for good.
pub fn buffer(len: usize) -> &'static mut [u8] {
    let memory = NonNull::slice_from_raw_parts(pages(len.div_ceil(PAGE)), len);
    // SAFETY: fresh pages that stay, and are nobody else's.
    unsafe { &mut *memory.as_ptr() }
}

/// Powers of two from 16 to 64 KiB, each with a list of what is free: as quick as a heap can be.
struct Heap([AtomicUsize; CLASSES]);

const CLASSES: usize = 13;
const SMALLEST: usize = 16;

#[global_allocator]
static HEAP: Heap = Heap([const { AtomicUsize::new(0) }; CLASSES]);

/// Which list, and the length of its pieces.
#[inline]
fn class(layout: Layout) -> Option<(usize, usize)> {
    let len = layout.size().max(layout.align()).max(SMALLEST).next_power_of_two();
    let class = (len / SMALLEST).trailing_zeros() as usize;
    (class < CLASSES).then_some((class, len))
}

// SAFETY: a piece is on a list or with its user, never both; its length, a power of two, is its alignment, for pages are cut into
// pieces from their beginning. There is one CPU and no interrupt, so nothing comes in between.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, len)) = class(layout) else { return null_mut() };
        let list = &self.0[class];
        if list.load(Relaxed) == 0 {
            let first = pages(len.div_ceil(PAGE)).addr().get();
            for piece in (0..len.max(PAGE) / len).map(|nth| first + nth * len) {
                // SAFETY: a piece of fresh pages.
                unsafe { push(list, piece) };
            }
        }
        let piece = list.load(Relaxed);
        // SAFETY: what is on the list is free, and begins with the next one's address.
        list.store(unsafe { *core::ptr::with_exposed_provenance::<usize>(piece) }, Relaxed);
        core::ptr::with_exposed_provenance_mut(piece)
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if let Some((class, _)) = class(layout) {
            // SAFETY: the caller gives the piece back.
            unsafe { push(&self.0[class], piece.expose_provenance()) };
        }
    }
}

/// # Safety
/// The piece is nobody's.
#[inline]
unsafe fn push(list: &AtomicUsize, piece: usize) {
    // SAFETY: nobody's memory, of 16 bytes at least, aligned.
    unsafe { *core::ptr::with_exposed_provenance_mut::<usize>(piece) = list.load(Relaxed) };
    list.store(piece, Relaxed);
}
