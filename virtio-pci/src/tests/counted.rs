//! What a kick and an interrupt cost, counted: one write, one read, or none.

use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::transport::Rings;
use virtio_core::{QueueIndex, Transport};

use super::bench::{Access, Read, Write};
use super::device::Device;
use super::machine::Machine;
use super::msix::enabled;
use super::queues::{QUEUE, RINGS};
use super::window_regs::{Windowed, through};

/// Reads and writes of registers since the last call.
fn counted(device: &Device) -> (usize, usize) {
    let trace = device.take();
    let count = |of: fn(&Access) -> bool| trace.iter().filter(|&access| of(access)).count();
    (count(|access| matches!(access, Read(..))), count(|access| matches!(access, Write(..))))
}

/// Every kind of notification: 16 bits or 32, by index or by the device's number.
fn kinds() -> [Rings; 4] {
    [(false, false), (false, true), (true, false), (true, true)]
        .map(|(notification_data, notif_config_data)| Rings { notification_data, notif_config_data, ..RINGS })
}

#[test]
fn a_kick_is_one_register_write() {
    for rings in kinds() {
        let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
        let gpu = machine.add_gpu(0, 1);
        let mut transport = device.open(&machine, gpu, None).unwrap();
        let bell = transport.enable_queue(QUEUE, &rings).unwrap();
        counted(&device);
        machine.take_writes();
        for position in 0..100 {
            transport.notify(bell.at(position));
            assert_eq!(counted(&device), (0, 1));
        }
        assert_eq!(machine.take_writes(), []);
    }
}

#[test]
fn with_messages_too() {
    for rings in kinds() {
        let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
        let mut transport = enabled(&machine, &device, 3, 3);
        let bell = transport.enable_queue(QUEUE, &rings).unwrap();
        counted(&device);
        machine.take_writes();
        transport.notify(bell);
        assert_eq!((counted(&device), machine.take_writes()), ((0, 1), [].into()));
    }
}

#[test]
fn through_the_window_it_is_one_transaction() {
    for rings in kinds() {
        let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
        let (access, gpu) = Windowed::new(&machine, &device);
        let mut transport = through(&access, gpu);
        let bell = transport.enable_queue(QUEUE, &rings).unwrap();
        counted(&device);
        for position in 0..100 {
            access.accesses.take();
            transport.notify(bell.at(position));
            // BAR, offset, width, data.
            assert_eq!((counted(&device), access.accesses.take()), ((0, 1), 4));
        }
    }
}

#[test]
fn an_interrupt_by_line_is_one_read_and_by_message_none() {
    for (vectors, reads) in [(0, 1), (1, 0), (3, 0)] {
        let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
        let mut transport = enabled(&machine, &device, 3, vectors);
        for queue in 0..2 {
            transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
        }
        let endpoints = transport.vectors();
        assert_eq!(endpoints, vectors.max(1));
        counted(&device);
        machine.take_writes();
        for vector in 0..endpoints {
            let endpoint = transport.endpoint(vector).unwrap();
            let _ = endpoint.ack();
            assert_eq!(counted(&device), (reads, 0));
        }
        let _ = transport.ack_interrupt();
        assert_eq!((counted(&device), machine.take_writes()), ((reads, 0), [].into()));
    }
}
