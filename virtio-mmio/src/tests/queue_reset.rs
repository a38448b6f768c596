//! Taking one queue back: when it is proven, and when it is not.

use virtio_core::transport::{QueueReset, Rings};
use virtio_core::{QueueIndex, Transport};

use super::bench::{Access, Acquire, Bench, Write, r, w};
use super::queues::{QUEUE, legacy_rings, transport};

const READY: usize = 0x044;
const RESET: usize = 0x0c0;

#[test]
fn the_reset_alone_is_written_behind_the_selection() {
    let bench = Bench::device(2, 16);
    bench.set(READY, 1);
    transport(&bench).reset_queue(QUEUE);
    assert_eq!(bench.take(), [w(0x030, 3), w(RESET, 1)]);
}

// shows: mmio.regs.21
#[test]
fn only_two_zeros_are_a_proof() {
    for (reset, ready, expected) in [
        (1, 1, QueueReset::Ongoing),
        (1, 0, QueueReset::Ongoing),
        (2, 0, QueueReset::Ongoing),
        (0x1_0000, 0, QueueReset::Ongoing),
        (u32::MAX, 0, QueueReset::Ongoing),
        (u32::MAX, u32::MAX, QueueReset::Ongoing), // the device is gone
        (0, 1, QueueReset::Ignored),               // QEMU 7.2
        (0, 0x1_0000, QueueReset::Ignored),
        (0, u32::MAX, QueueReset::Ignored), // the device went between the two reads
        (0, 0, QueueReset::Done),
    ] {
        let bench = Bench::device(2, 16);
        bench.set(RESET, reset);
        bench.set(READY, ready);
        assert_eq!(transport(&bench).queue_reset(QUEUE), expected, "{reset:#x} {ready:#x}");
        // Each look selects, and reads the reset first: what completes in between is done, not ignored.
        let looked = [w(0x030, 3), r(RESET), r(READY), Acquire];
        let accesses = match expected {
            QueueReset::Ongoing => 2,
            QueueReset::Ignored => 3,
            QueueReset::Done => 4,
        };
        assert_eq!(bench.take(), looked[..accesses]);
    }
}

#[test]
fn a_queue_goes_and_comes_back() {
    let bench = Bench::device(2, 16);
    let mut transport = transport(&bench);
    let rings = legacy_rings(8, 0x1000);
    let bell = transport.enable_queue(QUEUE, &rings);
    let first = bench.take();

    transport.reset_queue(QUEUE);
    bench.set(RESET, 1);
    assert_eq!(transport.queue_reset(QUEUE), QueueReset::Ongoing);
    // Somebody selects another queue while the device is at it.
    transport.queue_max_size(QueueIndex::new(0));
    bench.set(RESET, 0);
    bench.set(READY, 0);
    bench.take();
    assert_eq!(transport.queue_reset(QUEUE), QueueReset::Done);
    assert_eq!(bench.take().first(), Some(&w(0x030, 3)));

    // All of it is said again: a reset queue has forgotten it, and may get another size.
    assert_eq!(transport.enable_queue(QUEUE, &rings), bell);
    assert_eq!(bench.take(), first);
    bench.set(READY, 0);
    let smaller = Rings { size: 4, ..rings };
    assert_eq!(transport.enable_queue(QUEUE, &smaller), bell);
    assert!(bench.take().contains(&w(0x038, 4)));
}

#[test]
fn nothing_on_the_way_clears_the_ready_bit() {
    let bench = Bench::device(2, 16);
    let mut transport = transport(&bench);
    bench.set(READY, 1);
    transport.reset_queue(QUEUE);
    for (reset, ready) in [(1, 1), (0, 1), (0, 0)] {
        bench.set(RESET, reset);
        bench.set(READY, ready);
        transport.queue_reset(QUEUE);
    }
    let written: alloc::vec::Vec<Access> =
        bench.take().into_iter().filter(|access| matches!(access, Write(..))).collect();
    assert_eq!(written, [w(0x030, 3), w(RESET, 1), w(0x030, 3), w(0x030, 3), w(0x030, 3)]);
}

#[test]
fn version_1_has_no_such_register() {
    let bench = Bench::device(1, 16);
    let mut transport = transport(&bench);
    transport.reset_queue(QUEUE);
    assert_eq!(transport.queue_reset(QUEUE), QueueReset::Ignored);
    assert_eq!(bench.take(), []);
}
