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
use crate::hal::Direction;
use crate::{DeviceAddr, Hal};

/// One buffer of a payload.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Where the driver sees it.
    pub memory: NonNull<[u8]>,
    /// Where the device sees it, if it is DMA memory already; otherwise it is shared through the Hal.
    pub device: Option<DeviceAddr>,
    /// `ToDevice` or `FromDevice`.
    pub direction: Direction,
}

/// Where one buffer lies.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Where the driver sees it.
    pub memory: NonNull<[u8]>,
    /// Where the device sees it, if it is DMA memory already.
    pub device: Option<DeviceAddr>,
}

/// A value that a queue takes while the device works on its buffers.
///
/// # Safety
/// * The memory of every part stays where it is when the value is moved, and stays valid and unaliased for as long as the
///   value exists and is not touched.
/// * `part` answers the same for the same index each time, and with the direction that the memory allows: a part that is
///   `FromDevice` may be written.
/// * If `part` gives a device address, it is the address of all of that part, of memory from a live [`Dma`].
pub unsafe trait Lend: 'static {
    /// How many buffers there are.
    fn parts(&self) -> usize;

    /// Buffer `index` of the value at `this`, or `None` if there is none.
    ///
    /// # Safety
    /// `this` points to a live value that nobody refers to, and that is not moved or touched while the answer is used.
    unsafe fn part(this: NonNull<Self>, index: usize) -> Option<Part>;
}

/// Memory that a device may read.
///
/// # Safety
/// As for [`Lend`], for one buffer: `region` is stable under moves of the value, readable, and writable through the
/// value's owner.
pub unsafe trait ReadBuffer: 'static {
    /// The memory, and its device address if it is DMA memory.
    ///
    /// # Safety
    /// As for [`Lend::part`].
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

/// A payload of one buffer that the device reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Readable<B>(pub B);

/// A payload of one buffer that the device writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Writable<B>(pub B);

// SAFETY: no parts at all.
unsafe impl Lend for () {
    fn parts(&self) -> usize {
        0
    }
    unsafe fn part(_this: NonNull<Self>, _index: usize) -> Option<Part> {
        None
    }
}

// SAFETY: `ReadBuffer` promises the same for its one region; devices may only read it.
unsafe impl<B: ReadBuffer> Lend for Readable<B> {
    fn parts(&self) -> usize {
        1
    }
    unsafe fn part(this: NonNull<Self>, index: usize) -> Option<Part> {
        if index != 0 {
            return None;
        }
        // SAFETY: the wrapper is transparent and the caller's promises are the ones `region` asks for.
        let Stretch { memory, device } = unsafe { B::region(this.cast()) };
        Some(Part { memory, device, direction: Direction::ToDevice })
    }
}

// SAFETY: `WriteBuffer` promises the same for its one region, and that it is writable.
unsafe impl<B: WriteBuffer> Lend for Writable<B> {
    fn parts(&self) -> usize {
        1
    }
    unsafe fn part(this: NonNull<Self>, index: usize) -> Option<Part> {
        if index != 0 {
            return None;
        }
        // SAFETY: the wrapper is transparent and the caller's promises are the ones `region` asks for.
        let Stretch { memory, device } = unsafe { B::region(this.cast()) };
        Some(Part { memory, device, direction: Direction::FromDevice })
    }
}

// SAFETY: both halves promise the same for their parts, and a pair adds none.
unsafe impl<A: Lend, B: Lend> Lend for (A, B) {
    fn parts(&self) -> usize {
        self.0.parts().saturating_add(self.1.parts())
    }
    unsafe fn part(this: NonNull<Self>, index: usize) -> Option<Part> {
        let pair = this.as_ptr();
        // SAFETY: `this` points to a live pair, so both fields are in bounds.
        let first = unsafe { &raw mut (*pair).0 };
        // SAFETY: as above.
        let second = unsafe { &raw mut (*pair).1 };
        // SAFETY: a field of a live value that nobody refers to.
        let in_first = unsafe { &*first }.parts();
        match index.checked_sub(in_first) {
            // SAFETY: the caller's promises hold for the field as they do for the pair.
            None => unsafe { A::part(NonNull::new(first)?, index) },
            // SAFETY: likewise.
            Some(rest) => unsafe { B::part(NonNull::new(second)?, rest) },
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
        Stretch { memory: dma.raw(), device: Some(dma.paddr()) }
    }
}

/// A DMA region that the device writes, as a payload of its own: its direction is in its type.
// SAFETY: DMA pages do not move with the value that owns them; the direction allows the device to write.
unsafe impl<H: Hal + 'static> Lend for Dma<[u8], H, super::direction::FromDevice> {
    fn parts(&self) -> usize {
        1
    }
    unsafe fn part(this: NonNull<Self>, index: usize) -> Option<Part> {
        if index != 0 {
            return None;
        }
        // SAFETY: `this` points to a live value that nobody refers to.
        let dma = unsafe { this.as_ref() };
        Some(Part { memory: dma.raw(), device: Some(dma.paddr()), direction: Direction::FromDevice })
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
