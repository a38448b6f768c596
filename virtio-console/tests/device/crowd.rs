//! A device with many ports, which says all it has to say at once, and drops what finds no buffer: QEMU 7.2 is like that.

use alloc::sync::Arc;
use core::pin::pin;
use std::sync::Mutex;

use crate::awaited::{Woken, poll};
use crate::bench::{CONSOLE_PORT, DEVICE_ADD, DEVICE_READY, PORT_NAME, PORT_OPEN, PORT_READY, SOON};

use virtio_console::abi::{F_MULTIPORT, receiveq, transmitq};
use virtio_console::{Bells, Console, Event, Options, PortId};
use virtio_core::{DeviceId, Endpoint, Features, Interrupts};
use virtio_testkit::{FakeDevice, FakeTransport, Reply, TestHal};

const PORTS: u16 = 31;

type Wide = Console<FakeTransport, TestHal, &'static [u8], 32>;

/// The device itself, for its handler; taken out in the end.
type Itself = Arc<Mutex<Option<FakeDevice>>>;

/// Its ports are all consoles, have a name, and are open.
fn crowd(hal: &TestHal) -> (FakeDevice, Itself) {
    let itself = Itself::default();
    let device = itself.clone();
    let say = move |port: u32, event: u16, rest: &[u8]| {
        let message = [&port.to_le_bytes()[..], &event.to_le_bytes(), &1_u16.to_le_bytes(), rest].concat();
        let device = device.lock().unwrap().clone().unwrap();
        // Whether there is a buffer or not.
        device.send(2, &message);
    };
    let builder = FakeDevice::builder(DeviceId::CONSOLE)
        .features(Features::VERSION_1 | F_MULTIPORT)
        .config([0, 0, 0, 0, 31, 0, 0, 0, 0, 0, 0, 0])
        .event_queue(2, 32)
        .queue(3, 32, move |request| {
            let [a, b, c, d, e, f, ..] = request.readable[..] else { panic!("a short message") };
            let port = u32::from_le_bytes([a, b, c, d]);
            match u16::from_le_bytes([e, f]) {
                DEVICE_READY => (0..PORTS).for_each(|port| say(port.into(), DEVICE_ADD, &[])),
                PORT_READY => {
                    say(port, CONSOLE_PORT, &[]);
                    say(port, PORT_NAME, port.to_string().as_bytes());
                    say(port, PORT_OPEN, &[]);
                }
                _ => {}
            }
            Reply::Write(vec![])
        });
    let builder = (0..PORTS).fold(builder, |builder, port| {
        builder.event_queue(receiveq(port), 8).event_queue(transmitq(port), 8)
    });
    let device = builder.build(hal);
    *itself.lock().unwrap() = Some(device.clone());
    (device, itself)
}

fn whole(console: &Wide) {
    for port in (0..u32::from(PORTS)).map(PortId::new) {
        assert!(console.is_console(port) && console.is_open(port), "{port}");
        assert_eq!(console.name(port).unwrap().as_str(), port.to_string());
    }
}

#[test]
fn no_message_of_many_ports_is_dropped() {
    let hal = TestHal::new();
    let (device, itself) = crowd(&hal);
    let mut console = Wide::with_options(device.transport(), hal.clone(), Options::default()).unwrap();
    console.wait_open(PortId::new(30), SOON).unwrap();
    while console.next_event().unwrap().is_some() {}
    whole(&console);
    // Event by event, too.
    let mut console = console.recover().unwrap();
    let mut added = 0;
    while let Some(event) = console.next_event().unwrap() {
        added += u16::from(matches!(event, Event::Added(_)));
    }
    assert_eq!(added, PORTS);
    whole(&console);
    *itself.lock().unwrap() = None;
}

#[test]
fn nor_is_one_while_a_task_waits() {
    let hal = TestHal::new();
    let (device, itself) = crowd(&hal);
    let mut console = Wide::with_options(device.transport(), hal.clone(), Options::default()).unwrap();
    {
        let (bells, woken) = (Bells::<32>::new(), Arc::<Woken>::default());
        let mut control = console.halves().unwrap().take_control().unwrap().awaited(&bells).unwrap();
        let mut told = 0;
        let endpoint = device.transport().endpoint(0).unwrap();
        // As long as the device interrupts.
        while !endpoint.ack().is_empty() || told == 0 {
            while poll(pin!(control.next_event()), &woken).map(Result::unwrap).is_ready() {
                told += 1;
            }
        }
        assert_eq!(told, 4 * PORTS);
    }
    whole(&console);
    *itself.lock().unwrap() = None;
}
