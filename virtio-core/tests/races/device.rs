//! The device's threads: the test kit's end of a ring, on memory without locks.

use virtio_testkit::{DeviceQueue, Pinned};

use crate::wire::{Wake, Wire};

/// Answers one request, if there is one: with all its bits turned.
fn answer(memory: &[Pinned], queue: &mut DeviceQueue) -> bool {
    let Some(chain) = queue.pop(memory).unwrap() else { return false };
    let answer: Vec<u8> = chain.readable(memory).unwrap().iter().map(|byte| !byte).collect();
    let len = chain.write(memory, &answer).unwrap();
    queue.finish(memory, &chain, u32::try_from(len).unwrap()).unwrap();
    true
}

/// Works until nothing is left, asks for a kick, looks once more, and sleeps. Answers how many kicks were lost.
pub(crate) fn sleeper(memory: &[Pinned], queue: &mut DeviceQueue, wire: &Wire) -> u32 {
    let (total, mut seen, mut lost) = (wire.total(), 0, 0);
    loop {
        // With EVENT_IDX, an event that is left behind is enough.
        if !queue.event_idx() {
            queue.suppress_notifications(memory, true).unwrap();
        }
        while answer(memory, queue) {
            seen += 1;
        }
        if seen == total {
            return lost;
        }
        if queue.event_idx() {
            queue.set_avail_event(memory, queue.taken()).unwrap();
        } else {
            queue.suppress_notifications(memory, false).unwrap();
        }
        if queue.waiting(memory).unwrap() == 0 {
            lost += u32::from(wire.bell.sleep(seen) == Wake::Lost);
        }
    }
}

/// Looks for requests all the time, and interrupts where the driver asks for it. It loses nothing.
pub(crate) fn poller(memory: &[Pinned], queue: &mut DeviceQueue, wire: &Wire) -> u32 {
    if !queue.event_idx() {
        queue.suppress_notifications(memory, true).unwrap();
    }
    let (total, mut used) = (wire.total(), 0);
    while used < total {
        let before = queue.used();
        if answer(memory, queue) {
            used += 1;
            if queue.wants_interrupt(memory, before).unwrap() {
                wire.line.send();
            }
            wire.line.decided(used);
        } else {
            std::thread::yield_now();
        }
    }
    0
}
