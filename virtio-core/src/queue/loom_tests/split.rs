//! The split ring of the models: the fields in loom's atomics, and a device's half of the rules (VIRTIO 1.4 §2.7).

use loom::sync::atomic::AtomicU16;

use super::{Memory, Ring};
use crate::abi::split::{AVAIL_F_NO_INTERRUPT, USED_F_NO_NOTIFY};
use crate::queue::event;
use crate::queue::loom_tests::{Ordering::*, Strength};
use crate::queue::split::protocol::{self, SplitFields};

/// Requests before the first of the model: the index wraps between its two.
const BEFORE: u64 = 0xffff;

struct SplitModel {
    strength: Strength,
    event_idx: bool,
    memory: Memory,
    avail_flags: AtomicU16,
    avail_index: AtomicU16,
    used_event: AtomicU16,
    used_flags: AtomicU16,
    used_index: AtomicU16,
    avail_event: AtomicU16,
}

/// The free-running index of a request.
fn index(request: u16) -> u16 {
    protocol::index(BEFORE + u64::from(request))
}

fn flags(strength: Strength) -> SplitModel {
    SplitModel {
        strength,
        event_idx: false,
        memory: Memory::new(),
        avail_flags: AtomicU16::new(0),
        avail_index: AtomicU16::new(index(0)),
        used_event: AtomicU16::new(0),
        used_flags: AtomicU16::new(0),
        used_index: AtomicU16::new(index(0)),
        avail_event: AtomicU16::new(0),
    }
}

fn event_idx(strength: Strength) -> SplitModel {
    SplitModel { event_idx: true, ..flags(strength) }
}

impl SplitFields for SplitModel {
    fn publish_index(&self, index: u16) {
        self.avail_index.store(index, self.strength.publish);
    }
    fn used_index(&self) -> u16 {
        self.used_index.load(self.strength.look)
    }
    fn full_barrier(&self) {
        self.strength.full_barrier();
    }
    fn used_flags(&self) -> u16 {
        self.used_flags.load(Relaxed)
    }
    fn available_event(&self) -> u16 {
        self.avail_event.load(Relaxed)
    }
    fn set_available_flags(&self, flags: u16) {
        self.avail_flags.store(flags, Relaxed);
    }
    fn set_used_event(&self, event: u16) {
        self.used_event.store(event, Relaxed);
    }
}

impl Ring for SplitModel {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn publish(&self, _old: u16, new: u16) {
        self.publish_index(index(new));
    }

    fn wants_notification(&self, old: u16, new: u16) -> bool {
        let [old, new] = [old, new].map(|request| BEFORE + u64::from(request));
        protocol::wants_notification(self, self.event_idx, old, new)
    }

    fn is_used(&self, request: u16) -> bool {
        self.used_index() != index(request)
    }

    fn enable_interrupts(&self, request: u16) -> bool {
        protocol::enable_interrupts(self, self.event_idx, index(request)) != index(request)
    }

    fn disable_interrupts(&self, request: u16) {
        protocol::disable_interrupts(self, self.event_idx, index(request));
    }

    fn is_available(&self, request: u16) -> bool {
        self.avail_index.load(Acquire) != index(request)
    }

    fn suppress_kicks(&self) {
        // With EVENT_IDX, an event that is left behind is enough.
        if !self.event_idx {
            self.used_flags.store(USED_F_NO_NOTIFY, Relaxed);
        }
    }

    fn ask_for_kick(&self, request: u16) {
        if self.event_idx {
            self.avail_event.store(index(request), Relaxed);
        } else {
            self.used_flags.store(0, Relaxed);
        }
    }

    fn put_used(&self, _old: u16, new: u16) {
        self.used_index.store(index(new), Release);
    }

    fn wants_interrupt(&self, old: u16, new: u16) -> bool {
        if self.event_idx {
            event::passes(self.used_event.load(Relaxed), index(old), index(new))
        } else {
            self.avail_flags.load(Relaxed) & AVAIL_F_NO_INTERRUPT == 0
        }
    }
}

mod loom_split_flags {
    super::super::proofs!(super::flags);
}

mod loom_split_event_idx {
    super::super::proofs!(super::event_idx);
}
