//! Control messages (VIRTIO 1.4 §5.3.6.2).

use crate::bench::{
    CONSOLE_PORT, DEVICE_ADD, DEVICE_READY, ONE, PORT_NAME, PORT_OPEN, PORT_READY, SOON, Setup, TWO, ZERO,
    events,
};

use virtio_console::{ConsoleError, Event, PortId};

// shows: console.op.multiport.1, console.op.multiport.2, console.op.multiport.3, console.op.multiport.4
#[test]
fn the_whole_dialogue_on_modern_and_legacy() {
    for legacy in [false, true] {
        let bench = Setup { legacy, ..Setup::MULTI }.build();
        let mut console = bench.drive();
        bench.say(0, DEVICE_ADD, 0);
        bench.say(2, DEVICE_ADD, 0);
        assert_eq!(console.next_event(), Ok(Some(Event::Added(ZERO))));
        assert_eq!(bench.told(), [(0, DEVICE_READY, 1)], "ports are told when nothing more waits to be read");
        assert_eq!(events(&mut console), [Event::Added(TWO)]);
        assert_eq!(bench.told(), [(0, PORT_READY, 1), (2, PORT_READY, 1)]);
        bench.say(0, CONSOLE_PORT, 1);
        bench.say_with(2, PORT_NAME, 0, b"org.example.2\0");
        bench.say(2, PORT_OPEN, 1);
        assert_eq!(events(&mut console), [Event::IsConsole(ZERO), Event::Named(TWO), Event::Opened(TWO)]);
        assert_eq!(bench.told(), [(0, PORT_OPEN, 1)]);
        assert!(console.is_console(ZERO) && console.is_open(ZERO));
        assert!(!console.is_console(TWO) && console.is_open(TWO));
        assert!(!console.is_open(ONE));
        assert_eq!(console.present().collect::<Vec<_>>(), [ZERO, TWO]);
        assert_eq!(console.name(TWO).unwrap().as_str(), "org.example.2");
        assert_eq!((console.find("org.example.2"), console.find("org.example")), (Some(TWO), None));
        assert_eq!((console.name(ZERO), console.find("")), (None, None));
        assert_eq!(bench.device.held(2), 16, "every buffer is with the device again");
    }
}

// shows: console.op.multiport.3, console.op.multiport.4
#[test]
fn a_console_port_is_answered_each_time() {
    let bench = Setup::MULTI.build();
    let mut console = bench.drive();
    bench.plug(1);
    events(&mut console);
    console.open(ONE).unwrap();
    bench.told();
    for _ in 0..3 {
        bench.say(1, CONSOLE_PORT, 1);
        assert_eq!(console.next_event(), Ok(Some(Event::IsConsole(ONE))));
        assert_eq!(bench.told(), [(1, PORT_OPEN, 1)]);
    }
    // One that was closed here opens for it.
    console.close(ONE).unwrap();
    assert_eq!(bench.told(), [(1, PORT_OPEN, 0)]);
    bench.say(1, CONSOLE_PORT, 1);
    assert_eq!(console.next_event(), Ok(Some(Event::IsConsole(ONE))));
    assert_eq!(bench.told(), [(1, PORT_OPEN, 1)]);
}

#[test]
fn our_end_opens_and_closes() {
    let bench = Setup::MULTI.build();
    let mut console = bench.drive();
    assert_eq!(console.open(ONE), Err(ConsoleError::NoSuchPort(ONE)));
    let far = PortId::new(3);
    assert_eq!(console.open(far), Err(ConsoleError::NoSuchPort(far)));
    bench.say(1, DEVICE_ADD, 0);
    // Opening looks for the port itself.
    console.open(ONE).unwrap();
    assert_eq!(bench.told(), [(0, DEVICE_READY, 1), (1, PORT_READY, 1), (1, PORT_OPEN, 1)]);
    console.open(ONE).unwrap();
    assert_eq!(bench.told(), [], "it is told once");
    console.close(ONE).unwrap();
    console.close(ONE).unwrap();
    assert_eq!(bench.told(), [(1, PORT_OPEN, 0)]);
    assert!(!console.is_open(ONE), "the other end is another matter");
    assert_eq!(events(&mut console), [Event::Added(ONE)]);
}

#[test]
fn the_other_end_opens_and_closes() {
    let bench = Setup::MULTI.build();
    let mut console = bench.drive();
    bench.say(1, DEVICE_ADD, 0);
    assert_eq!(console.next_event(), Ok(Some(Event::Added(ONE))));
    for value in [1, 2, u16::MAX] {
        bench.say(1, PORT_OPEN, value);
        assert_eq!(console.next_event(), Ok(Some(Event::Opened(ONE))));
        assert!(console.is_open(ONE));
        bench.say(1, PORT_OPEN, 0);
        assert_eq!(console.next_event(), Ok(Some(Event::Closed(ONE))));
        assert!(!console.is_open(ONE));
    }
}

