//! The simple way: frames in slices of the caller's.

use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::queue::{Request, Slices};
use virtio_core::{Hal, Transport};

use crate::abi::transmitq;
use crate::device::Net;
use crate::error::NetError;
use crate::fault::Drops;
use crate::offload::TxOffload;
use crate::payload::{Buffer, Payload};

impl<T: Transport, H: Hal + Clone, B: Buffer, X: Payload> Net<T, H, B, X> {
    /// Sends a frame, its Ethernet header first, and waits until the device is done with it. Nothing is copied.
    ///
    /// # Errors
    /// [`NetError::FrameTooShort`], [`NetError::FrameTooLong`]; [`NetError::Core`], also if the device does not take it within
    /// [`DEFAULT_TIMEOUT`] by the Hal's clock: it is taken down then.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), NetError> {
        self.send_with(frame, TxOffload::NONE)
    }

    /// As [`Net::send`], with something to be done by the device.
    ///
    /// # Errors
    /// As for [`Net::send`]; [`NetError::NotNegotiated`] and others for an offload that cannot be.
    pub fn send_with(&mut self, frame: &[u8], offload: TxOffload) -> Result<(), NetError> {
        let outlet = self.facts.outlet();
        let header = outlet.header(frame.len(), frame, offload)?;
        let slices = [frame];
        let request = Request::new(Slices::to_read(&slices)).header(outlet.wire.cut(&header));
        self.device.transfer(transmitq(0), request, &mut [], DEFAULT_TIMEOUT)?;
        Ok(())
    }

    /// Copies the next frame that came in through the first pair of queues to the start of `bytes`. Answers how many bytes it has,
    /// or `None` if there is none. Does not block. Frames that are not in order are dropped and [counted](Net::drops).
    ///
    /// # Errors
    /// [`NetError::SliceTooShort`]: the frame is dropped. [`NetError::Core`].
    pub fn receive(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, NetError> {
        let (mut receiver, _) = self.pair(0)?;
        let outcome = match receiver.receive() {
            Ok(None) => Ok(None),
            Ok(Some(frame)) if frame.len() > bytes.len() => {
                Err(NetError::SliceTooShort { needed: frame.len() })
            }
            Ok(Some(frame)) => Ok(Some(frame.copy_to(bytes))),
            Err(error) => Err(error),
        };
        // Its buffers are the device's again.
        receiver.kick();
        let drops = receiver.drops();
        self.drops.add(&drops);
        outcome
    }

    /// Frames that [`Net::receive`] has dropped.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.drops
    }
}
