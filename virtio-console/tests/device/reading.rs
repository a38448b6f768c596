//! What a port receives.

use crate::bench::{Bench, DEVICE_REMOVE, ONE, PORT_OPEN, SOON, Setup, ZERO, open};

use virtio_console::{ConsoleError, Event, PortId};
use virtio_core::{Error, Misbehaved, QueueIndex};
use virtio_testkit::Lie;

fn read(bench: &Bench, console: &mut crate::bench::Driver, port: PortId, room: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; room];
    let len = console.port(port).unwrap().read(&mut bytes).unwrap();
    assert!(bytes[len..].iter().all(|byte| *byte == 0xee), "{:?}", bench.device);
    bytes.truncate(len);
    bytes
}

// shows: console.op.1
#[test]
fn reads_of_any_length_on_modern_and_legacy() {
    for (setup, port) in [(Setup::SINGLE, 0), (Setup::MULTI, 0), (Setup::MULTI, 1), (Setup::MULTI, 2)] {
        for legacy in [false, true] {
            let (bench, mut console) = if setup.ports.is_some() {
                open(Setup { legacy, ..setup }, &[port])
            } else {
                open(Setup { legacy, ..setup }, &[])
            };
            let (id, number) = (PortId::new(port), u16::try_from(port).unwrap());
            assert_eq!(read(&bench, &mut console, id, 8), []);
            bench.send(number, b"hello, world");
            assert_eq!(read(&bench, &mut console, id, 0), []);
            // A small slice leaves the rest for the next one.
            assert_eq!(read(&bench, &mut console, id, 1), b"h");
            assert_eq!(read(&bench, &mut console, id, 4), b"ello");
            assert_eq!(read(&bench, &mut console, id, 100), b", world");
            assert_eq!(read(&bench, &mut console, id, 100), []);
            // A large one takes what several buffers hold.
            bench.send(number, &[1; 4096]);
            bench.send(number, b"end");
            let all = read(&bench, &mut console, id, 5000);
            assert_eq!(all, [&[1; 4096][..], b"end"].concat());
            console.port(id).unwrap().read(&mut [0]).unwrap();
            assert_eq!(bench.device.held(if port == 0 { 0 } else { 2 + 2 * number }), 2);
        }
    }
}

#[test]
fn buffers_never_run_out() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    // So many that the ring's indices wrap; under Miri that would take too long.
    let rounds: u32 = if cfg!(miri) { 20 } else { 40_000 };
    for round in 0..rounds {
        let sent = round.to_le_bytes();
        bench.send(0, &sent);
        bench.send(0, &sent[..2]);
        let mut bytes = [0; 6];
        let mut port = console.port(ZERO).unwrap();
        assert_eq!(port.read(&mut bytes[..3]), Ok(3));
        assert_eq!(port.read(&mut bytes[3..]), Ok(3));
        assert_eq!((&bytes[..4], &bytes[4..]), (&sent[..], &sent[..2]));
    }
}

#[test]
fn bytes_are_seen_where_they_are() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    let mut port = console.port(ZERO).unwrap();
    assert_eq!(port.peek(), Ok(&[][..]));
    port.consume(3);
    bench.send(0, b"one two");
    assert_eq!(port.peek(), Ok(&b"one two"[..]));
    port.consume(4);
    assert_eq!(port.peek(), Ok(&b"two"[..]));
    assert_eq!(bench.device.held(0), 1);
    port.consume(usize::MAX);
    assert_eq!(bench.device.held(0), 2, "an emptied buffer goes back at once");
    assert_eq!(port.peek(), Ok(&[][..]));
}

/// A kick for each half of the buffers, not for each buffer.
#[test]
fn buffers_go_back_in_batches() {
    let bench = Setup::SINGLE.build();
    let options = virtio_console::Options { buffers: 8, ..Default::default() };
    let (transport, hal) = (bench.device.transport(), bench.hal.clone());
    let mut console = crate::bench::Driver::with_options(transport, hal, options).unwrap();
    for _ in 0..6 {
        bench.send(0, b"x");
    }
    let mut port = console.port(ZERO).unwrap();
    for held in [2, 2, 2, 6, 6, 6] {
        assert_eq!(port.read(&mut [0]), Ok(1));
        assert_eq!(bench.device.held(0), held);
    }
    assert_eq!(port.read(&mut [0]), Ok(0));
    assert_eq!(bench.device.held(0), 8);
}

#[test]
fn empty_and_overstated_buffers_are_no_harm() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    for _ in 0..10 {
        bench.send(0, b"");
        bench.send(0, b"x");
        assert_eq!(read(&bench, &mut console, ZERO, 8), b"x");
        bench.send(0, b"");
        assert_eq!(read(&bench, &mut console, ZERO, 8), []);
    }
    // It can claim no more than the buffer holds.
    bench.device.complete_claiming(0, 0, &[3; 4096], u32::MAX);
    assert_eq!(read(&bench, &mut console, ZERO, 5000), [3; 4096]);
    bench.device.complete_claiming(0, 0, b"not counted", 3);
    assert_eq!(read(&bench, &mut console, ZERO, 8), b"not");
}

