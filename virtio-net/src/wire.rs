//! How frames and commands look on the queues of one device, once its features are settled.

use virtio_core::Features;
use virtio_core::config::ByteOrder;
use zerocopy::{FromBytes, IntoBytes};

use crate::abi::{
    ETHERNET, F_MRG_RXBUF, HEADER, Header, LARGEST_FRAME, RECEIVE_SEGMENTS, SHORT_HEADER, USUAL_FRAME,
};

/// The most buffers that a received frame may lie in: as many as 64 KiB take of a page each.
pub(crate) const MOST_PIECES: usize = 18;

/// How frames look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) features: Features,
    /// Of numbers: the guest's own on a legacy interface (VIRTIO 1.4 §5.1.9.1).
    pub(crate) order: ByteOrder,
    /// Bytes of the header, in either direction.
    pub(crate) header: usize,
    /// The MTU, if it was negotiated.
    pub(crate) mtu: Option<u16>,
}

impl Wire {
    pub(crate) fn new(features: Features, mtu: Option<u16>) -> Self {
        let modern = features.contains(Features::VERSION_1);
        let order = if modern { ByteOrder::Little } else { ByteOrder::Native };
        let header = if modern || features.contains(F_MRG_RXBUF) { HEADER } else { SHORT_HEADER };
        Self { features, order, header, mtu }
    }

    pub(crate) fn to_bytes(self, number: u16) -> [u8; 2] {
        match self.order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Native => number.to_ne_bytes(),
        }
    }

    pub(crate) fn to_number(self, bytes: [u8; 2]) -> u16 {
        match self.order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Native => u16::from_ne_bytes(bytes),
        }
    }

    pub(crate) fn to_bytes32(self, number: u32) -> [u8; 4] {
        match self.order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Native => number.to_ne_bytes(),
        }
    }

    pub(crate) fn to_number32(self, bytes: [u8; 4]) -> u32 {
        match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Native => u32::from_ne_bytes(bytes),
        }
    }

    pub(crate) fn to_bytes64(self, number: u64) -> [u8; 8] {
        match self.order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Native => number.to_ne_bytes(),
        }
    }

    /// The bytes of a header, as many as this device takes.
    pub(crate) fn cut<'h>(&self, header: &'h Header) -> &'h [u8] {
        header.as_bytes().get(..self.header).unwrap_or_default()
    }

    /// The header at the start of a received frame. `None` if it is cut short.
    pub(crate) fn header_of(&self, frame: &[u8]) -> Option<Header> {
        let mut header = Header::default();
        let bytes = frame.get(..self.header)?;
        if self.header == HEADER {
            return Header::read_from_bytes(bytes).ok();
        }
        header.as_mut_bytes().get_mut(..self.header)?.copy_from_slice(bytes);
        Some(header)
    }

    /// Whether a received frame may lie in several buffers.
    pub(crate) fn merges(&self) -> bool {
        self.features.contains(F_MRG_RXBUF)
    }

    /// The longest frame, its Ethernet header included and a tag not, that one may send without having it cut; none if the
    /// device does not say.
    pub(crate) fn transmit_limit(&self) -> Option<usize> {
        self.mtu.map(|mtu| usize::from(mtu).saturating_add(ETHERNET))
    }

    /// The longest frame that may come in.
    fn longest_received(&self) -> usize {
        if self.features.intersects(RECEIVE_SEGMENTS) {
            return LARGEST_FRAME;
        }
        self.transmit_limit().unwrap_or(USUAL_FRAME).max(USUAL_FRAME)
    }

    /// Bytes that each receive buffer must have at least, in a queue of `size` entries (VIRTIO 1.4 §5.1.9.3.1). Where frames are
    /// merged, so many that the longest fits into the queue, and into as many buffers as one frame may have.
    pub(crate) fn least_buffer(&self, size: u16) -> usize {
        let whole = self.longest_received().saturating_add(self.header);
        if !self.merges() {
            return whole;
        }
        let pieces = usize::from(size).clamp(1, MOST_PIECES);
        whole.div_ceil(pieces).max(self.header)
    }

    /// Bytes of a receive buffer that are enough for each frame that is not put together from several, tagged ones too; or for
    /// all, where they are not merged.
    pub(crate) fn good_buffer(&self, size: u16) -> usize {
        let usual = self.transmit_limit().unwrap_or(USUAL_FRAME).max(USUAL_FRAME);
        let usual = usual.saturating_add(crate::abi::VLAN_TAG).saturating_add(self.header);
        self.least_buffer(size).max(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{F_GUEST_CSUM, F_GUEST_TSO4};

    fn of(features: Features) -> Wire {
        Wire::new(features, None)
    }

    // shows: net.op.rx-buffers.4
    #[test]
    fn a_header_has_10_bytes_on_an_old_device_that_does_not_merge_and_12_on_all_others() {
        assert_eq!(of(Features::empty()).header, 10);
        assert_eq!(of(F_MRG_RXBUF).header, 12);
        assert_eq!(of(Features::VERSION_1).header, 12);
        assert_eq!(of(Features::VERSION_1 | F_MRG_RXBUF).header, 12);
    }

    // shows: net.op.rx-buffers.1, net.op.rx-buffers.2, net.op.rx-buffers.3, net.config.8
    #[test]
    fn buffers_are_as_long_as_frames_may_be() {
        let modern = Features::VERSION_1;
        assert_eq!(of(modern).least_buffer(64), 1526);
        assert_eq!(of(Features::empty()).least_buffer(64), 1524);
        let large = modern | F_GUEST_CSUM | F_GUEST_TSO4;
        assert_eq!(of(large).least_buffer(64), 65_601);
        assert_eq!(Wire::new(modern, Some(9000)).least_buffer(64), 9026);
        assert_eq!(Wire::new(modern, Some(68)).least_buffer(64), 1526);
        // Merged: all buffers of one frame together.
        for (features, mtu, whole) in [
            (modern, None, 1526_usize),
            (large, None, 65_601),
            (modern, Some(9000), 9026),
            (modern, Some(65_535), 65_561),
        ] {
            for size in [1, 2, 8, 18, 64, 1024] {
                let least = Wire::new(features | F_MRG_RXBUF, mtu).least_buffer(size);
                assert!(least * usize::from(size).min(MOST_PIECES) >= whole, "{size}: {least}");
                assert!(least >= 12);
            }
        }
        assert!(of(large | F_MRG_RXBUF).least_buffer(64) <= 4096, "a page will do");
    }
}
