//! Ports that go, and come again: what one life received is not read in the next.

use crate::bench::{
    DEVICE_ADD, DEVICE_REMOVE, ONE, PORT_NAME, PORT_OPEN, PORT_READY, SOON, Setup, TWO, events, open,
};

use virtio_console::{ConsoleError, Event};

#[test]
fn nothing_of_the_first_life_is_left_in_the_second() {
    let (bench, mut console) = open(Setup::MULTI, &[1, 2]);
    bench.say_with(1, PORT_NAME, 0, b"old");
    console.open(ONE).unwrap();
    bench.send(1, b"read in part");
    bench.send(1, b"not fetched");
    let mut bytes = [0; 16];
    assert_eq!(console.port(ONE).unwrap().read(&mut bytes[..4]), Ok(4));
    bench.told();
    bench.say(1, DEVICE_REMOVE, 0);
    assert_eq!(events(&mut console), [Event::Named(ONE), Event::Removed(ONE)]);
    assert!(!console.is_open(ONE) && console.name(ONE).is_none() && console.find("old").is_none());
    assert_eq!(console.size(ONE), Err(ConsoleError::NoSuchPort(ONE)));
    assert_eq!(bench.device.held(4), 2, "every buffer is with the device again");
    assert_eq!(bench.told(), []);

    bench.say(1, DEVICE_ADD, 0);
    assert_eq!(events(&mut console), [Event::Added(ONE)]);
    assert_eq!(bench.told(), [(1, PORT_READY, 1)], "neither end is open");
    bench.say(1, PORT_OPEN, 1);
    bench.send(1, b"new");
    let mut port = console.port(ONE).unwrap();
    assert_eq!((port.read(&mut bytes), &bytes[..3]), (Ok(3), &b"new"[..]));
    assert_eq!(port.read(&mut bytes), Ok(0));
    assert_eq!(bench.device.held(4), 2);
    bench.send(2, b"unharmed");
    assert_eq!(console.port(TWO).unwrap().read(&mut bytes), Ok(8));
}

/// Both messages are there before anybody looks.
#[test]
fn gone_and_back_at_one_look() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    bench.send(1, b"old");
    bench.say(1, DEVICE_REMOVE, 0);
    bench.say(1, DEVICE_ADD, 0);
    console.wait_for(ONE, SOON).unwrap();
    assert_eq!(bench.told(), [(1, PORT_READY, 1)]);
    bench.say(1, PORT_OPEN, 1);
    bench.send(1, b"new");
    let mut bytes = [0; 8];
    assert_eq!((console.port(ONE).unwrap().read(&mut bytes), &bytes[..3]), (Ok(3), &b"new"[..]));
    assert_eq!(events(&mut console), [Event::Removed(ONE), Event::Added(ONE), Event::Opened(ONE)]);
}

/// The one who reads messages has no hands for the queue of the port: it is not said to be ready before its reader has looked.
#[test]
fn halves_agree_on_when_a_port_is_ready() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap();
    let (mut reader, mut writer) = halves.take(ONE).unwrap();
    bench.send(1, b"old");
    bench.say(1, DEVICE_REMOVE, 0);
    bench.say(1, DEVICE_ADD, 0);
    assert_eq!(control.next_event(), Ok(Some(Event::Removed(ONE))));
    assert_eq!(control.next_event(), Ok(Some(Event::Added(ONE))));
    assert_eq!(control.next_event(), Ok(None));
    assert_eq!(bench.told(), [], "the reader has not looked yet");
    assert_eq!(reader.read(&mut [0; 8]), Ok(0));
    assert_eq!(control.next_event(), Ok(None));
    assert_eq!(bench.told(), [(1, PORT_READY, 1)]);
    assert_eq!(writer.write(b"x"), Err(ConsoleError::Closed(ONE)));
    bench.say(1, PORT_OPEN, 1);
    bench.send(1, b"new");
    assert_eq!(control.next_event(), Ok(Some(Event::Opened(ONE))));
    let mut bytes = [0; 8];
    assert_eq!((reader.read(&mut bytes), &bytes[..3]), (Ok(3), &b"new"[..]));
    assert_eq!(writer.write(b"x"), Ok(1));
    assert_eq!(bench.heard(1), b"x");
}

#[test]
fn ports_come_and_go_for_ever() {
    let (bench, mut console) = open(Setup::MULTI, &[]);
    let rounds = if cfg!(miri) { 5 } else { 300 };
    for round in 0..rounds {
        bench.plug(1);
        assert_eq!(events(&mut console), [Event::Added(ONE), Event::Opened(ONE)], "round {round}");
        console.open(ONE).unwrap();
        assert_eq!(bench.told(), [(1, PORT_READY, 1), (1, PORT_OPEN, 1)]);
        bench.send(1, b"left");
        bench.send(1, b"behind");
        bench.say(1, DEVICE_REMOVE, 0);
        assert_eq!(events(&mut console), [Event::Removed(ONE)]);
    }
}
