//! The transport at work: order of writes, doorbells, interrupts, configuration.

use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, Rings};
use virtio_core::{DeviceAddr, Error, Incompatible, QueueIndex, Status, Transport};

use super::bench::{Access, Acquire, Publish, Read, Write, r, w};
use super::device::{DEVICE, Device, ISR, NOTIFY};
use super::machine::Machine;

pub(super) const QUEUE: QueueIndex = QueueIndex::new(1);
pub(super) const RINGS: Rings = Rings {
    size: 64,
    descriptor: DeviceAddr::new(0x1_2345_6000),
    driver: DeviceAddr::new(0x2_2345_7008),
    device: DeviceAddr::new(0x3_2345_8004),
    notification_data: false,
    notif_config_data: false,
};

/// Runs a test on a GPU whose capability for notifications has this offset, length and multiplier.
pub(super) fn with_notify(
    [offset, len, multiplier]: [u32; 3],
    device: &Device,
    test: impl FnOnce(&mut dyn Transport, &Machine),
) {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set(gpu, 0x78, offset);
    machine.set(gpu, 0x7c, len);
    machine.set(gpu, 0x80, multiplier);
    let mut transport = device.open(&machine, gpu, None).unwrap();
    device.take();
    machine.take_writes();
    test(&mut transport, &machine);
}

pub(super) const PLAIN: [u32; 3] = [0x3000, 0x1000, 4];

// shows: pci.layout.common-cfg.4
#[test]
fn a_queue_in_order_and_enabled_last() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, machine| {
        let bell = Doorbell { offset: 20, value: 1, width: DoorbellWidth::Bits16 };
        assert_eq!(transport.enable_queue(QUEUE, &RINGS), Ok(bell));
        assert_eq!(
            device.take(),
            [
                Read(0x12, 2),
                Write(0x16, 2, 1),
                Read(0x1c, 2),
                Read(0x1e, 2),
                Write(0x18, 2, 64),
                Write(0x1a, 2, 0xffff),
                w(0x20, 0x2345_6000),
                w(0x24, 1),
                w(0x28, 0x2345_7008),
                w(0x2c, 2),
                w(0x30, 0x2345_8004),
                w(0x34, 3),
                Publish,
                Write(0x1c, 2, 1),
                Read(0x1c, 2),
            ]
        );
        // The first queue lets the device onto the bus, the next finds it there.
        let gpu = crate::FunctionAddress::new(0, 1, 0).unwrap();
        assert_eq!(machine.take_writes(), [(gpu, 4, 6)]);
        transport.enable_queue(QueueIndex::new(0), &RINGS).unwrap();
        assert_eq!(machine.take_writes(), []);
    });
}

#[test]
fn a_function_that_does_not_become_a_master_learns_no_address() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, machine| {
        let gpu = crate::FunctionAddress::new(0, 1, 0).unwrap();
        machine.set_register(gpu, 4, 0x0010_0002, 3);
        let refused = Err(Error::Incompatible(Incompatible::BusMasteringRefused));
        assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
        assert_eq!(device.take(), [Read(0x12, 2), Write(0x16, 2, 1), Read(0x1c, 2), Read(0x1e, 2)]);
        assert_eq!(machine.take_writes(), [(gpu, 4, 6)]);
    });
}

#[test]
fn the_interrupt_line_is_let_go_with_the_first_queue() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set_register(gpu, 4, 0x0010_0400, 0x407);
    let device = Device::new(&[0, 5]);
    let mut transport = device.open(&machine, gpu, None).unwrap();
    // Not before the reset.
    assert_eq!(machine.get(gpu, 4) & 0x407, 0x402);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(machine.get(gpu, 4) & 0x407, 6);
}

// shows: pci.op.avail-notif.1, pci.op.avail-notif.3
#[test]
fn a_kick_is_one_16_bit_write_behind_a_barrier() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, machine| {
        let bell = transport.enable_queue(QUEUE, &RINGS).unwrap();
        device.take();
        machine.take_writes();
        transport.notify(bell);
        assert_eq!(device.take(), [Publish, Write(NOTIFY + 20, 2, 1)]);
        assert_eq!(machine.take_writes(), []);
    });
}

