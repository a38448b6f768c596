//! One frame in, one frame out.

use core::fmt;

use virtio_core::dma::{Part, Readable};
use virtio_core::{Hal, Transport};

use crate::abi::{F_CSUM, F_GUEST_CSUM};
use crate::offload::parse;
use crate::offload::{RxChecksum, RxOffload, TxOffload};
use crate::payload::Buffer;
use crate::receive::Frame;
use crate::transmit::Sender;
use crate::wire::Wire;

/// Whether the stack may see a frame. It checks no checksums itself if the device may leave some incomplete: then what the device
/// knows nothing about is checked here.
pub(super) fn is_sound(wire: &Wire, offload: RxOffload, frame: &[u8]) -> bool {
    !wire.features.contains(F_GUEST_CSUM) || offload.checksum != RxChecksum::Unknown || parse::is_sound(frame)
}

/// A frame that came in. Its buffer goes back to the device with this.
pub struct RxToken<'a, B: Buffer> {
    bytes: Bytes<'a, B>,
}

enum Bytes<'a, B: Buffer> {
    /// In the buffer that it came in with.
    InPlace(Frame<'a, B>),
    /// Put together from several.
    Gathered(&'a [u8]),
}

impl<'a, B: Buffer> RxToken<'a, B> {
    pub(super) fn in_place(frame: Frame<'a, B>) -> Self {
        Self { bytes: Bytes::InPlace(frame) }
    }

    pub(super) fn gathered(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::Gathered(bytes) }
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::InPlace(frame) => frame.bytes().unwrap_or_default(),
            Bytes::Gathered(bytes) => bytes,
        }
    }
}

impl<B: Buffer> fmt::Debug for RxToken<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RxToken({} bytes)", self.bytes().len())
    }
}

impl<B: Buffer> smoltcp::phy::RxToken for RxToken<'_, B> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.bytes())
    }
}

/// A frame to be sent; there is a buffer for it.
pub struct TxToken<'a, 'd, B: Buffer, T: Transport + ?Sized, H: Hal> {
    sender: &'a mut Sender<'d, Readable<Part<B>>, T, H>,
    pool: &'a mut [Option<B>],
    /// Whether the device is notified later.
    later: bool,
    unsent: &'a mut u64,
}

impl<B: Buffer, T: Transport + ?Sized, H: Hal> fmt::Debug for TxToken<'_, '_, B, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxToken({:?})", self.sender)
    }
}

impl<'a, 'd, B: Buffer, T: Transport + ?Sized, H: Hal> TxToken<'a, 'd, B, T, H> {
    /// There is a buffer in the pool.
    pub(super) fn new(
        sender: &'a mut Sender<'d, Readable<Part<B>>, T, H>,
        pool: &'a mut [Option<B>],
        later: bool,
        unsent: &'a mut u64,
    ) -> Self {
        Self { sender, pool, later, unsent }
    }

    /// Sends the first `len` bytes of a buffer. It comes back if the queue does not take it.
    fn send(sender: &mut Sender<'d, Readable<Part<B>>, T, H>, mut buffer: B, len: usize) -> Option<B> {
        let mut offload = TxOffload::NONE;
        if sender.wire().features.contains(F_CSUM) {
            offload = TxOffload::for_frame(buffer.as_mut().get_mut(..len).unwrap_or_default());
        }
        let part = match Part::new(buffer, 0..len) {
            Ok(part) => part,
            Err(buffer) => return Some(buffer),
        };
        let rejected = sender.add(Readable(part), offload).err()?;
        rejected.payload.map(|Readable(part)| part.into_inner())
    }
}

impl<B: Buffer, T: Transport + ?Sized, H: Hal> smoltcp::phy::TxToken for TxToken<'_, '_, B, T, H> {
    /// The stack never asks for more than the MTU that it was told, which is no more than the shortest buffer has.
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Self { sender, pool, later, unsent } = self;
        let place =
            pool.iter_mut().find(|place| place.as_ref().is_some_and(|buffer| buffer.as_ref().len() >= len));
        let Some((place, mut buffer)) = place.and_then(|place| place.take().map(|buffer| (place, buffer)))
        else {
            *unsent = unsent.wrapping_add(1);
            return f(&mut []);
        };
        let outcome = f(buffer.as_mut().get_mut(..len).unwrap_or_default());
        if let Some(buffer) = Self::send(sender, buffer, len) {
            *place = Some(buffer);
            *unsent = unsent.wrapping_add(1);
        }
        if !later {
            sender.kick();
        }
        outcome
    }
}
