//! The two hand-shakes of a packed virtqueue, over whatever memory (VIRTIO 1.4 §2.8.21, §2.8.22).
//!
//! They are generic so that the very same code runs on a ring, in a model checker and on a counting double.
//!
//! Positions are counts of descriptors since the queue was started. Sizes are powers of two, so a count, modulo 2³², holds both the place
//! in the ring (its low bits) and the wrap counter (the bit above, inverted: it starts at 1).

use crate::QueueSize;
use crate::abi::packed::{
    EVENT_DESC, EVENT_DISABLE, EVENT_ENABLE, EVENT_MASK, PACKED_F_AVAIL, PACKED_F_USED, WRAP_BIT,
};

/// The 16-bit fields of a packed virtqueue, each access named by what it orders (I-ORDER).
pub(in crate::queue) trait PackedFields {
    /// Writes the flags of the descriptor at a place, after everything written before (release).
    fn publish_flags(&self, place: u16, flags: u16);
    /// Reads the flags of the descriptor at a place, before everything read after (acquire).
    fn flags(&self, place: u16) -> u16;
    /// A full barrier.
    fn full_barrier(&self);
    /// Reads the device's event flags, before everything read after (acquire).
    fn device_event_flags(&self) -> u16;
    /// Reads the device's event position.
    fn device_event(&self) -> u16;
    /// Writes the driver's event position.
    fn set_driver_event(&self, position: u16);
    /// Writes the driver's event flags, after the position (release).
    fn set_driver_event_flags(&self, flags: u16);
}

/// The place in the ring of a count.
pub(in crate::queue) fn place(size: QueueSize, count: u32) -> u16 {
    let [low, high, ..] = count.to_le_bytes();
    size.slot(u16::from_le_bytes([low, high]))
}

/// The wrap counter that goes with a count: 1 at first.
pub(in crate::queue) fn wrap(size: QueueSize, count: u32) -> bool {
    count & u32::from(size.get()) == 0
}

/// A count as event structures and notifications carry it: place and wrap counter (VIRTIO 1.4 §2.8.14, §2.9).
pub(in crate::queue) fn position(size: QueueSize, count: u32) -> u16 {
    place(size, count) | if wrap(size, count) { WRAP_BIT } else { 0 }
}

/// The bits that make the descriptor at a count available (VIRTIO 1.4 §2.8.1).
pub(in crate::queue) fn available(size: QueueSize, count: u32) -> u16 {
    if wrap(size, count) { PACKED_F_AVAIL } else { PACKED_F_USED }
}

/// The bits of a descriptor that was not made available since the lap before (VIRTIO 1.4 §2.8.1).
pub(in crate::queue) fn not_available(size: QueueSize, count: u32) -> u16 {
    if wrap(size, count) { 0 } else { PACKED_F_AVAIL | PACKED_F_USED }
}

/// Whether these flags say that the descriptor at a count is used (VIRTIO 1.4 §2.8.1).
pub(in crate::queue) fn is_used(size: QueueSize, count: u32, flags: u16) -> bool {
    let both = PACKED_F_AVAIL | PACKED_F_USED;
    flags & both == if wrap(size, count) { both } else { 0 }
}

/// Whether moving from count `old` to `new` passes the position of an event. Positions repeat every second lap.
pub(in crate::queue) fn passes(size: QueueSize, event: u16, old: u32, new: u32) -> bool {
    let laps = u32::from(size.get()).wrapping_mul(2);
    let lap = if event & WRAP_BIT == 0 { u32::from(size.get()) } else { 0 };
    // A place beyond the ring is a device's mistake, and means what is left of it.
    let event = lap.wrapping_add(u32::from(size.slot(event & !WRAP_BIT)));
    let back = new.wrapping_sub(event).wrapping_sub(1) & laps.wrapping_sub(1);
    back < new.wrapping_sub(old)
}

/// Whether the device wants to be notified of descriptors `old .. new`, which were made available before. The full barrier
/// keeps the reading of its wish behind the publication.
pub(in crate::queue) fn wants_notification(
    fields: &impl PackedFields,
    size: QueueSize,
    event_idx: bool,
    old: u32,
    new: u32,
) -> bool {
    fields.full_barrier();
    match fields.device_event_flags() & EVENT_MASK {
        EVENT_DISABLE => false,
        EVENT_DESC if event_idx => passes(size, fields.device_event(), old, new),
        // The reserved mode, and DESC where it was not negotiated, are a device's mistake: one kick too many does no harm.
        _ => true,
    }
}

/// Asks for an interrupt when the descriptor at count `used` is used, or, with `EVENT_IDX`, the one at count `event`.
/// Answers whether the one at `used` is used already: it may have no interrupt of its own.
pub(in crate::queue) fn enable_interrupts(
    fields: &impl PackedFields,
    size: QueueSize,
    event_idx: bool,
    used: u32,
    event: u32,
) -> bool {
    if event_idx {
        fields.set_driver_event(position(size, event));
        fields.set_driver_event_flags(EVENT_DESC);
    } else {
        fields.set_driver_event_flags(EVENT_ENABLE);
    }
    fields.full_barrier();
    is_used(size, used, fields.flags(place(size, used)))
}

/// Asks for no interrupts.
pub(in crate::queue) fn disable_interrupts(fields: &impl PackedFields) {
    fields.set_driver_event_flags(EVENT_DISABLE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_flags_over_three_laps() {
        let size = QueueSize::new(4).unwrap();
        let expected = [(0, true), (3, true), (0, false), (3, false), (0, true)];
        for (count, (slot, first)) in [0, 3, 4, 7, 8].into_iter().zip(expected) {
            assert_eq!((place(size, count), wrap(size, count)), (slot, first), "{count}");
            assert_eq!(position(size, count), slot | if first { 0x8000 } else { 0 });
            assert_eq!(available(size, count), if first { 0x0080 } else { 0x8000 });
            assert!(!is_used(size, count, available(size, count)));
            assert!(!is_used(size, count, not_available(size, count)), "it looks like the lap before");
            assert!(is_used(size, count, if first { 0x8080 } else { 0 }));
            assert!(!is_used(size, count, if first { 0 } else { 0x8080 }), "the lap before");
        }
    }

    #[test]
    fn an_event_is_passed_exactly_when_it_lies_between() {
        for log in [0, 1, 3] {
            let size = QueueSize::new(1 << log).unwrap();
            for old in 0..40_u32 {
                for new in old..=old + u32::from(size.get()) {
                    for event in old.saturating_sub(u32::from(size.get()) - 1)..old + u32::from(size.get()) {
                        let due = (old..new).contains(&event);
                        assert_eq!(
                            passes(size, position(size, event), old, new),
                            due,
                            "{size:?} {event} {old}..{new}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn more_than_two_laps_pass_every_event() {
        let size = QueueSize::new(4).unwrap();
        for event in 0..8 {
            assert!(passes(size, position(size, event), 3, 11));
            assert!(passes(size, position(size, event), 3, 1000));
            assert!(!passes(size, position(size, event), 3, 3));
        }
    }
}