#[test]
fn names_are_cut_checked_and_replaced() {
    let bench = Setup::MULTI.build();
    let mut console = bench.drive();
    bench.say(1, DEVICE_ADD, 0);
    console.next_event().unwrap();
    let long = [b'n'; 248];
    for (sent, kept) in [
        (&b"first\0"[..], Some("first")),
        (b"without end", Some("without end")),
        (b"\x1b[2J\xff\n", Some("?[2J??")),
        (&long, Some(core::str::from_utf8(&long[..64]).unwrap())),
        (b"\0behind", None),
        (b"", None),
    ] {
        bench.say_with(1, PORT_NAME, 0, sent);
        assert_eq!(console.next_event(), Ok(Some(Event::Named(ONE))));
        assert_eq!(console.name(ONE).map(|name| name.as_str()), kept);
        assert_eq!(kept.and_then(|name| console.find(name)), kept.map(|_| ONE));
    }
}

/// The device keeps all it is told: 32 messages fit. What is due is told when there is room, and only what is still true.
#[test]
fn answers_wait_for_room() {
    let bench = Setup { deaf: true, ..Setup::MULTI }.build();
    let mut console = bench.drive();
    bench.say(0, DEVICE_ADD, 0);
    bench.say(1, DEVICE_ADD, 0);
    events(&mut console);
    assert_eq!(bench.told(), [(0, DEVICE_READY, 1), (0, PORT_READY, 1), (1, PORT_READY, 1)]);
    for _ in 0..15 {
        console.open(ZERO).unwrap();
        console.close(ZERO).unwrap();
    }
    assert_eq!(bench.device.held(3), 32);
    assert_eq!(bench.told().len(), 29);
    // No room: neither answer nor error, and messages are read all the same.
    bench.say(2, DEVICE_ADD, 0);
    bench.say(2, CONSOLE_PORT, 1);
    assert_eq!(events(&mut console), [Event::Added(TWO), Event::IsConsole(TWO)]);
    console.open(ZERO).unwrap();
    console.open(ONE).unwrap();
    console.close(ONE).unwrap();
    assert_eq!(bench.told(), []);
    assert_eq!(console.wait_for(TWO, SOON), Err(ConsoleError::TimedOut { port: TWO, done: 0 }));
    while bench.device.held(3) > 0 {
        bench.device.complete(3, 0, &[]);
    }
    console.wait_for(TWO, SOON).unwrap();
    let mut told = bench.told();
    told.sort_unstable();
    assert_eq!(told.last(), Some(&(2, PORT_OPEN, 1)));
    // Port 0 was left open or closed by the last message that fitted.
    assert!(told.contains(&(2, PORT_READY, 1)) && !told.iter().any(|(port, ..)| *port == 1), "{told:?}");
}

/// While somebody waits for a port, what is said of all ports is kept, however much it is.
#[test]
fn what_is_said_while_somebody_waits_is_kept() {
    let bench = Setup::MULTI.build();
    let mut console = bench.drive();
    let (device, wire) = (bench.device.clone(), |said| bench.wire(said, &[]));
    let mut messages: Vec<Vec<u8>> = vec![];
    for port in 0..3 {
        messages.extend([
            wire((port, DEVICE_ADD, 0)),
            wire((port, PORT_OPEN, 1)),
            wire((port, PORT_OPEN, 0)),
        ]);
        messages.push(wire((port, PORT_OPEN, 1)));
        messages.push(wire((port, CONSOLE_PORT, 1)));
        messages.push(wire((7, DEVICE_ADD, 1)));
    }
    let mut messages = messages.into_iter();
    bench.hal.on_relax(move || {
        if let Some(message) = messages.next() {
            assert!(device.send(2, &message));
        }
    });
    console.wait_for(TWO, SOON).unwrap();
    console.wait_open(TWO, SOON).unwrap();
    let fault = ConsoleError::PortOutOfRange { port: PortId::new(7), max: 3 };
    assert_eq!(console.next_event(), Err(fault));
    let mut told = events(&mut console);
    told.truncate(8);
    assert_eq!(
        told,
        [ZERO, ONE]
            .map(|port| {
                [Event::Added(port), Event::IsConsole(port), Event::Closed(port), Event::Opened(port)]
            })
            .concat()
    );
    assert!(console.is_open(TWO));
}
