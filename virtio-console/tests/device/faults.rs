//! Control messages that no device should send: each is ignored and named, and the device goes on.

use crate::bench::{
    Bench, CONSOLE_PORT, DEVICE_ADD, DEVICE_READY, DEVICE_REMOVE, Driver, ONE, PORT_NAME, PORT_OPEN,
    PORT_READY, RESIZE, Setup, TWO, events, open,
};

use virtio_console::{ConsoleError, Event, PortId};
use virtio_core::{Misbehaved, QueueIndex};
use virtio_testkit::Lie;

/// It is still a console: port 1 hears and is heard, and another port can come and go.
fn usable(bench: &Bench, console: &mut Driver) {
    assert_eq!(events(console), []);
    assert_eq!(bench.told(), [], "nothing is answered");
    assert_eq!(console.present().collect::<Vec<_>>(), [ONE]);
    bench.send(1, b"still");
    let mut port = console.port(ONE).unwrap();
    let mut bytes = [0; 16];
    assert_eq!((port.read(&mut bytes), &bytes[..5]), (Ok(5), &b"still"[..]));
    port.write_all(b"here").unwrap();
    assert_eq!(bench.heard(1), b"here");
    bench.say(2, DEVICE_ADD, 0);
    bench.say(2, DEVICE_REMOVE, 0);
    assert_eq!(events(console), [Event::Added(TWO), Event::Removed(TWO)]);
    bench.told();
    assert_eq!(bench.device.held(2), 16);
}

#[test]
fn ports_above_the_maximum() {
    for legacy in [false, true] {
        let (bench, mut console) = open(Setup { legacy, ..Setup::MULTI }, &[1]);
        for port in [3, 4, 31, 32, 33, 0x1_0001, u32::MAX] {
            for event in [DEVICE_ADD, DEVICE_REMOVE, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME] {
                bench.say_with(port, event, 1, b"long enough");
                let fault = ConsoleError::PortOutOfRange { port: PortId::new(port), max: 3 };
                assert_eq!(console.next_event(), Err(fault));
            }
        }
        usable(&bench, &mut console);
    }
}

#[test]
fn ports_that_were_not_added_or_were_twice() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    for event in [DEVICE_REMOVE, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME] {
        bench.say_with(2, event, 1, b"long enough");
        assert_eq!(console.next_event(), Err(ConsoleError::UnknownPort { port: TWO, event }));
        assert!(!console.is_open(TWO) && console.name(TWO).is_none());
    }
    bench.say(1, DEVICE_ADD, 0);
    assert_eq!(console.next_event(), Err(ConsoleError::PortExists(ONE)));
    assert!(console.is_open(ONE), "it is as it was");
    usable(&bench, &mut console);
}

#[test]
fn events_that_no_device_has() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    for event in [DEVICE_READY, PORT_READY, 8, 9, 0x100, u16::MAX] {
        for port in [1, 2, 77] {
            bench.say(port, event, 1);
            let fault = ConsoleError::UnknownEvent { port: PortId::new(port), event };
            assert_eq!(console.next_event(), Err(fault));
        }
    }
    usable(&bench, &mut console);
}

#[test]
fn messages_that_are_too_short() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    for (event, whole) in [(PORT_OPEN, 8), (DEVICE_REMOVE, 8), (CONSOLE_PORT, 8), (RESIZE, 12)] {
        let message = bench.wire((1, event, 0), &[80, 0, 25, 0]);
        for len in 0..whole {
            assert!(bench.device.send(2, &message[..len]));
            let needed = if len < 8 { 8 } else { 12 };
            let written = u32::try_from(len).unwrap();
            assert_eq!(console.next_event(), Err(ConsoleError::ShortMessage { written, needed }));
        }
    }
    // A device that says it wrote less than it did: nothing beyond is believed.
    let message = bench.wire((1, PORT_OPEN, 0), &[]);
    bench.device.complete_claiming(2, 0, &message, 7);
    assert_eq!(console.next_event(), Err(ConsoleError::ShortMessage { written: 7, needed: 8 }));
    assert!(console.is_open(ONE));
    usable(&bench, &mut console);
}

#[test]
fn lengths_beyond_the_buffer_are_no_harm() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let message = bench.wire((1, PORT_NAME, 0), b"name\0");
    bench.device.complete_claiming(2, 0, &message, u32::MAX);
    assert_eq!(console.next_event(), Ok(Some(Event::Named(ONE))));
    assert_eq!(console.name(ONE).unwrap().as_str(), "name");
    usable(&bench, &mut console);
}

#[test]
fn a_control_queue_that_breaks_the_rules_stays_broken() {
    for (queue, ours) in [(2, 16), (3, 32)] {
        let (bench, mut console) = open(Setup::MULTI, &[1]);
        bench.device.lie(queue, Lie::UsedId { id: ours, len: 8 });
        let broken = console.next_event().unwrap_err();
        let queue = QueueIndex::new(queue);
        let lies = [
            Misbehaved::UsedIdOutOfRange { queue, id: ours },
            Misbehaved::UsedIndexJump { queue, advance: 1, in_flight: 0 },
        ];
        assert!(lies.iter().any(|lie| broken == ConsoleError::Core((*lie).into())), "{broken}");
        assert_eq!(console.next_event(), Err(broken));
        assert_eq!(console.port(ONE).unwrap_err(), broken);
        // The halves of the ports do not need it.
        bench.send(1, b"x");
        let (mut reader, mut writer) = console.halves().unwrap().take(ONE).unwrap();
        assert_eq!(reader.read(&mut [0; 4]), Ok(1));
        assert_eq!(writer.write_all(b"y"), Ok(()));
        let mut console = console.recover().unwrap();
        assert_eq!(console.next_event(), Ok(None));
        bench.plug(1);
        assert_eq!(events(&mut console), [Event::Added(ONE), Event::Opened(ONE)]);
    }
}