#[test]
fn waiting_ends_with_bytes_or_in_time() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    let mut port = console.port(ZERO).unwrap();
    let mut bytes = [0; 8];
    assert_eq!(port.read_within(&mut [], SOON), Ok(0));
    let late = Err(ConsoleError::TimedOut { port: ZERO, done: 0 });
    assert_eq!(port.read_within(&mut bytes, SOON), late);
    // Nothing is lost by it, and the device is not taken down.
    let device = bench.device.clone();
    let mut looks = 0;
    bench.hal.on_relax(move || {
        looks += 1;
        if looks == 5 {
            device.send(0, b"at last");
        }
    });
    assert_eq!(port.read_within(&mut bytes, SOON), Ok(7));
    assert_eq!(&bytes[..7], b"at last");
    bench.device.needs_reset();
    let given_up = Err(ConsoleError::Core(Misbehaved::NeedsReset.into()));
    assert_eq!(port.read_within(&mut bytes, SOON), given_up);
}

/// Whoever waits reads the control messages himself: he need not be told.
#[test]
fn a_port_that_closes_in_mid_read() {
    let (bench, mut console) = open(Setup::MULTI, &[0, 1]);
    let mut port = console.port(ONE).unwrap();
    assert!(port.is_open());
    let (device, close) = (bench.device.clone(), bench.wire((1, PORT_OPEN, 0), &[]));
    let mut looks = 0;
    bench.hal.on_relax(move || {
        looks += 1;
        if looks == 3 {
            // Its last words, and what is known of it.
            device.send(4, b"bye");
            device.send(2, &close);
        }
    });
    let mut bytes = [0; 8];
    assert_eq!(port.read_within(&mut bytes[..2], SOON), Ok(2));
    assert_eq!(port.read_within(&mut bytes[2..], SOON), Ok(1));
    assert_eq!(&bytes[..3], b"bye");
    assert_eq!(port.read_within(&mut bytes, SOON), Ok(0), "closed");
    assert!(!port.is_open());
    assert_eq!(port.read(&mut bytes), Ok(0));
    assert_eq!(console.next_event(), Ok(Some(Event::Closed(ONE))));
    // It opens again, and the other port has never minded.
    bench.say(1, PORT_OPEN, 1);
    bench.send(1, b"back");
    bench.send(0, b"mine");
    assert_eq!(read(&bench, &mut console, ONE, 8), b"back");
    assert_eq!(read(&bench, &mut console, ZERO, 8), b"mine");
}

#[test]
fn a_port_that_goes_in_mid_read() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let mut port = console.port(ONE).unwrap();
    let (device, remove) = (bench.device.clone(), bench.wire((1, DEVICE_REMOVE, 0), &[]));
    let mut once = Some(());
    bench.hal.on_relax(move || {
        if once.take().is_some() {
            device.send(2, &remove);
        }
    });
    let gone = ConsoleError::NoSuchPort(ONE);
    assert_eq!(port.read_within(&mut [0; 8], SOON), Err(gone));
    assert_eq!(port.read(&mut [0; 8]), Err(gone));
    assert_eq!(port.write(b"x"), Err(gone));
    assert_eq!(console.port(ONE).unwrap_err(), gone);
    assert_eq!(console.next_event(), Ok(Some(Event::Removed(ONE))));
}

#[test]
fn reading_without_waiting_learns_that_the_port_is_closed() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let mut port = console.port(ONE).unwrap();
    assert_eq!((port.read(&mut [0; 8]), port.is_open()), (Ok(0), true));
    bench.send(1, b"bye");
    bench.say(1, PORT_OPEN, 0);
    assert_eq!((port.read(&mut [0; 8]), port.is_open()), (Ok(3), true));
    assert_eq!((port.read(&mut [0; 8]), port.is_open()), (Ok(0), false));
}

#[test]
fn a_broken_queue_is_its_ports_alone() {
    let (bench, mut console) = open(Setup::MULTI, &[0, 1]);
    bench.device.lie(4, Lie::UsedId { id: 8, len: 1 });
    let lie = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(4), id: 8 };
    let broken = Err(ConsoleError::Core(lie.into()));
    assert_eq!(console.port(ONE).unwrap().read(&mut [0; 4]), broken);
    assert_eq!(console.port(ONE).unwrap().read_within(&mut [0; 4], SOON), broken);
    bench.send(0, b"fine");
    assert_eq!(read(&bench, &mut console, ZERO, 8), b"fine");
    // Removed and added: its queue is as broken as before, and the others go on.
    bench.say(1, DEVICE_REMOVE, 0);
    assert_eq!(console.next_event(), Ok(Some(Event::Removed(ONE))));
    bench.plug(1);
    assert_eq!(console.next_event(), Ok(Some(Event::Added(ONE))));
    bench.send(0, b"fine");
    assert_eq!(read(&bench, &mut console, ZERO, 8), b"fine");
    let mut console = console.recover().unwrap();
    bench.plug(1);
    console.wait_open(ONE, SOON).unwrap();
    bench.send(1, b"again");
    assert_eq!(read(&bench, &mut console, ONE, 8), b"again");
}

#[test]
fn what_was_read_before_a_fault_is_answered_first() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    bench.send(0, b"good");
    bench.device.lie(0, Lie::UsedId { id: 99, len: 1 });
    let mut port = console.port(ZERO).unwrap();
    assert_eq!(port.read(&mut [0; 8]), Ok(4));
    let error = port.read(&mut [0; 8]).unwrap_err();
    assert!(matches!(error, ConsoleError::Core(Error::Misbehaved(_))), "{error}");
}
