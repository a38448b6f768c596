//! Doorbells that carry a position in the ring: 32 bits wide.

use virtio_core::transport::{Doorbell, DoorbellWidth, Rings};
use virtio_core::{Error, Incompatible, Transport};

use super::bench::{Publish, Read, Write, w};
use super::device::{Device, NOTIFY};
use super::queues::{PLAIN, QUEUE, RINGS, with_notify};

const WIDE: Rings = Rings { notification_data: true, ..RINGS };

// shows: pci.op.avail-notif.2, pci.op.avail-notif.4
#[test]
fn a_kick_is_one_32_bit_write_behind_a_barrier() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, machine| {
        let bell = transport.enable_queue(QUEUE, &WIDE).unwrap();
        assert_eq!(bell, Doorbell { offset: 20, value: 1, width: DoorbellWidth::Bits32 });
        let trace = device.take();
        assert_eq!(trace[trace.len() - 2..], [Write(0x1c, 2, 1), Read(0x1c, 2)]);
        machine.take_writes();
        for (position, value) in [(0, 1), (7, 0x7_0001), (0x8005, 0x8005_0001), (u16::MAX, 0xffff_0001)] {
            transport.notify(bell.at(position));
            assert_eq!(device.take(), [Publish, w(NOTIFY + 20, value)]);
        }
        assert_eq!(machine.take_writes(), []);
    });
}

#[test]
fn a_16_bit_doorbell_carries_no_position() {
    let device = Device::new(&[0, 5]);
    with_notify(PLAIN, &device, |transport, _| {
        let bell = transport.enable_queue(QUEUE, &RINGS).unwrap();
        device.take();
        transport.notify(bell.at(0x8005));
        assert_eq!(device.take(), [Publish, Write(NOTIFY + 20, 2, 1)]);
    });
}

#[test]
fn wide_doorbells_of_every_shape_end_inside() {
    let outside = Err(Incompatible::DoorbellOutside(QUEUE));
    let misaligned = Err(Incompatible::DoorbellMisaligned(QUEUE));
    // Structure, the queue's offset, where the doorbell is in the BAR with 16 bits and with 32.
    for (notify, notify_off, narrow, wide) in [
        ([0x3000, 0x1000, 0], 77, Ok(0x3000), Ok(0x3000)),
        ([0x3000, 0x1000, 4], 0x3ff, Ok(0x3ffc), Ok(0x3ffc)),
        ([0x3000, 0x1000, 4], 0x400, outside, outside),
        // Behind one that ends with the structure, half inside.
        ([0x3000, 8, 4], 1, Ok(0x3004), Ok(0x3004)),
        ([0x3000, 7, 4], 1, Ok(0x3004), outside),
        ([0x3000, 6, 4], 1, Ok(0x3004), outside),
        ([0x3000, 2, 0], 0, Ok(0x3000), outside),
        // Where only 16 bits are aligned: the multiplier, the structure, both together.
        ([0x3000, 0x1000, 2], 1, Ok(0x3002), misaligned),
        ([0x3000, 0x1000, 2], 2, Ok(0x3004), Ok(0x3004)),
        ([0x3002, 0x100, 4], 1, Ok(0x3006), misaligned),
        ([0x3002, 0x100, 2], 1, Ok(0x3004), Ok(0x3004)),
        ([0x3001, 0x100, 0], 0, misaligned, misaligned),
        ([0x3000, 0x1000, u32::MAX], u16::MAX, outside, outside),
        // At the end of the BAR, inside the structure's length.
        ([0x3000, u32::MAX, 2], 0x7fe, Ok(0x3ffc), Ok(0x3ffc)),
        ([0x3000, u32::MAX, 2], 0x7ff, Ok(0x3ffe), outside),
        // Past the page that is mapped anyway.
        ([0, u32::MAX, 0x1000], 3, Ok(0x3000), Ok(0x3000)),
    ] {
        for (rings, expected) in [(&RINGS, narrow), (&WIDE, wide)] {
            let device = Device::new(&[0, notify_off]);
            with_notify(notify, &device, |transport, machine| match transport.enable_queue(QUEUE, rings) {
                Ok(bell) => {
                    device.take();
                    transport.notify(bell);
                    let width = if rings.notification_data { 4 } else { 2 };
                    let rung = expected.map(|at| [Publish, Write(at, width, 1)].into());
                    assert_eq!(Ok(device.take()), rung, "{notify:?}");
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
}

#[test]
fn there_is_room_for_the_wide_doorbell_where_the_structure_has_it() {
    // The farthest doorbell starts behind the first page.
    for (len, mapped) in [(0x2000, 0x1006), (0x1006, 0x1006), (0x1004, 0x1004)] {
        let device = Device::new(&[0, 0x801]);
        with_notify([0x2000, len, 2], &device, |_, _| {});
        let (_, last) = device.maps.take().pop().unwrap();
        assert_eq!(last, usize::next_multiple_of(mapped, 4), "{len:#x}");
    }
}

/// The number that the device has chosen for the queue.
const CHOSEN: u16 = 0xbeef;

// shows: pci.op.avail-notif.5, pci.op.avail-notif.6
#[test]
fn a_number_that_the_device_has_chosen_names_the_queue() {
    for (notification_data, width) in [(false, 2), (true, 4)] {
        let device = Device::new(&[0, 5]);
        device.bench.put(0x38, &CHOSEN.to_le_bytes());
        with_notify(PLAIN, &device, |transport, _| {
            let rings = Rings { notification_data, notif_config_data: true, ..RINGS };
            let bell = transport.enable_queue(QUEUE, &rings).unwrap();
            // Read for the queue that is selected, before it is enabled.
            let trace = device.take();
            let at = |wanted| trace.iter().position(|&access| access == wanted).unwrap();
            assert!(at(Write(0x16, 2, 1)) < at(Read(0x38, 2)) && at(Read(0x38, 2)) < at(Write(0x1c, 2, 1)));
            transport.notify(bell.at(0x8005));
            // The position is where it is without the number.
            let value = if notification_data { 0x8005_beef } else { 0xbeef };
            assert_eq!(device.take(), [Publish, Write(NOTIFY + 20, width, value)]);
        });
    }
}

#[test]
fn who_has_not_accepted_the_number_does_not_look_at_it() {
    let device = Device::new(&[0, 5]);
    device.bench.put(0x38, &CHOSEN.to_le_bytes());
    with_notify(PLAIN, &device, |transport, _| {
        for rings in [&RINGS, &WIDE] {
            assert_eq!(transport.enable_queue(QUEUE, rings).unwrap().value, 1);
            assert!(!device.take().contains(&Read(0x38, 2)));
            device.lets_go(QUEUE.get());
        }
    });
}