#[test]
fn doorbells_of_every_shape_end_inside() {
    let outside = Err(Incompatible::DoorbellOutside(QUEUE));
    let misaligned = Err(Incompatible::DoorbellMisaligned(QUEUE));
    // Structure, the queue's offset, where the doorbell is in the BAR.
    for (notify, notify_off, expected) in [
        ([0x3000, 0x1000, 0], 77, Ok(0x3000)),
        ([0x3000, 0x1000, 4], 0x3ff, Ok(0x3ffc)),
        ([0x3000, 0x1000, 4], 0x400, outside),
        ([0x3000, 0x1000, 2], 0x7ff, Ok(0x3ffe)),
        ([0x3000, 6, 4], 1, Ok(0x3004)),
        ([0x3000, 5, 4], 1, outside),
        ([0x3002, 0x100, 4], 1, Ok(0x3006)),
        ([0x3000, 0x1000, 3], 1, misaligned),
        ([0x3001, 0x1000, 0], 0, misaligned),
        ([0x3000, 0x1000, u32::MAX], u16::MAX, outside),
        ([0x3000, u32::MAX, 0x1000], 1, outside), // inside its length, outside its BAR
        ([0, u32::MAX, 0x1000], 3, Ok(0x3000)),
    ] {
        let device = Device::new(&[0, notify_off]);
        with_notify(notify, &device, |transport, machine| match transport.enable_queue(QUEUE, &RINGS) {
            Ok(bell) => {
                device.take();
                transport.notify(bell);
                let rung = device.take();
                assert_eq!(Ok(rung), expected.map(|at| [Publish, Write(at, 2, 1)].into()), "{notify:?}");
            }
            Err(error) => {
                assert_eq!(expected.map_err(Error::Incompatible), Err(error), "{notify:?}");
                // No address was given away, and the device has no access to memory.
                assert_eq!(device.take().last(), Some(&Read(0x1e, 2)));
                assert_eq!(machine.take_writes(), []);
            }
        });
    }
}

#[test]
fn a_queue_in_use_is_left_alone() {
    let device = Device::new(&[0, 1]);
    device.bench.put(0x1c, &[1, 0]);
    with_notify(PLAIN, &device, |transport, _| {
        let busy = Err(Error::Incompatible(Incompatible::QueueBusy(QUEUE)));
        assert_eq!(transport.enable_queue(QUEUE, &RINGS), busy);
        assert_eq!(device.take(), [Read(0x12, 2), Write(0x16, 2, 1), Read(0x1c, 2)]);
    });
}

#[test]
fn queues_beyond_the_last_do_not_exist_and_are_not_selected() {
    let device = Device::new(&[0, 1]);
    device.bench.put(0x18, &256_u16.to_le_bytes());
    with_notify(PLAIN, &device, |transport, _| {
        assert_eq!(transport.queue_max_size(QUEUE), 256);
        assert_eq!(device.take(), [Read(0x12, 2), Write(0x16, 2, 1), Read(0x18, 2)]);
        let beyond = QueueIndex::new(2);
        assert_eq!(transport.queue_max_size(beyond), 0);
        let none = Err(Error::Incompatible(Incompatible::NoQueue(beyond)));
        assert_eq!(transport.enable_queue(beyond, &RINGS), none);
        assert_eq!(device.take(), [Read(0x12, 2), Read(0x12, 2)]);
    });
}

// shows: pci.layout.1
#[test]
fn status_features_and_generation_have_their_widths() {
    let device = Device::new(&[0]);
    device.bench.put(0x04, &0xabcd_u32.to_le_bytes());
    device.bench.put(0x14, &[0x4f, 9]);
    with_notify(PLAIN, &device, |transport, _| {
        assert_eq!(transport.status(), Status::from_bits_retain(0x4f));
        transport.set_status(Status::empty());
        assert_eq!(transport.config_generation(), 9);
        assert!(transport.has_config_generation());
        assert_eq!(device.take(), [Read(0x14, 1), Acquire, Write(0x14, 1, 0), Read(0x15, 1)]);
        for window in [3, 0] {
            assert_eq!(transport.device_features(window), 0xabcd);
            transport.set_driver_features(window, 7);
            assert_eq!(device.take(), [w(0x00, window), r(0x04), w(0x08, window), w(0x0c, 7)]);
        }
    });
}

// shows: pci.op.config-change.1
#[test]
fn interrupt_status_is_read_once_and_keeps_both_bits() {
    let device = Device::new(&[0]);
    with_notify(PLAIN, &device, |transport, _| {
        for (raw, known) in [(3, 3), (1, 1), (0xfe, 2), (0, 0)] {
            device.bench.put(ISR, &[raw]);
            assert_eq!(transport.ack_interrupt(), InterruptStatus::from_bits_retain(known));
            assert_eq!(device.take(), [Read(ISR, 1), Acquire]);
            assert_eq!(transport.ack_interrupt(), InterruptStatus::empty());
            device.take();
        }
    });
}

