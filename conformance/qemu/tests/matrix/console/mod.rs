//! Consoles (VIRTIO 1.4 §5.3), by their driver: what is written arrives at the other end of the port's socket, and the other
//! way round.

mod awaited;
mod bytes;
mod emergency;
mod offers;
mod ports;
mod unplugged;

use std::time::Instant;

use qemu_bench::{BenchHal, Device, Kind, Machine, Rings, SerialPort, Way};
use virtio::Transport;
use virtio::console::{Console, ConsoleError, Event, PortId};

use crate::case::{Group, SOON};
use crate::fronts::Special;

/// The ports of a console of the bench.
pub(crate) const PORTS: &[SerialPort] = &[SerialPort::CONSOLE, ONE, TWO];
const ONE: SerialPort = SerialPort::named(1, "one");
const TWO: SerialPort = SerialPort::named(2, "two");
/// More than room for them.
pub(crate) const ROOM: &str = ",max_ports=4";

/// Many ports, with numbers left out, of which some have no name.
const CROWD: &[SerialPort] = &[
    SerialPort::CONSOLE,
    SerialPort::named(1, "1"),
    SerialPort::named(2, "2"),
    SerialPort::named(3, "3"),
    SerialPort::named(4, "4"),
    SerialPort { number: 5, name: None, console: false },
    SerialPort::named(6, "6"),
    SerialPort::named(7, "7"),
    SerialPort::named(8, "8"),
    SerialPort { number: 9, name: None, console: true },
    SerialPort::named(10, "10"),
    SerialPort::named(11, "11"),
    SerialPort::named(12, "12"),
    SerialPort::named(13, "13"),
    SerialPort::named(14, "14"),
    SerialPort::named(15, "15"),
    SerialPort::named(16, "16"),
    SerialPort::named(17, "17"),
    SerialPort::named(18, "18"),
    SerialPort::named(19, "19"),
    SerialPort::named(24, "24"),
    SerialPort::named(30, "30"),
];

pub(crate) const SPECIALS: &[Special] = &[
    Special::new("console-single", Kind::Console, ",max_ports=1").ports(&[SerialPort::CONSOLE]),
    Special::new("console-speechless", Kind::Console, ",max_ports=2,emergency-write=off")
        .ports(&[SerialPort::CONSOLE]),
    Special::new("console-crowd", Kind::Console, "").ports(CROWD),
];

const ZERO: PortId = PortId::new(0);

/// A console of the bench.
type Plain<W> = Console<<W as Way>::Transport, BenchHal>;

/// What is to be checked of a console.
pub(crate) fn cases<W: Way>(group: &mut Group, device: &Device) {
    type Check = fn(&Machine, &Device);
    let checks: &[(&str, Check)] = match device.id.as_str() {
        "console-single" => &[
            ("console single", offers::single::<W>),
            ("console single bytes", bytes::both_ways::<W>),
            ("console single emergency", emergency::before_anything::<W>),
        ],
        "console-speechless" => &[("console speechless", emergency::refused::<W>)],
        "console-crowd" => {
            &[("console crowd", ports::crowd::<W>), ("console crowd, few of them", ports::few_of_many::<W>)]
        }
        _ => &[
            ("console bytes", bytes::both_ways::<W>),
            ("console buffers", bytes::owned::<W>),
            ("console traits", bytes::traits::<W>),
            ("console ports", ports::dialogue::<W>),
            ("console ports open and closed", ports::open_and_closed::<W>),
            ("console ports side by side", ports::side_by_side::<W>),
            ("console awaited", awaited::both_ways::<W>),
            ("console emergency", emergency::before_anything::<W>),
            ("console unplugged", unplugged::unplugged::<W>),
            ("console unplugged in mid-read", unplugged::in_mid_read::<W>),
            ("console recovered", ports::recovered::<W>),
            ("console offers", offers::all::<W>),
        ],
    };
    for (what, check) in checks {
        group.case(what, &device.id, *check);
    }
}

/// Brings a console up, which has the rings that it was made with.
fn up<W: Way>(machine: &Machine, device: &Device) -> Plain<W> {
    let console = Console::new(W::open(machine, device), machine.hal()).unwrap();
    assert_eq!(Rings::of(console.features()), device.rings.features());
    let info = console.transport_info().unwrap();
    assert_eq!((info.name, info.version), W::INFO);
    console
}

/// Takes it down; it has to read as reset then.
fn down<T: Transport, const N: usize>(console: Console<T, BenchHal, &'static [u8], N>) {
    let transport = console.dismantle().expect("a reset that is confirmed");
    assert!(transport.status().is_empty());
}

/// So many bytes, of which no run is like another.
fn text(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 253 + at / 253 * 3 + salt * 41) as u8).collect()
}

/// Events until this one has come; what came before it, too.
fn until<T: Transport, const N: usize>(
    console: &mut Console<T, BenchHal, &'static [u8], N>,
    wanted: Event,
) -> Vec<Event> {
    let mut events = Vec::new();
    let end = Instant::now() + SOON;
    while events.last() != Some(&wanted) {
        events.extend(console.next_event().unwrap());
        assert!(Instant::now() < end, "{wanted:?} has not come: {events:?}");
    }
    events
}

/// So many bytes from a port.
fn read<T: Transport, const N: usize>(
    console: &mut Console<T, BenchHal, &'static [u8], N>,
    port: PortId,
    len: usize,
) -> Vec<u8> {
    let (mut bytes, mut filled) = (vec![0; len], 0);
    while filled < len {
        let mut port = console.port(port).unwrap();
        match port.read_within(&mut bytes[filled..], SOON) {
            Ok(0) | Err(ConsoleError::TimedOut { .. }) => break,
            Ok(more) => filled += more,
            Err(other) => panic!("{other}"),
        }
    }
    bytes.truncate(filled);
    bytes
}
