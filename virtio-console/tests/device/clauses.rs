//! How control messages lie in memory (VIRTIO 1.4 §5.3.6.4).

use std::sync::mpsc::channel;

use crate::bench::{DEVICE_ADD, PORT_OPEN, ZERO};

use virtio_console::abi::F_MULTIPORT;
use virtio_console::{Console, Event};
use virtio_core::DeviceId;
use virtio_testkit::{FakeDevice, Reply, TestHal};

// shows: console.legacy-framing.1
#[test]
fn control_messages_are_one_descriptor_each() {
    let hal = TestHal::new();
    let (seen, chains) = channel();
    let said = seen.clone();
    let shape = |request: &virtio_testkit::Request| -> (u16, Vec<bool>) {
        (request.queue, request.buffers.iter().map(|buffer| buffer.writable).collect())
    };
    // An old device that says nothing of layouts.
    let device = FakeDevice::builder(DeviceId::CONSOLE)
        .features(F_MULTIPORT)
        .config([&[80, 0, 25, 0][..], &1_u32.to_ne_bytes(), &[0; 4]].concat())
        .legacy()
        .event_queue(0, 8)
        .queue(1, 8, |_| Reply::Write(vec![]))
        .queue(2, 8, move |request| {
            seen.send(shape(&request)).unwrap();
            Reply::Hold
        })
        .queue(3, 8, move |request| {
            said.send(shape(&request)).unwrap();
            Reply::Write(vec![])
        })
        .build(&hal);
    let mut console = Console::new(device.transport(), hal.clone()).unwrap();
    let message = |event: u16, value: u16| {
        [&0_u32.to_ne_bytes()[..], &event.to_ne_bytes(), &value.to_ne_bytes()].concat()
    };
    assert!(device.send(2, &message(DEVICE_ADD, 0)));
    assert!(device.send(2, &message(PORT_OPEN, 1)));
    assert_eq!(console.next_event(), Ok(Some(Event::Added(ZERO))));
    assert_eq!(console.next_event(), Ok(Some(Event::Opened(ZERO))));
    console.open(ZERO).unwrap();
    let chains: Vec<_> = chains.try_iter().collect();
    let to_device = chains.iter().filter(|(queue, _)| *queue == 3).count();
    assert_eq!(to_device, 3, "DEVICE_READY, PORT_READY, PORT_OPEN");
    assert!(chains.len() > 8 + to_device, "buffers that were used went back: {chains:?}");
    for (queue, chain) in chains {
        assert_eq!(chain, [queue == 2], "queue {queue}");
    }
}
