//! What is received into, and what can be sent.

use virtio_core::dma::{Either, Lend, ReadBuffer, Readable, WriteBuffer};

/// A buffer that frames are received into: DMA memory of `virtio-core`, `&'static mut [u8]`; with the feature `alloc` of
/// `virtio-core`, `Box<[u8]>` and `Vec<u8>`, too.
pub trait Buffer: WriteBuffer + AsRef<[u8]> + AsMut<[u8]> {}

impl<B: WriteBuffer + AsRef<[u8]> + AsMut<[u8]>> Buffer for B {}

/// A frame to be sent: one or several buffers that the device reads, and none that it writes.
///
/// ```
/// use virtio_core::dma::{Part, Readable};
/// use virtio_net::Payload;
///
/// let whole = Readable(vec![0; 60]);
/// let part = Readable(Part::new(vec![0; 2048], 0..60).unwrap());
/// let in_two = (Readable(vec![0; 14]), Readable(vec![0; 46]));
/// assert_eq!((whole.len(), part.len(), in_two.len()), (60, 60, 60));
/// ```
pub trait Payload: Lend {
    /// Bytes of the frame.
    fn len(&self) -> usize;

    /// The bytes that lie together at the start of the frame. None, if that is not known.
    fn start(&self) -> &[u8] {
        &[]
    }

    /// Whether it has no bytes: then it is no frame.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<B: ReadBuffer + AsRef<[u8]>> Payload for Readable<B> {
    fn len(&self) -> usize {
        self.0.as_ref().len()
    }

    fn start(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl<A: Payload, B: Payload> Payload for (A, B) {
    fn len(&self) -> usize {
        self.0.len().saturating_add(self.1.len())
    }

    fn start(&self) -> &[u8] {
        self.0.start()
    }
}

impl<A: Payload, B: Payload> Payload for Either<A, B> {
    fn len(&self) -> usize {
        match self {
            Self::First(one) => one.len(),
            Self::Second(other) => other.len(),
        }
    }

    fn start(&self) -> &[u8] {
        match self {
            Self::First(one) => one.start(),
            Self::Second(other) => other.start(),
        }
    }
}

impl<P: Payload> Payload for Option<P> {
    fn len(&self) -> usize {
        self.as_ref().map_or(0, P::len)
    }

    fn start(&self) -> &[u8] {
        self.as_ref().map_or(&[], P::start)
    }
}

impl<P: Payload, const N: usize> Payload for [P; N] {
    fn len(&self) -> usize {
        self.iter().map(P::len).fold(0, usize::saturating_add)
    }

    fn start(&self) -> &[u8] {
        self.first().map_or(&[], P::start)
    }
}

#[cfg(feature = "alloc")]
impl<P: Payload> Payload for alloc::vec::Vec<P> {
    fn len(&self) -> usize {
        self.iter().map(P::len).fold(0, usize::saturating_add)
    }

    fn start(&self) -> &[u8] {
        self.first().map_or(&[], P::start)
    }
}
