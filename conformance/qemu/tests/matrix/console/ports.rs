//! Several ports: which there are, which are open, and each by itself.

use std::thread;
use std::time::Instant;

use qemu_bench::{BenchHal, Device, Machine, SerialPort, Way};
use virtio::console::{Console, ConsoleError, Event, Options, PortId};

use super::{CROWD, ONE, PORTS, TWO, ZERO, down, read, text, until, up};
use crate::case::SOON;

const FIRST: PortId = PortId::new(1);
const SECOND: PortId = PortId::new(2);

/// What the device tells of its ports.
pub(crate) fn dialogue<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    assert!(console.is_multiport());
    assert_eq!(console.max_ports(), 4);
    for port in PORTS {
        console.wait_for(PortId::new(port.number), SOON).unwrap();
    }
    console.wait_open(ZERO, SOON).unwrap();
    // The names come after the ports.
    let end = Instant::now() + SOON;
    let [one, two] = [ONE, TWO].map(|port| port.called(&device.id).unwrap());
    while console.find(&two).is_none() {
        let _ = console.next_event().unwrap();
        assert!(Instant::now() < end, "no name");
    }
    assert_eq!(console.present().collect::<Vec<_>>(), [ZERO, FIRST, SECOND]);
    assert_eq!(console.find(&one), Some(FIRST));
    assert_eq!(console.find(&two), Some(SECOND));
    assert_eq!(console.find(&device.id), None);
    assert_eq!(console.name(FIRST).map(|name| name.as_str()), Some(&*one));
    assert_eq!([ZERO, FIRST, SECOND].map(|port| console.is_console(port)), [true, false, false]);
    // Nobody is at the other end of the others.
    assert_eq!([ZERO, FIRST, SECOND].map(|port| console.is_open(port)), [true, false, false]);
    let missing = console.port(PortId::new(3)).map(drop);
    assert_eq!(missing, Err(ConsoleError::NoSuchPort(PortId::new(3))));
    assert!(console.port(PortId::new(77)).is_err());
    down(console);
}

/// Either end is opened and closed, and the other told.
pub(crate) fn open_and_closed<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    console.wait_for(FIRST, SOON).unwrap();
    let opened = || machine.is_opened(&device.id, &ONE).unwrap();
    let eventually = |open: bool| {
        let end = Instant::now() + SOON;
        while opened() != open {
            assert!(Instant::now() < end, "open at QEMU's side: {}", !open);
        }
    };
    assert!(!opened());
    for lap in 0..3 {
        console.open(FIRST).unwrap();
        eventually(true);
        let mut plug = machine.plug(&device.id, &ONE).unwrap();
        until(&mut console, Event::Opened(FIRST));
        assert!(console.is_open(FIRST));
        let sent = text(700, lap);
        plug.send(&sent).unwrap();
        assert!(read(&mut console, FIRST, 700) == sent, "lap {lap}");
        console.port(FIRST).unwrap().write_all(&sent).unwrap();
        assert!(plug.receive(700, SOON).unwrap() == sent, "lap {lap}");

        // The host hangs up; what it had said before can still be read.
        plug.send(b"bye").unwrap();
        assert_eq!(read(&mut console, FIRST, 1), b"b");
        drop(plug);
        until(&mut console, Event::Closed(FIRST));
        assert!(!console.is_open(FIRST));
        assert_eq!(read(&mut console, FIRST, 2), b"ye");
        let mut room = [0; 8];
        assert_eq!(console.port(FIRST).unwrap().read_within(&mut room, SOON).unwrap(), 0);
        let refused = console.port(FIRST).unwrap().write_all(b"anybody?").unwrap_err();
        assert_eq!(refused, ConsoleError::Closed(FIRST));

        console.close(FIRST).unwrap();
        eventually(false);
    }
    down(console);
}

