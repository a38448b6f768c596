//! Status, features, interrupts and configuration space.

use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Incompatible, QueueIndex, Status, Transport};

use super::device::{LEN, ports, with};
use crate::tests::bench::{Acquire, Read, Write, r, w};

#[test]
fn status_is_one_byte() {
    let ports = ports();
    ports.put(18, &[0x8f]);
    with(&ports, |transport, _, _| {
        assert_eq!(transport.status(), Status::from_bits_retain(0x8f));
        transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
        transport.set_status(Status::empty());
        assert_eq!(ports.take(), [Read(18, 1), Acquire, Write(18, 1, 3), Write(18, 1, 0)]);
    });
}

#[test]
fn a_device_that_is_gone_does_not_look_reset_and_does_not_interrupt() {
    let ports = ports();
    for offset in (0..LEN).step_by(4) {
        ports.set(offset, u32::MAX);
    }
    with(&ports, |transport, _, _| {
        assert!(!transport.status().is_empty());
        assert_eq!(transport.ack_interrupt(), InterruptStatus::empty());
        // No power of two: nobody builds a queue of it.
        assert_eq!(transport.queue_max_size(QueueIndex::new(0)), u16::MAX);
    });
}

#[test]
fn there_are_32_feature_bits() {
    let ports = ports();
    ports.set(0, 0x7900_0000);
    with(&ports, |transport, _, _| {
        assert_eq!(transport.device_features(0), 0x7900_0000);
        transport.set_driver_features(0, 5);
        assert_eq!(ports.take(), [r(0), w(4, 5)]);
        for window in 1..4 {
            assert_eq!(transport.device_features(window), 0);
            transport.set_driver_features(window, u32::MAX);
        }
        assert_eq!(transport.config_generation(), 0);
        assert_eq!(ports.take(), []);
    });
}

#[test]
fn the_isr_is_read_once_and_its_known_bits_are_kept() {
    let ports = ports();
    with(&ports, |transport, _, _| {
        for (raw, known) in [(3, 3), (1, 1), (0xfe, 2), (0, 0), (0x80, 0)] {
            ports.put(19, &[raw]);
            assert_eq!(transport.ack_interrupt(), InterruptStatus::from_bits_retain(known));
            assert_eq!(ports.take(), [Read(19, 1), Acquire]);
        }
    });
}

// shows: pci.layout.legacy.3
#[test]
fn configuration_begins_behind_the_header() {
    let ports = ports();
    ports.put(20, &[1, 2, 3, 4, 5, 6]);
    with(&ports, |transport, _, _| {
        let (mut one, mut two, mut four) = ([0; 1], [0; 2], [0; 4]);
        transport.read_config(5, &mut one).unwrap();
        transport.read_config(4, &mut two).unwrap();
        transport.read_config(0, &mut four).unwrap();
        assert_eq!((one, two, four), ([6], [5, 6], [1, 2, 3, 4]));
        transport.write_config(1, &[0x11]).unwrap();
        transport.write_config(2, &[0x22, 0x33]).unwrap();
        transport.write_config(LEN - 24, &[1, 2, 3, 4]).unwrap();
        assert_eq!(
            ports.take(),
            [Read(25, 1), Read(24, 2), r(20), Write(21, 1, 0x11), Write(22, 2, 0x3322), w(60, 0x0403_0201)]
        );
        for (offset, len) in [(LEN - 20, 1), (LEN - 22, 4), (1, 2), (0, 3), (0, 8), (usize::MAX, 1)] {
            let expected = Err(Error::Incompatible(Incompatible::ConfigTooSmall { offset, len }));
            let mut bytes = [0; 8];
            assert_eq!(transport.read_config(offset, &mut bytes[..len]), expected);
            assert_eq!(transport.write_config(offset, &bytes[..len]), expected);
        }
        assert_eq!(ports.take(), []);
    });
}

#[test]
fn cutting_off_clears_bus_mastering_and_says_whether_it_is_so() {
    let ports = ports();
    with(&ports, |transport, machine, rng| {
        machine.set_register(rng, 4, 5, 7);
        assert!(transport.cut_off());
        assert_eq!(machine.take_writes(), [(rng, 4, 0x401)]);
        machine.set_register(rng, 4, 5, 0);
        assert!(!transport.cut_off());
        machine.set_register(rng, 4, u32::MAX, 0);
        assert!(!transport.cut_off());
        assert_eq!(ports.take(), []);
    });
}
