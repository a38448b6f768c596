//! A queue, declared as data.

use super::kind::PayloadKind;
use crate::QueueIndex;
use crate::dma::Lend;

/// What a front-end declares about one of its queues.
///
/// ```
/// use virtio_core::queue::QueueSpec;
/// // A control queue: 64-byte commands, 32-byte answers, no payloads of its own.
/// let control = QueueSpec::new::<()>(0, 64).header(64).response(32);
/// # let _ = control;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct QueueSpec {
    pub(crate) index: QueueIndex,
    pub(crate) wanted: u16,
    pub(crate) least: u16,
    pub(crate) header_room: usize,
    pub(crate) response_room: usize,
    pub(crate) wipes_responses: bool,
    pub(crate) status: Option<u8>,
    pub(crate) ignores_legacy_lengths: bool,
    pub(crate) longest: u16,
    pub(crate) framed: bool,
    pub(crate) table_room: u16,
    pub(crate) mixed: bool,
    pub(crate) drains_on_reset: bool,
    pub(crate) payload: PayloadKind,
}

impl QueueSpec {
    /// Queue `index`, of `wanted` entries or as many as the device allows, whose requests carry payloads of type `P`.
    #[must_use]
    pub const fn new<P: Lend>(index: u16, wanted: u16) -> Self {
        Self {
            index: QueueIndex::new(index),
            wanted,
            least: 1,
            header_room: 0,
            response_room: 0,
            wipes_responses: false,
            status: None,
            ignores_legacy_lengths: false,
            longest: u16::MAX,
            framed: false,
            table_room: 0,
            mixed: false,
            drains_on_reset: false,
            payload: PayloadKind::of::<P>(),
        }
    }

    /// Fewer than `least` entries are of no use: the longest chain, usually.
    #[must_use]
    pub const fn at_least(mut self, least: u16) -> Self {
        self.least = least;
        self
    }

    /// Room for a header of up to `bytes` per request, in DMA memory.
    #[must_use]
    pub const fn header(mut self, bytes: usize) -> Self {
        self.header_room = bytes;
        self
    }

    /// Has an indirect table of up to `segments` entries for each request, in DMA memory, if the device offers
    /// `INDIRECT_DESC`: a request of 2 to so many segments takes one descriptor of the ring (VIRTIO 1.4 §2.7.5.3, §2.8.7).
    /// Longer ones take descriptors of the ring.
    #[must_use]
    pub const fn indirect(mut self, segments: u16) -> Self {
        self.table_room = segments;
        self
    }

    /// Lets a request that is longer than its table, in a split queue with too few free descriptors, begin in the ring and
    /// end in the table (VIRTIO 1.4 §2.7.5.3.2). Only for devices that are known to read such chains: the specification has
    /// them do it, but QEMU 7.2 asks for a reset when it meets one.
    #[must_use]
    pub const fn mixed_chains(mut self) -> Self {
        self.mixed = true;
        self
    }

    /// Lets the queue be reset while it has requests in flight (VIRTIO 1.4 §2.6.1). Only for devices that are known to have
    /// ended all of them by the time the queue reads as reset, as the specification wants it: the disk of QEMU 7.2 goes on
    /// with a read that it has begun, and writes to memory that is somebody else's by then.
    #[must_use]
    pub const fn drains_on_reset(mut self) -> Self {
        self.drains_on_reset = true;
        self
    }

    /// Room for a response of up to `bytes` per request, in DMA memory.
    #[must_use]
    pub const fn response(mut self, bytes: usize) -> Self {
        self.response_room = bytes;
        self
    }

    /// Zeroes the room for a response before each request that has one. A device that claims more than it has written is given
    /// credit for zeros then, and not for what it wrote to that place for an earlier request: where an answer must not be taken
    /// for another's.
    #[must_use]
    pub const fn wiped(mut self) -> Self {
        self.wipes_responses = true;
        self
    }

    /// The last byte of each response is a status: it is set to `unwritten` before the request, so that a status that the
    /// device has not written is not taken for that of an earlier request.
    #[must_use]
    pub const fn status(mut self, unwritten: u8) -> Self {
        self.status = Some(unwritten);
        self
    }

    /// What a legacy device says of lengths means nothing on this queue (VIRTIO 1.4 §2.7.8.3): each request counts as written
    /// to the full, and [`Done::claimed`](super::Done::claimed) says so. Of a modern device it counts all the same.
    #[must_use]
    pub const fn ignores_legacy_lengths(mut self) -> Self {
        self.ignores_legacy_lengths = true;
        self
    }

    /// The framing of a legacy device without `ANY_LAYOUT` (VIRTIO 1.4 §2.7.4.3, §2.7.12): data that are copied behind a header
    /// have a descriptor of their own then, and so has the last byte of a response, which is a status.
    #[must_use]
    pub const fn framed(mut self) -> Self {
        self.framed = true;
        self
    }

    /// No chain of more than `segments` comes of buffers that the Hal shares in several pieces: one that would is refused with
    /// [`Misuse::TooManySegments`](crate::Misuse). For devices that tell how many they take. How many buffers a request has,
    /// header and response included, is the front-end's to see to.
    #[must_use]
    pub const fn longest(mut self, segments: u16) -> Self {
        self.longest = segments;
        self
    }
}