/// Two ports at once, from as many threads, with a third that listens to the device.
pub(crate) fn side_by_side<W: Way>(machine: &Machine, device: &Device) {
    const LEN: usize = 20_000;
    let mut console = up::<W>(machine, device);
    for port in [FIRST, SECOND] {
        console.wait_for(port, SOON).unwrap();
        console.open(port).unwrap();
    }
    let mut plugs = [ONE, TWO].map(|port| machine.plug(&device.id, &port).unwrap());
    for port in [FIRST, SECOND] {
        console.wait_open(port, SOON).unwrap();
    }
    let mut halves = console.halves().unwrap();
    let _control = halves.take_control().unwrap();
    thread::scope(|scope| {
        // They stay connected to the end: QEMU forgets what it has not read of somebody who hangs up.
        for (number, plug) in [FIRST, SECOND].into_iter().zip(&mut plugs) {
            let (mut reader, mut writer) = halves.take(number).unwrap();
            let salt = number.get() as usize;
            let mut sending = plug.try_clone().unwrap();
            scope.spawn(move || sending.send(&text(LEN, salt)).unwrap());
            scope.spawn(move || {
                assert!(plug.receive(LEN, SOON).unwrap() == text(LEN, salt + 10), "port {number}");
            });
            scope.spawn(move || {
                writer.write_all(&text(LEN, salt + 10)).unwrap();
                writer.flush().unwrap();
            });
            scope.spawn(move || {
                let (mut bytes, mut filled) = (vec![0; LEN], 0);
                while filled < LEN {
                    let more = reader.read_within(&mut bytes[filled..], SOON).unwrap();
                    assert_ne!(more, 0, "port {number} was closed after {filled} bytes");
                    filled += more;
                }
                assert!(bytes == text(LEN, salt), "port {number}");
            });
        }
    });
    down(console);
}

/// QEMU tells of all ports at once, and drops what there is no buffer for: none of them may be lost.
pub(crate) fn crowd<W: Way>(machine: &Machine, device: &Device) {
    let mut console: Console<_, BenchHal, &'static [u8], 31> =
        Console::with_options(W::open(machine, device), machine.hal(), Options::default()).unwrap();
    assert_eq!(console.max_ports(), 31);
    for port in CROWD {
        console.wait_for(PortId::new(port.number), SOON).unwrap();
    }
    let end = Instant::now() + SOON;
    let named = |port: &&SerialPort| port.name.is_some();
    for port in CROWD.iter().filter(named) {
        let name = port.called(&device.id).unwrap();
        while console.find(&name) != Some(PortId::new(port.number)) {
            let _ = console.next_event().unwrap();
            assert!(Instant::now() < end, "{name} has not come");
        }
    }
    let there: Vec<_> = console.present().map(PortId::get).collect();
    assert_eq!(there, CROWD.iter().map(|port| port.number).collect::<Vec<_>>());
    let (last, number) = (CROWD[CROWD.len() - 1], PortId::new(30));
    console.open(number).unwrap();
    let mut plug = machine.plug(&device.id, &last).unwrap();
    console.wait_open(number, SOON).unwrap();
    console.port(number).unwrap().write_all(b"from the last").unwrap();
    assert_eq!(plug.receive(13, SOON).unwrap(), b"from the last");
    drop(plug);
    until(&mut console, Event::Closed(number));
    down(console);
}

/// A driver for fewer ports than there are: it says so, and those that it has work.
pub(crate) fn few_of_many<W: Way>(machine: &Machine, device: &Device) {
    let mut console: Console<_, BenchHal, &'static [u8], 2> =
        Console::with_options(W::open(machine, device), machine.hal(), Options::default()).unwrap();
    let (mut declined, name) = (Vec::new(), CROWD[1].called(&device.id).unwrap());
    let end = Instant::now() + SOON;
    while declined.len() < CROWD.len() - 2 || console.find(&name).is_none() {
        match console.next_event() {
            Err(ConsoleError::PortNotDriven { port, driven }) => {
                assert_eq!(driven, 2);
                declined.push(port.get());
            }
            other => drop(other.unwrap()),
        }
        assert!(Instant::now() < end, "{declined:?}");
    }
    assert_eq!(declined, CROWD[2..].iter().map(|port| port.number).collect::<Vec<_>>());
    console.open(FIRST).unwrap();
    let mut plug = machine.plug(&device.id, &CROWD[1]).unwrap();
    console.wait_open(FIRST, SOON).unwrap();
    plug.send(b"hello").unwrap();
    assert_eq!(read(&mut console, FIRST, 5), b"hello");
    drop(plug);
    until(&mut console, Event::Closed(FIRST));
    down(console);
}

/// Brought up again on the same transport; ports are announced anew.
pub(crate) fn recovered<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    console.wait_for(SECOND, SOON).unwrap();
    let mut console = console.recover().unwrap();
    console.wait_for(SECOND, SOON).unwrap();
    console.open(SECOND).unwrap();
    let mut plug = machine.plug(&device.id, &TWO).unwrap();
    console.wait_open(SECOND, SOON).unwrap();
    plug.send(b"again").unwrap();
    assert_eq!(read(&mut console, SECOND, 5), b"again");
    console.port(SECOND).unwrap().write_all(b"yes").unwrap();
    assert_eq!(plug.receive(3, SOON).unwrap(), b"yes");
    down(console);
}
