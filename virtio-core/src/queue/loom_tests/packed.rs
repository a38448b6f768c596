//! The packed ring of the models: the fields in loom's atomics, and a device's half of the rules (VIRTIO 1.4 §2.8).

use loom::sync::atomic::AtomicU16;

use super::{Memory, Ring};
use crate::QueueSize;
use crate::abi::packed::{EVENT_DESC, EVENT_DISABLE, EVENT_ENABLE, PACKED_F_AVAIL, PACKED_F_USED};
use crate::queue::loom_tests::{Ordering::*, Strength};
use crate::queue::packed::protocol::{self, PackedFields};

/// Descriptors before the first of the model: its two lie on both sides of the wrap of a ring of two.
const BEFORE: u32 = 1;

struct PackedModel {
    strength: Strength,
    size: QueueSize,
    event_idx: bool,
    memory: Memory,
    flags: [AtomicU16; 2],
    driver_event: AtomicU16,
    driver_event_flags: AtomicU16,
    device_event: AtomicU16,
    device_event_flags: AtomicU16,
}

/// The count of the descriptor of a request.
fn count(request: u16) -> u32 {
    BEFORE + u32::from(request)
}

fn flags(strength: Strength) -> PackedModel {
    PackedModel {
        strength,
        size: QueueSize::new(2).unwrap(),
        event_idx: false,
        memory: Memory::new(),
        // The first was used in this lap already.
        flags: [AtomicU16::new(PACKED_F_AVAIL | PACKED_F_USED), AtomicU16::new(0)],
        driver_event: AtomicU16::new(0),
        driver_event_flags: AtomicU16::new(EVENT_ENABLE),
        device_event: AtomicU16::new(0),
        device_event_flags: AtomicU16::new(EVENT_ENABLE),
    }
}

fn event_idx(strength: Strength) -> PackedModel {
    PackedModel { event_idx: true, ..flags(strength) }
}

impl PackedModel {
    fn place(&self, request: u16) -> u16 {
        protocol::place(self.size, count(request))
    }
}

impl PackedFields for PackedModel {
    fn publish_flags(&self, place: u16, flags: u16) {
        self.flags[usize::from(place)].store(flags, self.strength.publish);
    }
    fn flags(&self, place: u16) -> u16 {
        self.flags[usize::from(place)].load(self.strength.look)
    }
    fn full_barrier(&self) {
        self.strength.full_barrier();
    }
    fn device_event_flags(&self) -> u16 {
        self.device_event_flags.load(Acquire)
    }
    fn device_event(&self) -> u16 {
        self.device_event.load(Relaxed)
    }
    fn set_driver_event(&self, position: u16) {
        self.driver_event.store(position, Relaxed);
    }
    fn set_driver_event_flags(&self, flags: u16) {
        self.driver_event_flags.store(flags, Release);
    }
}

impl Ring for PackedModel {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn publish(&self, old: u16, new: u16) {
        // The first of a batch comes last: nothing behind it can be seen before it.
        for request in (old..new).rev() {
            self.publish_flags(self.place(request), protocol::available(self.size, count(request)));
        }
    }

    fn wants_notification(&self, old: u16, new: u16) -> bool {
        protocol::wants_notification(self, self.size, self.event_idx, count(old), count(new))
    }

    fn is_used(&self, request: u16) -> bool {
        protocol::is_used(self.size, count(request), PackedFields::flags(self, self.place(request)))
    }

    fn enable_interrupts(&self, request: u16) -> bool {
        let used = count(request);
        protocol::enable_interrupts(self, self.size, self.event_idx, used, used)
    }

    fn disable_interrupts(&self, _request: u16) {
        protocol::disable_interrupts(self);
    }

    fn is_available(&self, request: u16) -> bool {
        let flags = self.flags[usize::from(self.place(request))].load(Acquire);
        flags == protocol::available(self.size, count(request))
    }

    fn suppress_kicks(&self) {
        self.device_event_flags.store(EVENT_DISABLE, Release);
    }

    fn ask_for_kick(&self, request: u16) {
        if self.event_idx {
            self.device_event.store(protocol::position(self.size, count(request)), Relaxed);
            self.device_event_flags.store(EVENT_DESC, Release);
        } else {
            self.device_event_flags.store(EVENT_ENABLE, Release);
        }
    }

    fn put_used(&self, old: u16, new: u16) {
        for request in old..new {
            let both = PACKED_F_AVAIL | PACKED_F_USED;
            let flags = if protocol::wrap(self.size, count(request)) { both } else { 0 };
            self.flags[usize::from(self.place(request))].store(flags, Release);
        }
    }

    fn wants_interrupt(&self, old: u16, new: u16) -> bool {
        match self.driver_event_flags.load(Acquire) {
            EVENT_DISABLE => false,
            EVENT_ENABLE => true,
            mode => {
                assert!(mode == EVENT_DESC && self.event_idx);
                protocol::passes(self.size, self.driver_event.load(Relaxed), count(old), count(new))
            }
        }
    }
}

mod loom_packed_flags {
    super::super::proofs!(super::flags);
}

mod loom_packed_event_idx {
    super::super::proofs!(super::event_idx);
}
