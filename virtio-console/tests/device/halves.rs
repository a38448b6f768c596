//! Ports taken apart, for several CPUs.

use std::thread;

use crate::bench::{Driver, ONE, PORT_OPEN, SOON, Setup, TWO, ZERO, open};

use virtio_console::{ConsoleError, Event, PortId};

#[test]
fn halves_are_taken_in_order_and_once() {
    let (_bench, mut console) = open(Setup::MULTI, &[0, 1, 2]);
    let mut halves = console.halves().unwrap();
    assert!(halves.take_control().is_some());
    assert!(halves.take_control().is_none());
    let (reader, writer) = halves.take(ONE).unwrap();
    assert_eq!((reader.id(), writer.id()), (ONE, ONE));
    assert_eq!((reader.queue().get(), writer.queue().get()), (4, 5));
    assert_eq!(halves.take(ONE).unwrap_err(), ConsoleError::PortTaken(ONE));
    let (reader, writer) = halves.take(ZERO).unwrap();
    assert_eq!((reader.queue().get(), writer.queue().get()), (0, 1));
    assert_eq!(halves.take(ZERO).unwrap_err(), ConsoleError::PortTaken(ZERO));
    let far = PortId::new(3);
    assert_eq!(halves.take(far).unwrap_err(), ConsoleError::PortNotDriven { port: far, driven: 3 });
    assert!(halves.take(TWO).is_ok());
    // Passed by is gone.
    let mut halves = console.halves().unwrap();
    assert!(halves.take(TWO).is_ok());
    assert_eq!(halves.take(ONE).unwrap_err(), ConsoleError::PortTaken(ONE));
}

#[test]
fn what_is_unread_survives_the_loan() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    bench.send(1, b"abcdef");
    let mut bytes = [0; 2];
    let (mut reader, _) = console.halves().unwrap().take(ONE).unwrap();
    assert_eq!((reader.read(&mut bytes), &bytes), (Ok(2), b"ab"));
    assert_eq!((console.port(ONE).unwrap().read(&mut bytes), &bytes), (Ok(2), b"cd"));
    let (mut reader, _) = console.port(ONE).unwrap().split();
    assert_eq!((reader.read_within(&mut bytes, SOON), &bytes), (Ok(2), b"ef"));
}

/// A port closes while its reader, on another CPU, waits: whoever reads the messages sees it, and the reader hears of it.
#[test]
fn each_half_on_a_cpu_of_its_own() {
    let (bench, mut console): (_, Driver) = open(Setup::MULTI, &[0, 1]);
    // Nobody's clock runs away: the reader waits for as long as it takes.
    bench.hal.set_tick(core::time::Duration::ZERO);
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap();
    let (mut reader, mut writer) = halves.take(ONE).unwrap();
    bench.send(1, b"one ");
    thread::scope(|cpus| {
        let reads = cpus.spawn(move || {
            let mut all: Vec<u8> = vec![];
            let mut bytes = [0; 3];
            loop {
                match reader.read_within(&mut bytes, SOON) {
                    Ok(0) => return all,
                    Ok(len) => all.extend(&bytes[..len]),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let writes = cpus.spawn(move || {
            for _ in 0..20 {
                writer.write_all(b"written ").unwrap();
            }
            writer.flush().unwrap();
        });
        writes.join().unwrap();
        bench.send(1, b"two");
        bench.say(1, PORT_OPEN, 0);
        assert_eq!(control.next_event(), Ok(Some(Event::Closed(ONE))));
        assert_eq!(reads.join().unwrap(), b"one two");
    });
    assert_eq!(bench.heard(1), b"written ".repeat(20));
}
