//! What may be sent, and what header it gets.

use crate::abi::{ETHERNET, Header, LARGEST_FRAME, VLAN_TAG};
use crate::error::NetError;
use crate::offload::TxOffload;
use crate::offload::parse::is_tagged;
use crate::wire::Wire;

/// The driver's side of a transmit queue, without the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlet {
    pub(crate) wire: Wire,
    /// The longest frame that is sent by copying.
    pub(crate) copied: usize,
}

impl Outlet {
    /// The header of a frame of `len` bytes that starts with `start`.
    #[inline]
    pub(crate) fn header(&self, len: usize, start: &[u8], offload: TxOffload) -> Result<Header, NetError> {
        if len < ETHERNET {
            return Err(NetError::FrameTooShort(len));
        }
        // What is cut may be as long as it likes (VIRTIO 1.4 §5.1.4.2).
        let limit = self.wire.transmit_limit().filter(|_| !offload.is_cut()).unwrap_or(LARGEST_FRAME);
        if len > limit {
            self.allow_tag(len, start, limit)?;
        }
        offload.header(&self.wire, len)
    }

    /// A tag belongs to the low-level header, and does not count.
    #[cold]
    fn allow_tag(&self, len: usize, start: &[u8], limit: usize) -> Result<(), NetError> {
        let limit = if is_tagged(start) { limit.saturating_add(VLAN_TAG) } else { limit };
        if len > limit { Err(NetError::FrameTooLong { len, limit }) } else { Ok(()) }
    }

    /// The header of a frame that is sent by copying.
    #[inline]
    pub(crate) fn header_of_copy(&self, frame: &[u8], offload: TxOffload) -> Result<Header, NetError> {
        if frame.len() > self.copied {
            return Err(NetError::FrameTooLong { len: frame.len(), limit: self.copied });
        }
        self.header(frame.len(), frame, offload)
    }
}
