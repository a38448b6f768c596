//! What may be lent to a device and given back (a room of unsafe code).
//!
//! A request that returns before the device is done takes its buffers by value: a borrow could be forgotten
//! (`mem::forget`), and then the device would write memory that is used for something else. [`Lend`] says which values
//! qualify: those whose memory does not move when the value moves.
#![expect(unsafe_code, reason = "takes pointers to lent buffers")]

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use core::ptr::NonNull;

use super::direction::{DeviceReads, DeviceWrites};
use super::typed::Dma;
use crate::{DeviceAddr, Hal};

/// Where one buffer lies.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Where the driver sees it.
    pub memory: NonNull<[u8]>,
    /// Where a device sees it, if it is DMA memory already, and in which [domain](Hal::domain).
    pub device: Option<(DeviceAddr, u64)>,
}

/// A value that a queue takes while the device works on its buffers.
///
/// # Safety
/// * The memory of every buffer stays where it is when the value is moved, and stays valid and unaliased for as long as
///   the value exists and is not touched; a writable one may be written.
/// * The counts do not change while the value is not touched.
/// * If a [`Stretch`] has a device address, it is the address of all of that buffer, of memory from a live [`Dma`].
pub unsafe trait Lend: Send + 'static {
    /// How many buffers the device reads.
    fn readable(&self) -> usize;

    /// How many buffers the device writes.
    fn writable(&self) -> usize;

    /// Readable buffer `index` of the value at `this`. Called for each loan, perhaps more than once.
    ///
    /// # Safety
    /// `this` points to a live value that nobody refers to, and that is not moved or touched while the answer is used.
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch>;

    /// Writable buffer `index` of the value at `this`. Called for each loan, perhaps more than once.
    ///
    /// # Safety
    /// As for [`Lend::readable_at`].
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch>;
}

/// Memory that a device may read.
///
/// # Safety
/// As for [`Lend`], for one buffer: `region` is stable under moves of the value, and readable.
pub unsafe trait ReadBuffer: Send + 'static {
    /// The memory, and its device address if it is DMA memory.
    ///
    /// # Safety
    /// As for [`Lend::readable_at`].
    unsafe fn region(this: NonNull<Self>) -> Stretch;
}

/// Memory that a device may write. Not implemented for `&'static [u8]`: lending read-only memory to be written does not
/// compile.
///
/// ```compile_fail,E0277
/// use virtio_core::dma::{Lend, Writable};
/// fn lend<P: Lend>(_: P) {}
/// lend(Writable(b"constant" as &'static [u8]));
/// ```
///
/// # Safety
/// As for [`ReadBuffer`], and the memory is writable.
pub unsafe trait WriteBuffer: ReadBuffer {}

/// Memory that its owner may write, whatever the device may do: what an attachment can be drawn into.
///
/// # Safety
/// The value has its memory to itself, and may write it.
pub unsafe trait Exclusive: ReadBuffer {}

// SAFETY: the exclusive reference to the memory is inside the value.
unsafe impl Exclusive for &'static mut [u8] {}
// SAFETY: DMA pages belong to the value that owns them.
unsafe impl<H: Hal + 'static, D: DeviceReads> Exclusive for Dma<[u8], H, D> {}
#[cfg(feature = "alloc")]
// SAFETY: a box owns its memory.
unsafe impl Exclusive for Box<[u8]> {}
#[cfg(feature = "alloc")]
// SAFETY: a vector owns its memory.
unsafe impl Exclusive for Vec<u8> {}

/// A payload of one buffer that the device reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Readable<B>(pub B);

/// A payload of one buffer that the device writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Writable<B>(pub B);

