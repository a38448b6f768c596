//! Queues: one page number, sizes that the device dictates, one write for each kick.

use virtio_core::transport::{Doorbell, DoorbellWidth, QueueReset, Rings};
use virtio_core::{DeviceAddr, Error, HalError, Incompatible, Misuse, QueueIndex, Transport};

use super::device::{ports, with};
use crate::tests::bench::{Bench, Publish, Read, Write, r, w};

const QUEUE: QueueIndex = QueueIndex::new(3);

/// Rings as a legacy device computes them from where the descriptors are.
fn rings(size: u16, descriptor: u64) -> Rings {
    let driver = descriptor + 16 * u64::from(size);
    let device = (driver + 2 * u64::from(size) + 6).next_multiple_of(4096);
    Rings {
        size,
        descriptor: DeviceAddr::new(descriptor),
        driver: DeviceAddr::new(driver),
        device: DeviceAddr::new(device),
        notification_data: false,
        notif_config_data: false,
    }
}

fn sized(size: u16) -> Bench {
    let ports = ports();
    ports.put(12, &size.to_le_bytes());
    ports
}

#[test]
fn a_queue_in_order_and_its_page_number_last() {
    let ports = sized(8);
    with(&ports, |transport, machine, rng| {
        let bell = Doorbell { offset: 16, value: 3, width: DoorbellWidth::Bits16 };
        assert_eq!(transport.enable_queue(QUEUE, &rings(8, 0x8765_4000)), Ok(bell));
        assert_eq!(ports.take(), [Write(14, 2, 3), Read(12, 2), r(8), Publish, w(8, 0x8_7654)]);
        // The first queue lets the device onto the bus, the next finds it there.
        assert_eq!(machine.take_writes(), [(rng, 4, 5)]);
        transport.enable_queue(QueueIndex::new(0), &rings(8, 0x1000)).unwrap();
        assert_eq!(machine.take_writes(), []);
    });
}

#[test]
fn the_interrupt_line_is_let_go_with_the_first_queue() {
    let ports = sized(8);
    with(&ports, |transport, machine, rng| {
        machine.set_register(rng, 4, 0x0000_0401, 0x407);
        transport.enable_queue(QUEUE, &rings(8, 0x1000)).unwrap();
        assert_eq!(machine.get(rng, 4) & 0x407, 5);
    });
}

#[test]
fn a_kick_is_one_16_bit_write_behind_a_barrier() {
    let ports = sized(8);
    with(&ports, |transport, machine, _| {
        let bell = transport.enable_queue(QUEUE, &rings(8, 0x1000)).unwrap();
        ports.take();
        machine.take_writes();
        transport.notify(bell);
        assert_eq!(ports.take(), [Publish, Write(16, 2, 3)]);
        assert_eq!(machine.take_writes(), []);
    });
}

// shows: split.legacy-virtqueue-layout.1
#[test]
fn the_size_is_the_device_s() {
    for size in [0, 1, 256, 32768, 65535] {
        let ports = sized(size);
        with(&ports, |transport, _, _| {
            assert_eq!(transport.queue_max_size(QUEUE), size);
            assert_eq!(ports.take(), [Write(14, 2, 3), Read(12, 2)]);
        });
    }
}

#[test]
fn what_cannot_be_told_is_refused_before_the_device_learns_an_address() {
    let ports = sized(8);
    with(&ports, |transport, machine, _| {
        let mut refused = |rings: &Rings| {
            let error = transport.enable_queue(QUEUE, rings).unwrap_err();
            assert!(!ports.take().iter().any(|access| matches!(access, Write(8, ..))));
            assert_eq!(machine.take_writes(), [], "and it may not access memory");
            error
        };
        let too_high = Error::Incompatible(Incompatible::RingTooHigh(QUEUE));
        assert_eq!(refused(&rings(8, 1 << 44)), too_high);
        assert_eq!(refused(&rings(8, 0x1800)), Error::Platform(HalError::BrokenContract));
        assert_eq!(refused(&rings(8, 0)), Error::Platform(HalError::BrokenContract));
        let elsewhere = Error::Caller(Misuse::BadQueueDeclaration);
        // Another size than the device's, in either direction.
        assert_eq!(refused(&rings(4, 0x1000)), elsewhere);
        assert_eq!(refused(&rings(16, 0x1000)), elsewhere);
        let right = rings(8, 0x1000);
        assert_eq!(refused(&Rings { driver: DeviceAddr::new(0x1100), ..right }), elsewhere);
        assert_eq!(refused(&Rings { device: DeviceAddr::new(0x1800), ..right }), elsewhere);
        let last_page = DeviceAddr::new(u64::MAX - 0xfff);
        assert_eq!(refused(&Rings { descriptor: last_page, ..right }), elsewhere);

        ports.put(12, &[0, 0]);
        assert_eq!(refused(&right), Error::Incompatible(Incompatible::NoQueue(QUEUE)));
        ports.put(12, &[8, 0]);
        ports.set(8, 1);
        assert_eq!(refused(&right), Error::Incompatible(Incompatible::QueueBusy(QUEUE)));
    });
}

#[test]
fn the_highest_page_number_is_accepted() {
    let ports = sized(256);
    with(&ports, |transport, _, _| {
        transport.enable_queue(QUEUE, &rings(256, 0xffff_ffff_u64 << 12)).unwrap();
        assert_eq!(ports.take().last(), Some(&w(8, u32::MAX)));
    });
}

#[test]
fn a_function_that_does_not_become_a_master_learns_no_address() {
    let ports = sized(8);
    with(&ports, |transport, machine, rng| {
        machine.set_register(rng, 4, 1, 3);
        let refused = Err(Error::Incompatible(Incompatible::BusMasteringRefused));
        assert_eq!(transport.enable_queue(QUEUE, &rings(8, 0x1000)), refused);
        assert_eq!(ports.take(), [Write(14, 2, 3), Read(12, 2), r(8)]);
    });
}

#[test]
fn one_queue_cannot_be_reset() {
    let ports = sized(8);
    with(&ports, |transport, _, _| {
        transport.reset_queue(QUEUE);
        assert_eq!(transport.queue_reset(QUEUE), QueueReset::Ignored);
        assert_eq!(ports.take(), []);
    });
}
