//! What a kernel chooses.

use virtio_core::Features;

use crate::abi::{F_MQ, MAX_PAIRS, OFFLOADS, TRANSMIT_OFFLOADS, USUAL, USUAL_FRAME};

/// What a driver is to do with a device. What the device does not offer is done without.
///
/// ```
/// use virtio_net::{Options, abi};
/// // Frames in several buffers, put together by the device, with their checksums validated or left to the driver.
/// let large = abi::F_MRG_RXBUF | abi::F_GUEST_CSUM | abi::F_GUEST_TSO4 | abi::F_GUEST_TSO6;
/// let options = Options { offloads: abi::TRANSMIT_OFFLOADS | large, ..Options::default() };
/// # let _ = options;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// Work for the device, out of [`abi::OFFLOADS`](OFFLOADS). The default is [`TRANSMIT_OFFLOADS`]: whoever sends a frame may
    /// use them, and received frames are as they were on the wire, one a buffer.
    pub offloads: Features,
    /// What is not to be accepted of the rest, such as `RING_PACKED`; or [`F_CTRL_VLAN`](crate::abi::F_CTRL_VLAN), with which no
    /// tagged frame comes in whose VLAN was not [asked for](crate::Command::AddVlan); or a
    /// [`F_GUEST_ANNOUNCE`](crate::abi::F_GUEST_ANNOUNCE) that nobody attends to.
    pub refused: Features,
    /// Pairs of queues, one for each CPU that is to send and receive: 1 at first. A device with fewer is used as far as it goes.
    pub pairs: u16,
    /// Entries of a receive queue: so many buffers wait for frames.
    pub receive_queue: u16,
    /// Entries of a transmit queue. A frame takes one for its header and one for each buffer; one that is copied takes one.
    pub transmit_queue: u16,
    /// Bytes of each receive buffer that [`Net::new`](crate::Net::new) allocates; 0 are as many as the accepted features ask for.
    pub buffer_len: usize,
    /// The longest frame that can be sent by copying it into memory of the queue's own, in bytes; there is room for one in each
    /// entry of a transmit queue. 0 takes no memory for it.
    pub copied: usize,
}

impl Options {
    /// What [`Options::default`] answers.
    pub const DEFAULT: Self = Self {
        offloads: TRANSMIT_OFFLOADS,
        refused: Features::empty(),
        pairs: 1,
        receive_queue: 64,
        transmit_queue: 64,
        buffer_len: 0,
        copied: USUAL_FRAME,
    };

    /// What to accept if it is offered.
    pub(crate) fn wanted(&self) -> Features {
        let several = if self.pairs > 1 { F_MQ } else { Features::empty() };
        (self.offloads & OFFLOADS | USUAL | several) - self.refused
    }

    /// Pairs to use of a device that has `max`.
    pub(crate) fn pairs_of(&self, max: u16) -> u16 {
        self.pairs.clamp(1, MAX_PAIRS).min(max)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
