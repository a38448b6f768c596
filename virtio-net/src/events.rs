//! What the device has to tell besides frames.

use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceEvent, Hal, Transport};

use crate::device::Net;
use crate::error::NetError;
use crate::link::Link;
use crate::payload::{Buffer, Payload};

/// What a network device has to tell its driver besides frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NetEvent {
    /// Something about the link may have changed; here is how it is now. A request to [announce](Link::announce) is for the
    /// caller to carry out; the device was told that it has been seen.
    Changed(Link),
    /// The device has met an error that it cannot recover from (VIRTIO 1.4 §2.1.2). It was taken down; [`Net::recover`] brings it
    /// up again. Frames that were with it are lost.
    NeedsReset,
}

impl<T: Transport, H: Hal + Clone, B: Buffer, X: Payload> Net<T, H, B, X> {
    /// Follows up on an interrupt that an [`Endpoint`](virtio_core::Endpoint) has acknowledged in its handler; a kernel that polls
    /// may call it at any time, with [`InterruptStatus::CONFIG`]. Look for frames after this, too.
    ///
    /// # Errors
    /// [`NetError::Core`] if the device was taken down; as for [`Control::command`](crate::Control::command) if it asks for an
    /// announcement and does not take the acknowledgement.
    pub fn attend(&mut self, status: InterruptStatus) -> Result<Option<NetEvent>, NetError> {
        match self.device.attend(status)? {
            None => Ok(None),
            Some(DeviceEvent::NeedsReset) => Ok(Some(NetEvent::NeedsReset)),
            // The configuration, and whatever else may come to be.
            Some(_) => {
                let link = self.link()?;
                if link.announce {
                    self.control()?.acknowledge_announce()?;
                }
                Ok(Some(NetEvent::Changed(link)))
            }
        }
    }
}