// SAFETY: no buffers at all.
unsafe impl Lend for () {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

// SAFETY: `ReadBuffer` promises the same for its one region; devices may only read it.
unsafe impl<B: ReadBuffer> Lend for Readable<B> {
    fn readable(&self) -> usize {
        1
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the wrapper is transparent and the caller's promises are the ones `region` asks for.
        (index == 0).then(|| unsafe { B::region(this.cast()) })
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

// SAFETY: `WriteBuffer` promises the same for its one region, and that it is writable.
unsafe impl<B: WriteBuffer> Lend for Writable<B> {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        1
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the wrapper is transparent and the caller's promises are the ones `region` asks for.
        (index == 0).then(|| unsafe { B::region(this.cast()) })
    }
}

/// The two fields of a pair, as pointers.
///
/// # Safety
/// `this` points to a live pair.
unsafe fn fields<A, B>(this: NonNull<(A, B)>) -> (NonNull<A>, NonNull<B>) {
    let pair = this.as_ptr();
    // SAFETY: a live pair, so both fields are in bounds.
    let first = unsafe { &raw mut (*pair).0 };
    // SAFETY: as above.
    let second = unsafe { &raw mut (*pair).1 };
    // SAFETY: a field of a live value is not at null.
    let first = unsafe { NonNull::new_unchecked(first) };
    // SAFETY: as above.
    (first, unsafe { NonNull::new_unchecked(second) })
}

// SAFETY: both halves promise the same for their buffers, and a pair adds none.
unsafe impl<A: Lend, B: Lend> Lend for (A, B) {
    fn readable(&self) -> usize {
        self.0.readable().saturating_add(self.1.readable())
    }
    fn writable(&self) -> usize {
        self.0.writable().saturating_add(self.1.writable())
    }
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the caller's promise.
        let (first, second) = unsafe { fields(this) };
        // SAFETY: a field of a live value that nobody refers to.
        let in_first = unsafe { first.as_ref() }.readable();
        match index.checked_sub(in_first) {
            // SAFETY: the caller's promises hold for the field as they do for the pair.
            None => unsafe { A::readable_at(first, index) },
            // SAFETY: likewise.
            Some(rest) => unsafe { B::readable_at(second, rest) },
        }
    }
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the caller's promise.
        let (first, second) = unsafe { fields(this) };
        // SAFETY: a field of a live value that nobody refers to.
        let in_first = unsafe { first.as_ref() }.writable();
        match index.checked_sub(in_first) {
            // SAFETY: the caller's promises hold for the field as they do for the pair.
            None => unsafe { A::writable_at(first, index) },
            // SAFETY: likewise.
            Some(rest) => unsafe { B::writable_at(second, rest) },
        }
    }
}

// SAFETY: static memory does not move; shared, so the device may only read it.
unsafe impl ReadBuffer for &'static [u8] {
    unsafe fn region(this: NonNull<Self>) -> Stretch {
        // SAFETY: `this` points to a live reference.
        let slice: &'static [u8] = unsafe { *this.as_ptr() };
        Stretch { memory: NonNull::from(slice), device: None }
    }
}

// SAFETY: static memory does not move, and the exclusive reference to it is inside the value.
unsafe impl ReadBuffer for &'static mut [u8] {
    unsafe fn region(this: NonNull<Self>) -> Stretch {
        // SAFETY: `this` points to a live reference that nobody else uses meanwhile.
        let slice: &mut [u8] = unsafe { &mut *this.as_ptr() };
        Stretch { memory: NonNull::from(slice), device: None }
    }
}
// SAFETY: an exclusive reference allows writing.
unsafe impl WriteBuffer for &'static mut [u8] {}

// SAFETY: DMA pages do not move with the value that owns them.
unsafe impl<H: Hal + 'static, D: DeviceReads> ReadBuffer for Dma<[u8], H, D> {
    unsafe fn region(this: NonNull<Self>) -> Stretch {
        // SAFETY: `this` points to a live value that nobody refers to.
        let dma = unsafe { this.as_ref() };
        Stretch { memory: dma.raw(), device: Some((dma.paddr(), dma.domain())) }
    }
}

/// A DMA region that the device writes, as a payload of its own: its direction is in its type.
// SAFETY: DMA pages do not move with the value that owns them; the direction allows the device to write.
unsafe impl<H: Hal + 'static> Lend for Dma<[u8], H, super::direction::FromDevice> {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        1
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: `this` points to a live value that nobody refers to.
        let dma = unsafe { this.as_ref() };
        (index == 0).then(|| Stretch { memory: dma.raw(), device: Some((dma.paddr(), dma.domain())) })
    }
}

// SAFETY: both directions are allowed by the type.
unsafe impl<H: Hal + 'static, D: DeviceReads + DeviceWrites> WriteBuffer for Dma<[u8], H, D> {}

#[cfg(feature = "alloc")]
// SAFETY: a box's memory does not move with the box.
unsafe impl ReadBuffer for Box<[u8]> {
    unsafe fn region(this: NonNull<Self>) -> Stretch {
        // SAFETY: `this` points to a live box that nobody else uses meanwhile.
        let slice: &mut [u8] = unsafe { &mut *this.as_ptr() };
        Stretch { memory: NonNull::from(slice), device: None }
    }
}
#[cfg(feature = "alloc")]
// SAFETY: a box's memory is writable.
unsafe impl WriteBuffer for Box<[u8]> {}

#[cfg(feature = "alloc")]
// SAFETY: a vector's memory does not move with the vector; its initialised part is lent.
unsafe impl ReadBuffer for Vec<u8> {
    unsafe fn region(this: NonNull<Self>) -> Stretch {
        // SAFETY: `this` points to a live vector that nobody else uses meanwhile.
        let vector: &mut Self = unsafe { &mut *this.as_ptr() };
        Stretch { memory: NonNull::from(vector.as_mut_slice()), device: None }
    }
}
#[cfg(feature = "alloc")]
// SAFETY: a vector's memory is writable.
unsafe impl WriteBuffer for Vec<u8> {}