#[test]
fn an_isr_anywhere_is_read_where_it_is() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set(gpu, 0x58, 0x1003);
    machine.set(gpu, 0x5c, 1);
    let device = Device::new(&[0]);
    let transport = device.open(&machine, gpu, None).unwrap();
    device.take();
    device.bench.put(0x1003, &[2]);
    assert_eq!(transport.ack_interrupt(), InterruptStatus::CONFIG);
    assert_eq!(device.take(), [Read(0x1003, 1), Acquire]);
}

// shows: pci.layout.1
#[test]
fn configuration_ends_where_the_capability_says() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set(gpu, 0x6c, 6);
    let device = Device::new(&[0]);
    device.bench.put(DEVICE, &[1, 2, 3, 4, 5, 6]);
    let mut transport = device.open(&machine, gpu, None).unwrap();
    device.take();
    assert_eq!(transport.config_len(), 6);
    let (mut one, mut two, mut four) = ([0; 1], [0; 2], [0; 4]);
    transport.read_config(5, &mut one).unwrap();
    transport.read_config(4, &mut two).unwrap();
    transport.read_config(0, &mut four).unwrap();
    assert_eq!((one, two, four), ([6], [5, 6], [1, 2, 3, 4]));
    transport.write_config(1, &[0x11]).unwrap();
    transport.write_config(2, &[0x22, 0x33]).unwrap();
    transport.write_config(0, &[1, 2, 3, 4]).unwrap();
    assert_eq!(
        device.take(),
        [
            Read(DEVICE + 5, 1),
            Read(DEVICE + 4, 2),
            r(DEVICE),
            Write(DEVICE + 1, 1, 0x11),
            Write(DEVICE + 2, 2, 0x3322),
            w(DEVICE, 0x0403_0201),
        ]
    );
    for (offset, len) in [(4, 4), (6, 1), (1, 2), (0, 3), (0, 8)] {
        let expected = Err(Error::Incompatible(Incompatible::ConfigTooSmall { offset, len }));
        let mut bytes = [0; 8];
        assert_eq!(transport.read_config(offset, &mut bytes[..len]), expected);
        assert_eq!(transport.write_config(offset, &bytes[..len]), expected);
    }
    assert_eq!(device.take(), []);
}

#[test]
fn a_device_without_configuration_space_has_none() {
    for change in [0x6c, 0x60] {
        let machine = Machine::new();
        let gpu = machine.add_gpu(0, 1);
        // Of length 0, and of an unknown type.
        machine.set(gpu, change, if change == 0x6c { 0 } else { 0xff10_7009 });
        let device = Device::new(&[0]);
        let transport = device.open(&machine, gpu, None).unwrap();
        assert_eq!(transport.config_len(), 0);
        assert!(transport.read_config(0, &mut [0]).is_err());
        assert_eq!(device.maps.borrow().len(), 3);
    }
}

#[test]
fn cutting_off_clears_bus_mastering_and_says_whether_it_is_so() {
    let device = Device::new(&[0, 1]);
    with_notify(PLAIN, &device, |transport, machine| {
        let gpu = crate::FunctionAddress::new(0, 1, 0).unwrap();
        transport.enable_queue(QUEUE, &RINGS).unwrap();
        assert_eq!(machine.get(gpu, 4) & 7, 6);
        machine.take_writes();
        assert!(transport.cut_off());
        assert_eq!(machine.take_writes(), [(gpu, 4, 0x402)]);
        assert_eq!(machine.get(gpu, 4) & 7, 2);
        // A function that does not let go, and one that has gone.
        machine.set_register(gpu, 4, 0x0010_0006, 0);
        assert!(!transport.cut_off());
        machine.set_register(gpu, 4, u32::MAX, 0);
        assert!(!transport.cut_off());
        let touched = device.take().iter().any(|access| matches!(access, Access::Write(0x14, ..)));
        assert!(!touched, "the status is the driver's business");
    });
}

/// What a device says of a queue that it has taken is half of the proof that it has given it back.
#[test]
fn a_queue_that_the_device_does_not_take_is_named() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
    device.takes_queues.set(false);
    let mut transport = device.open(&machine, machine.add_gpu(0, 1), None).unwrap();
    let refused = Err(Error::Incompatible(Incompatible::QueueRefused(QUEUE)));
    assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
    assert_eq!(device.take().last(), Some(&Read(0x1c, 2)));
}
