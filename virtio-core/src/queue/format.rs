//! What split and packed rings have in common, for the code that serves both.

use super::slots::Slot;
use crate::{Hal, Misbehaved, QueueIndex};

/// Flags of a descriptor; the two formats agree on these (VIRTIO 1.4 §2.7.5, §2.8.13).
pub(super) const NEXT: u16 = crate::abi::split::DESC_F_NEXT;
pub(super) const WRITE: u16 = crate::abi::split::DESC_F_WRITE;
pub(super) const INDIRECT: u16 = crate::abi::split::DESC_F_INDIRECT;

const _: () = {
    assert!(NEXT == crate::abi::packed::PACKED_F_NEXT);
    assert!(WRITE == crate::abi::packed::PACKED_F_WRITE);
    assert!(INDIRECT == crate::abi::packed::PACKED_F_INDIRECT);
};

/// What a descriptor says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) addr: u64,
    pub(super) len: u32,
    pub(super) flags: u16,
}

/// How many requests were added, shown to the device, and used, since the queue was started.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counts {
    pub(super) added: u64,
    pub(super) shown: u64,
    pub(super) completed: u64,
}

/// What a device says of a buffer that it has used.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsedEntry {
    pub(super) id: u32,
    pub(super) len: u32,
}

/// One of the two formats of a ring. A request is written by `put`, from its first descriptor to its last, then `commit`,
/// and shown with all others by `publish`.
pub(super) trait Format {
    /// Whether a chain may end in an indirect table after direct descriptors (VIRTIO 1.4 §2.7.5.3.2, against §2.8.19).
    const MIXED: bool;

    /// Writes one descriptor of request `id`: `at`, and `next` behind it if its flags say `NEXT`.
    fn put(&mut self, id: Slot, at: Slot, next: Slot, first: bool, entry: Entry);

    /// Writes the descriptor that was put last again, with other flags.
    fn amend(&mut self, id: Slot, at: Slot, next: Slot, first: bool, entry: Entry);

    /// The request that was put is complete.
    fn commit(&mut self, id: Slot, counts: &Counts);

    /// The request that was put is not: forget it.
    fn rewind(&mut self);

    /// An entry of an indirect table, in memory order; `next` is its own number plus one.
    fn table_entry(&self, entry: Entry, next: u16) -> [u64; 2];

    /// Shows the device everything that was added.
    fn publish<H: Hal>(&mut self, hal: &H, counts: &Counts);

    /// Whether the device wants to be notified of what was published since the last call.
    fn wants_notification<H: Hal>(&mut self, hal: &H, counts: &Counts) -> bool;

    /// The position in the ring that a notification carries (VIRTIO 1.4 §2.9).
    fn position(&self, counts: &Counts) -> u16;

    /// Asks for an interrupt once `ahead` more buffers are used than were taken so far, 0 meaning the next one. Answers
    /// whether so many are there already.
    fn enable_interrupts<H: Hal>(&mut self, hal: &H, counts: &Counts, ahead: u16) -> bool;

    /// Asks for no interrupts.
    fn disable_interrupts<H: Hal>(&mut self, hal: &H, counts: &Counts);

    /// Reads the ring's index, if there is one: afterwards all is known that was used before.
    fn look<H: Hal>(
        &mut self,
        hal: &H,
        counts: &Counts,
        queue: impl FnOnce() -> QueueIndex,
    ) -> Result<(), Misbehaved>;

    /// The next used buffer, if there is one; where the ring has an index, it is read again only for a `look`. `queue` is for
    /// the error.
    fn next_used<H: Hal>(
        &mut self,
        hal: &H,
        counts: &Counts,
        look: bool,
        queue: impl FnOnce() -> QueueIndex,
    ) -> Result<Option<UsedEntry>, Misbehaved>;

    /// Whether another used buffer is known of, or may be found without another look at a ring's index.
    fn has_seen_more(&self, counts: &Counts) -> bool;

    /// A buffer that took `descriptors` was taken from the used ring.
    fn retire(&mut self, descriptors: u16);

    /// Whether a run of `requests` can have been used by now, as far as the ring's own indices tell.
    fn can_retire(&self, counts: &Counts, requests: u64) -> bool;
}
