//! What the requests of a disk carry, besides what travels in the queue's own memory.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use virtio_core::dma::{Either, Lend, Readable, Writable, WriteBuffer};

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl<B> Sealed for super::Owned<B> {}
}

/// What the requests of a [`Disk`](crate::Disk) carry: `()`, for callers that wait or await over slices that they keep, or
/// [`Owned<B>`], for those that give buffers away and get them back.
pub trait Payload: sealed::Sealed + 'static {
    /// What its queues carry.
    type Carried: Lend;

    /// A request without any.
    fn nothing() -> Self::Carried;
}

impl Payload for () {
    type Carried = ();

    fn nothing() {}
}

/// Requests carry buffers of type `B`: `Disk<T, H, Owned<Vec<u8>>>`.
pub struct Owned<B>(PhantomData<fn() -> B>);

impl<B> fmt::Debug for Owned<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owned")
    }
}

impl<B: Buffers> Payload for Owned<B> {
    type Carried = Option<Either<B::Read, B::Write>>;

    fn nothing() -> Self::Carried {
        None
    }
}

/// What can be read into and written from: any buffer that a device may write, such as `&'static mut [u8]`,
/// [`Dma<[u8], H, Both>`](virtio_core::Dma) and, with the feature `alloc`, `Box<[u8]>` and `Vec<u8>`; or several, as
/// [`Scattered`].
///
/// It is implemented for all of them, and not for you to implement: it only says how they are lent.
pub trait Buffers: Sized + 'static {
    /// The same, for the device to read.
    type Read: Lend;
    /// The same, for the device to write.
    type Write: Lend;

    /// How many bytes, in how many pieces, and the longest of them.
    fn measure(&self) -> Measure;
    /// For the device to read.
    fn to_read(self) -> Self::Read;
    /// Back.
    fn was_read(lent: Self::Read) -> Self;
    /// For the device to write.
    fn to_write(self) -> Self::Write;
    /// Back.
    fn was_written(lent: Self::Write) -> Self;
}

/// How much is lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Measure {
    /// Bytes of all.
    pub bytes: usize,
    /// How many buffers.
    pub pieces: usize,
    /// Bytes of the longest.
    pub longest: usize,
}

impl Measure {
    /// Of several.
    pub(crate) fn of(lens: impl Iterator<Item = usize>) -> Self {
        lens.fold(Self::default(), |all, len| Self {
            // Memory does not hold more than a `usize` counts, but slices may overlap where they are only read.
            bytes: all.bytes.saturating_add(len),
            pieces: all.pieces.saturating_add(1),
            longest: all.longest.max(len),
        })
    }
}

impl<B: WriteBuffer + AsRef<[u8]>> Buffers for B {
    type Read = Readable<B>;
    type Write = Writable<B>;

    #[inline]
    fn measure(&self) -> Measure {
        let bytes = self.as_ref().len();
        Measure { bytes, pieces: 1, longest: bytes }
    }
    #[inline]
    fn to_read(self) -> Readable<B> {
        Readable(self)
    }
    #[inline]
    fn was_read(lent: Readable<B>) -> B {
        lent.0
    }
    #[inline]
    fn to_write(self) -> Writable<B> {
        Writable(self)
    }
    #[inline]
    fn was_written(lent: Writable<B>) -> B {
        lent.0
    }
}

/// Several buffers for sectors in a row (scatter/gather): `Scattered<[B; N]>` or, with the feature `alloc`,
/// `Scattered<Vec<B>>`. The lengths of all together are a multiple of 512.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scattered<L>(pub L);

impl<B: WriteBuffer + AsRef<[u8]>, const N: usize> Buffers for Scattered<[B; N]> {
    type Read = [Readable<B>; N];
    type Write = [Writable<B>; N];

    fn measure(&self) -> Measure {
        Measure::of(self.0.iter().map(|buffer| buffer.as_ref().len()))
    }
    fn to_read(self) -> Self::Read {
        self.0.map(Readable)
    }
    fn was_read(lent: Self::Read) -> Self {
        Self(lent.map(|Readable(buffer)| buffer))
    }
    fn to_write(self) -> Self::Write {
        self.0.map(Writable)
    }
    fn was_written(lent: Self::Write) -> Self {
        Self(lent.map(|Writable(buffer)| buffer))
    }
}

/// The list itself is kept: a `Vec` collects into the memory that it has.
#[cfg(feature = "alloc")]
impl<B: WriteBuffer + AsRef<[u8]>> Buffers for Scattered<Vec<B>> {
    type Read = Vec<Readable<B>>;
    type Write = Vec<Writable<B>>;

    fn measure(&self) -> Measure {
        Measure::of(self.0.iter().map(|buffer| buffer.as_ref().len()))
    }
    fn to_read(self) -> Self::Read {
        self.0.into_iter().map(Readable).collect()
    }
    fn was_read(lent: Self::Read) -> Self {
        Self(lent.into_iter().map(|Readable(buffer)| buffer).collect())
    }
    fn to_write(self) -> Self::Write {
        self.0.into_iter().map(Writable).collect()
    }
    fn was_written(lent: Self::Write) -> Self {
        Self(lent.into_iter().map(|Writable(buffer)| buffer).collect())
    }
}

/// The buffers of a request, whichever way it went.
pub(crate) fn returned<B: Buffers>(carried: Option<Either<B::Read, B::Write>>) -> Option<B> {
    Some(match carried? {
        Either::First(lent) => B::was_read(lent),
        Either::Second(lent) => B::was_written(lent),
    })
}
