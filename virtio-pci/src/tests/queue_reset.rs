//! Taking one queue back: when it is proven, and when it is not.

use virtio_core::transport::{QueueReset, Rings};
use virtio_core::{QueueIndex, Transport};

use super::bench::{Acquire, Read, Write};
use super::device::Device;
use super::machine::Machine;
use super::queues::{PLAIN, QUEUE, RINGS, with_notify};

const ENABLE: usize = 0x1c;
const RESET: usize = 0x3a;

/// What the two registers read.
fn answer(device: &Device, reset: u16, enable: u16) {
    device.bench.put(RESET, &reset.to_le_bytes());
    device.bench.put(ENABLE, &enable.to_le_bytes());
}

#[test]
fn the_reset_alone_is_written_behind_the_selection() {
    let device = Device::new(&[0, 5]);
    answer(&device, 0, 1);
    with_notify(PLAIN, &device, |transport, machine| {
        transport.reset_queue(QUEUE);
        assert_eq!(device.take(), [Read(0x12, 2), Write(0x16, 2, 1), Write(RESET, 2, 1)]);
        assert_eq!(machine.take_writes(), []);
    });
}

// shows: pci.layout.common-cfg.7
#[test]
fn only_two_zeros_are_a_proof() {
    for (reset, enable, expected) in [
        (1, 1, QueueReset::Ongoing),
        (1, 0, QueueReset::Ongoing),
        (0x100, 0, QueueReset::Ongoing),
        (u16::MAX, 0, QueueReset::Ongoing),
        (0, 1, QueueReset::Ignored),
        (0, 0x100, QueueReset::Ignored),
        (0, u16::MAX, QueueReset::Ignored), // the device went between the two reads
        (0, 0, QueueReset::Done),
    ] {
        let device = Device::new(&[0, 5]);
        answer(&device, reset, enable);
        with_notify(PLAIN, &device, |transport, _| {
            assert_eq!(transport.queue_reset(QUEUE), expected, "{reset:#x} {enable:#x}");
            // Each look selects, and reads the reset first: what completes in between is done, not ignored.
            let looked = [Read(0x12, 2), Write(0x16, 2, 1), Read(RESET, 2), Read(ENABLE, 2), Acquire];
            let accesses = match expected {
                QueueReset::Ongoing => 3,
                QueueReset::Ignored => 4,
                QueueReset::Done => 5,
            };
            assert_eq!(device.take(), looked[..accesses]);
        });
    }
}

#[test]
fn a_device_that_is_gone_never_completes() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, _| {
        transport.enable_queue(QUEUE, &RINGS).unwrap();
        transport.reset_queue(QUEUE);
        device.bench.put(0, &[0xff; 0x40]);
        for _ in 0..3 {
            assert_eq!(transport.queue_reset(QUEUE), QueueReset::Ongoing);
        }
    });
}

#[test]
fn a_queue_goes_and_comes_back() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, machine| {
        let bell = transport.enable_queue(QUEUE, &RINGS);
        let first = device.take();
        machine.take_writes();
        answer(&device, 0, 1);

        transport.reset_queue(QUEUE);
        answer(&device, 1, 1);
        assert_eq!(transport.queue_reset(QUEUE), QueueReset::Ongoing);
        // Somebody selects another queue while the device is at it.
        transport.queue_max_size(QueueIndex::new(0));
        answer(&device, 0, 0);
        device.lets_go(QUEUE.get());
        device.take();
        assert_eq!(transport.queue_reset(QUEUE), QueueReset::Done);
        assert_eq!(device.take()[1], Write(0x16, 2, 1));

        // All of it is said again, the interrupt vector too: a reset queue has forgotten it. The size may be another.
        assert_eq!(transport.enable_queue(QUEUE, &RINGS), bell);
        assert_eq!(device.take(), first);
        device.lets_go(QUEUE.get());
        assert_eq!(transport.enable_queue(QUEUE, &Rings { size: 4, ..RINGS }), bell);
        assert!(device.take().contains(&Write(0x18, 2, 4)));
        // The function stays on the bus all the time.
        assert_eq!(machine.take_writes(), []);
    });
}

// shows: pci.layout.common-cfg.6
#[test]
fn nothing_on_the_way_clears_the_enable_register() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, _| {
        answer(&device, 0, 1);
        transport.reset_queue(QUEUE);
        for (reset, enable) in [(1, 1), (0, 1), (0, 0)] {
            answer(&device, reset, enable);
            transport.queue_reset(QUEUE);
        }
        let written = device.take().into_iter().filter(|access| matches!(access, Write(..)));
        let select = Write(0x16, 2, 1);
        assert!(written.eq([select, Write(RESET, 2, 1), select, select, select]));
    });
}

#[test]
fn a_structure_that_ends_before_the_register_has_none() {
    for (len, there) in [(0x38, false), (0x3a, false), (0x3b, false), (0x3c, true), (0x40, true)] {
        let machine = Machine::new();
        let gpu = machine.add_gpu(0, 1);
        machine.set(gpu, 0x4c, len);
        let device = Device::new(&[0, 5]);
        let mut transport = device.open(&machine, gpu, None).unwrap();
        device.take();
        transport.reset_queue(QUEUE);
        // What lies behind the structure reads as 0, and is no proof.
        let expected = if there { QueueReset::Done } else { QueueReset::Ignored };
        assert_eq!(transport.queue_reset(QUEUE), expected, "{len:#x}");
        assert_eq!(device.take().is_empty(), !there);
    }
}

#[test]
fn a_queue_beyond_the_last_is_not_reset() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, _| {
        let beyond = QueueIndex::new(2);
        transport.reset_queue(beyond);
        assert_eq!(transport.queue_reset(beyond), QueueReset::Ignored);
        assert_eq!(device.take(), [Read(0x12, 2), Read(0x12, 2)]);
    });
}
