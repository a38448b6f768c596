//! The two hand-shakes of a split virtqueue, over whatever memory (VIRTIO 1.4 §2.7.13, §2.7.14).
//!
//! They are generic so that the very same code runs on a ring, in a model checker and on a counting double.

use crate::abi::split::{AVAIL_F_NO_INTERRUPT, USED_F_NO_NOTIFY};
use crate::queue::event;

/// The 16-bit fields of a split virtqueue, each access named by what it orders (I-ORDER).
pub(in crate::queue) trait SplitFields {
    /// Writes `avail.idx`, after everything written before (release).
    fn publish_index(&self, index: u16);
    /// Reads `used.idx`, before everything read after (acquire).
    fn used_index(&self) -> u16;
    /// A full barrier.
    fn full_barrier(&self);
    /// Reads `used.flags`.
    fn used_flags(&self) -> u16;
    /// Reads `avail_event`.
    fn available_event(&self) -> u16;
    /// Writes `avail.flags`.
    fn set_available_flags(&self, flags: u16);
    /// Writes `used_event`.
    fn set_used_event(&self, event: u16);
}

/// The free-running ring index of a count.
pub(in crate::queue) const fn index(count: u64) -> u16 {
    let [low, high, ..] = count.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// Whether the device wants to be notified of buffers `old .. new`, which were published before. The full barrier keeps the
/// reading of its wish behind the publication: otherwise both sides can miss each other's write, and wait for ever.
pub(in crate::queue) fn wants_notification(
    fields: &impl SplitFields,
    event_idx: bool,
    old: u64,
    new: u64,
) -> bool {
    fields.full_barrier();
    if event_idx {
        // Once around the index, every event was passed.
        let around = new.wrapping_sub(old) > u64::from(u16::MAX);
        around || event::passes(fields.available_event(), index(old), index(new))
    } else {
        fields.used_flags() & USED_F_NO_NOTIFY == 0
    }
}

/// Asks for an interrupt when used element `event` is written. Answers `used.idx` as it is afterwards: what was used before
/// the device saw the wish has no interrupt of its own.
pub(in crate::queue) fn enable_interrupts(fields: &impl SplitFields, event_idx: bool, event: u16) -> u16 {
    if event_idx {
        fields.set_used_event(event);
    } else {
        fields.set_available_flags(0);
    }
    fields.full_barrier();
    fields.used_index()
}

/// Asks for no interrupts. `used` is the next element to be read.
pub(in crate::queue) fn disable_interrupts(fields: &impl SplitFields, event_idx: bool, used: u16) {
    if event_idx {
        // An event just passed is the farthest away.
        fields.set_used_event(used.wrapping_sub(1));
    } else {
        fields.set_available_flags(AVAIL_F_NO_INTERRUPT);
    }
}
