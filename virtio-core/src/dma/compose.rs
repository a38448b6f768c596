//! Payloads made of others: one of two, one or none, several (a room of unsafe code).
//!
//! Each of these hands out the buffers of the payloads inside it, and has none of its own. The payloads lie in the value or in
//! memory that it owns, so they are as still as it is: what [`Lend`] promises for each of them holds for all.
#![expect(unsafe_code, reason = "hands out the buffers of what it is made of")]

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use core::ptr::NonNull;

use super::lend::{Lend, Stretch};

/// A payload that is one thing or another: for queues whose requests are not all alike, such as those of a disk, which read
/// and write.
///
/// ```
/// use virtio_core::dma::{Either, Readable, Writable};
///
/// /// Written to the disk, or read from it, or neither.
/// type Payload = Option<Either<Readable<Vec<u8>>, Writable<Vec<u8>>>>;
/// fn lend<P: virtio_core::dma::Lend>(payload: P) -> (usize, usize) {
///     (payload.readable(), payload.writable())
/// }
/// assert_eq!(lend::<Payload>(Some(Either::First(Readable(vec![1; 512])))), (1, 0));
/// assert_eq!(lend::<Payload>(Some(Either::Second(Writable(vec![0; 512])))), (0, 1));
/// assert_eq!(lend::<Payload>(None), (0, 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Either<A, B> {
    /// The one.
    First(A),
    /// The other.
    Second(B),
}

// SAFETY: one of the two, which promises the same; the value is neither moved nor touched, so it stays that one.
unsafe impl<A: Lend, B: Lend> Lend for Either<A, B> {
    #[inline]
    fn readable(&self) -> usize {
        match self {
            Self::First(first) => first.readable(),
            Self::Second(second) => second.readable(),
        }
    }
    #[inline]
    fn writable(&self) -> usize {
        match self {
            Self::First(first) => first.writable(),
            Self::Second(second) => second.writable(),
        }
    }
    #[inline]
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the caller's promise: a live value that nobody refers to.
        match unsafe { &mut *this.as_ptr() } {
            // SAFETY: the caller's promises hold for what is inside as they do for the whole.
            Self::First(first) => unsafe { A::readable_at(NonNull::from(first), index) },
            // SAFETY: likewise.
            Self::Second(second) => unsafe { B::readable_at(NonNull::from(second), index) },
        }
    }
    #[inline]
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the caller's promise: a live value that nobody refers to.
        match unsafe { &mut *this.as_ptr() } {
            // SAFETY: the caller's promises hold for what is inside as they do for the whole.
            Self::First(first) => unsafe { A::writable_at(NonNull::from(first), index) },
            // SAFETY: likewise.
            Self::Second(second) => unsafe { B::writable_at(NonNull::from(second), index) },
        }
    }
}

// SAFETY: what is inside promises the same, and nothing has no buffers.
unsafe impl<P: Lend> Lend for Option<P> {
    #[inline]
    fn readable(&self) -> usize {
        self.as_ref().map_or(0, P::readable)
    }
    #[inline]
    fn writable(&self) -> usize {
        self.as_ref().map_or(0, P::writable)
    }
    #[inline]
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the caller's promise: a live value that nobody refers to.
        let inside = unsafe { &mut *this.as_ptr() }.as_mut()?;
        // SAFETY: the caller's promises hold for what is inside as they do for the whole.
        unsafe { P::readable_at(NonNull::from(inside), index) }
    }
    #[inline]
    unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: the caller's promise: a live value that nobody refers to.
        let inside = unsafe { &mut *this.as_ptr() }.as_mut()?;
        // SAFETY: the caller's promises hold for what is inside as they do for the whole.
        unsafe { P::writable_at(NonNull::from(inside), index) }
    }
}

/// Which of several payloads has buffer `index` of all, by how many each has; and which of its own it is.
fn locate<P>(payloads: &[P], mut index: usize, count: impl Fn(&P) -> usize) -> Option<(usize, usize)> {
    for (at, payload) in payloads.iter().enumerate() {
        match index.checked_sub(count(payload)) {
            None => return Some((at, index)),
            Some(rest) => index = rest,
        }
    }
    None
}

/// # Safety
/// As for [`Lend::readable_at`], for each of the payloads.
unsafe fn readable_of<P: Lend>(payloads: &mut [P], index: usize) -> Option<Stretch> {
    let (at, index) = locate(payloads, index, P::readable)?;
    // SAFETY: the caller's promise.
    unsafe { P::readable_at(NonNull::from(payloads.get_mut(at)?), index) }
}

/// # Safety
/// As for [`Lend::writable_at`], for each of the payloads.
unsafe fn writable_of<P: Lend>(payloads: &mut [P], index: usize) -> Option<Stretch> {
    let (at, index) = locate(payloads, index, P::writable)?;
    // SAFETY: the caller's promise.
    unsafe { P::writable_at(NonNull::from(payloads.get_mut(at)?), index) }
}

fn sum(counts: impl Iterator<Item = usize>) -> usize {
    counts.fold(0, usize::saturating_add)
}

macro_rules! several {
    ($($(#[$attribute:meta])* [$($generics:tt)*] $type:ty;)+) => { $(
        $(#[$attribute])*
        /// Scatter and gather: the buffers of all, in order; first those that the device reads, then those that it writes.
        // SAFETY: the payloads lie in the value or in memory that it owns, and each promises the same.
        unsafe impl<$($generics)*> Lend for $type {
            #[inline]
            fn readable(&self) -> usize {
                sum(self.iter().map(P::readable))
            }
            #[inline]
            fn writable(&self) -> usize {
                sum(self.iter().map(P::writable))
            }
            unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
                // SAFETY: the caller's promise: a live value that nobody refers to.
                let payloads = unsafe { &mut *this.as_ptr() };
                // SAFETY: the caller's promises hold for what is inside as they do for the whole.
                unsafe { readable_of(payloads.as_mut(), index) }
            }
            unsafe fn writable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
                // SAFETY: the caller's promise: a live value that nobody refers to.
                let payloads = unsafe { &mut *this.as_ptr() };
                // SAFETY: the caller's promises hold for what is inside as they do for the whole.
                unsafe { writable_of(payloads.as_mut(), index) }
            }
        }
    )+ };
}

several! {
    [P: Lend, const N: usize] [P; N];
    #[cfg(feature = "alloc")]
    [P: Lend] Vec<P>;
    #[cfg(feature = "alloc")]
    [P: Lend] Box<[P]>;
}
