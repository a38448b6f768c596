//! What a port transmits, by copying.

use core::fmt::Write;

use crate::bench::{CONSOLE_PORT, DEVICE_ADD, ONE, PORT_OPEN, SOON, Setup, ZERO, events, open};

use virtio_console::{ConsoleError, PortId};
use virtio_core::{Misbehaved, QueueIndex};
use virtio_testkit::Lie;

// shows: console.op.2
#[test]
fn writes_of_any_length_on_modern_and_legacy() {
    for legacy in [false, true] {
        let (bench, mut console) = open(Setup { legacy, ..Setup::MULTI }, &[0, 1, 2]);
        for (port, number) in (0..3).map(|port| (PortId::new(port.into()), port)) {
            let mut port = console.port(port).unwrap();
            for len in [0, 1, 2, 255, 256, 257, 2047, 2048, 2049, 10_000] {
                let text: Vec<u8> = (1..=255).cycle().take(len).collect();
                port.write_all(&text).unwrap();
                assert_eq!(bench.heard(number), text);
                let some = port.write(&text).unwrap();
                assert_eq!((some, bench.heard(number).len()), (len.min(2048), len.min(2048)));
            }
            port.flush().unwrap();
        }
    }
}

#[test]
fn the_empty_text_is_written_without_a_request() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::SINGLE }, &[]);
    let mut port = console.port(ZERO).unwrap();
    assert_eq!(port.write(&[]), Ok(0));
    assert_eq!(port.write_all(&[]), Ok(()));
    let (empty, letter) = ("", "a");
    write!(port, "{empty}").unwrap();
    port.flush().unwrap();
    assert_eq!(bench.device.held(1), 0);
    write!(port, "{letter}-{:02}", 7).unwrap();
    assert_eq!(bench.heard(0), b"a-07");
}

#[test]
fn what_finds_no_room_waits_or_is_left() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::SINGLE }, &[]);
    let mut port = console.port(ZERO).unwrap();
    let text = [b'x'; 3000];
    assert_eq!(port.write(&text), Ok(2048), "eight copies of 256 bytes");
    assert_eq!(port.write(b"more"), Ok(0));
    port.set_limit(SOON);
    assert_eq!(port.write_all(b"more"), Err(ConsoleError::TimedOut { port: ZERO, done: 0 }));
    assert_eq!(port.flush(), Err(ConsoleError::TimedOut { port: ZERO, done: 0 }));
    // The device goes on where it was: slow is not dead.
    bench.device.complete(1, 0, &[]);
    bench.device.complete(1, 3, &[]);
    assert_eq!(port.write(&text), Ok(512));
    assert_eq!(port.write_all(b"none"), Err(ConsoleError::TimedOut { port: ZERO, done: 0 }));
    bench.device.complete(1, 0, &[]);
    // Two copies are due, and one fits: the error says how many bytes are on their way.
    assert_eq!(port.write_all(&text[..300]), Err(ConsoleError::TimedOut { port: ZERO, done: 256 }));
    bench.heard(0);

    let device = bench.device.clone();
    bench.hal.on_relax(move || {
        if device.held(1) > 0 {
            device.complete(1, 0, &[]);
        }
    });
    port.write_all(&text).unwrap();
    assert_eq!(bench.heard(0), text);
    assert!(bench.device.held(1) > 0);
    port.flush().unwrap();
    assert_eq!(bench.device.held(1), 0);
}

#[test]
fn a_limit_lasts_for_the_option() {
    let bench = Setup { holds: true, ..Setup::SINGLE }.build();
    let options = virtio_console::Options { limit: SOON, ..Default::default() };
    let (transport, hal) = (bench.device.transport(), bench.hal.clone());
    let mut console = crate::bench::Driver::with_options(transport, hal, options).unwrap();
    let before = virtio_core::Hal::now(&bench.hal).unwrap();
    assert!(console.port(ZERO).unwrap().write_all(&[0; 2049]).is_err());
    let waited = virtio_core::Hal::now(&bench.hal).unwrap() - before;
    assert!(waited >= SOON && waited < 5 * SOON, "{waited:?}");
}

// shows: console.op.legacy.2
#[test]
fn lengths_of_transmit_queues_mean_nothing() {
    let (bench, mut console) = open(Setup { legacy: true, holds: true, deaf: true, ..Setup::MULTI }, &[1]);
    while bench.device.held(3) > 0 {
        bench.device.complete_claiming(3, 0, &[], 0xdead_beef);
    }
    for _ in 0..40 {
        console.port(ONE).unwrap().write_all(b"text").unwrap();
        bench.device.complete_claiming(5, 0, &[], u32::MAX);
        console.open(ONE).unwrap();
        bench.device.complete_claiming(3, 0, &[], 77);
        console.close(ONE).unwrap();
        bench.device.complete_claiming(3, 0, &[], 1);
    }
    assert_eq!(console.port(ONE).unwrap().flush(), Ok(()));
    assert_eq!(events(&mut console), []);
}

#[test]
fn nothing_is_written_to_a_port_that_is_closed() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::MULTI }, &[]);
    bench.say(1, DEVICE_ADD, 0);
    let mut port = console.port(ONE).unwrap();
    let closed = ConsoleError::Closed(ONE);
    assert_eq!((port.write(b"x"), port.write_all(b"x")), (Err(closed), Err(closed)));
    assert_eq!((port.write(b""), port.flush()), (Ok(0), Ok(())));
    assert_eq!(write!(port, "x"), Err(core::fmt::Error));
    // A console is open, whatever else is said of it.
    bench.say(1, CONSOLE_PORT, 1);
    let mut port = console.port(ONE).unwrap();
    assert_eq!(port.write(b"x"), Ok(1));

    // Closed while somebody waits for room: he reads the message himself.
    let (device, close) = (bench.device.clone(), bench.wire((1, PORT_OPEN, 0), &[]));
    let mut once = Some(());
    bench.hal.on_relax(move || {
        if once.take().is_some() {
            device.send(2, &close);
        }
    });
    assert_eq!(port.write_all(&[0; 5000]), Err(closed));
    assert_eq!(port.flush(), Err(closed), "the rest is not waited for");
    while bench.device.held(5) > 0 {
        bench.device.complete(5, 0, &[]);
    }
    assert_eq!(port.flush(), Ok(()));
}

#[test]
fn a_broken_queue_is_named() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::SINGLE }, &[]);
    let mut port = console.port(ZERO).unwrap();
    port.write_all(b"x").unwrap();
    bench.device.lie(1, Lie::UsedId { id: 16, len: 0 });
    let lie = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(1), id: 16 };
    let broken = ConsoleError::Core(lie.into());
    assert_eq!(port.write(b"y"), Err(broken));
    assert_eq!(port.flush(), Err(broken));
    assert_eq!(port.write_all(b"z"), Err(broken));
    let mut console = console.recover().unwrap();
    console.port(ZERO).unwrap().write_all(b"again").unwrap();
    assert!(bench.heard(0).ends_with(b"again"));
}

#[test]
fn whoever_waits_for_a_device_that_has_given_up_is_told() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::SINGLE }, &[]);
    let mut port = console.port(ZERO).unwrap();
    port.write(b"x").unwrap();
    bench.device.needs_reset();
    assert_eq!(port.flush(), Err(ConsoleError::Core(Misbehaved::NeedsReset.into())));
}
