//! A console device that says and sends what libFuzzer likes: control messages of any length about any port, bytes nobody asked
//! for, lengths that are not true, the ring's rules broken, room that is never made. A port's bytes are its own; everything else
//! is an event or an error by name; and a device whose rings are in order is still a console in the end.
#![no_main]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use virtio_console::abi::{F_EMERG_WRITE, F_MULTIPORT, F_SIZE, receiveq, transmitq};
use virtio_console::{Bells, Console, ConsoleError, PortId};
use virtio_core::{DeviceId, Features};
use virtio_testkit::{FakeDevice, FakeTransport, Lie, Reply, TestHal};

/// Ports that have queues; the driver makes those of four.
const PORTS: u16 = 6;
const CONTROL: u16 = 2;

type Driver = Console<FakeTransport, TestHal, &'static [u8], 4>;

/// What is sent by a port: nobody else's.
fn mark(port: u16) -> u8 {
    0x40 + port as u8
}

/// The bytes of the script; zeros when there are no more.
struct Script<'s>(&'s [u8]);

impl Script<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn port(&mut self) -> u16 {
        u16::from(self.next()) % PORTS
    }
}

/// Bytes that were read from a port.
fn own(port: u16, bytes: &[u8]) {
    assert!(bytes.iter().all(|byte| [0, mark(port)].contains(byte)), "port {port}: {bytes:?}");
}

fuzz_target!(|input: &[u8]| {
    let [how, max, script @ ..] = input else { return };
    let hal = TestHal::new();
    // The clock does not run away from those who wait in vain.
    hal.set_tick(Duration::from_millis(1));
    let multiport = how & 2 != 0;
    let own_features = if multiport { F_MULTIPORT | F_SIZE | F_EMERG_WRITE } else { F_SIZE };
    let config = [80, 0, 25, how >> 4, *max, 0, 0, 0, 0, 0, 0, 0];
    let keeps = how & 4 != 0;
    let builder = FakeDevice::builder(DeviceId::CONSOLE)
        .features(Features::VERSION_1 | own_features)
        .config(config)
        .queue(CONTROL, 16, |_| Reply::Hold)
        .queue(CONTROL + 1, 8, move |_| if keeps { Reply::Hold } else { Reply::Write(vec![]) });
    let builder = (0..PORTS).fold(builder, |builder, port| {
        builder
            .event_queue(receiveq(port), 8)
            .queue(transmitq(port), 16, move |_| if keeps { Reply::Hold } else { Reply::Write(vec![]) })
    });
    let device = if how & 1 != 0 { builder.legacy() } else { builder }.build(&hal);
    let Ok(mut console) = Driver::with_options(device.transport(), hal.clone(), Default::default()) else {
        assert!(multiport && *max == 0, "it is brought up");
        return;
    };
    assert!(!multiport || *max > 0);
    let mut script = Script(script);
    // Since it was last reset, and ever.
    let (mut honest, mut lied) = (true, false);
    while !script.is_over() {
        match script.next() % 12 {
            0..=3 => say(&device, &mut script),
            4 => send(&device, &mut script),
            5 if lie(&device, &mut script) => (honest, lied) = (false, true),
            6 => make_room(&device, &mut script),
            7 => drop(console.next_event()),
            8 => use_port(&mut console, &mut script),
            9 => halves(&mut console, &mut script),
            10 => awaited(&mut console, &mut script),
            11 => {
                console = console.recover().unwrap();
                honest = true;
            }
            _ => {}
        }
        for port in console.present() {
            assert!(port.get() < 4 && port.get() < console.max_ports());
        }
    }
    if honest {
        still_a_console(&device, console, multiport);
    }
    if lied {
        // The device holds what it said it had used: to its side of the ring, the driver then gives the same twice.
        drop(hal.take_faults());
    }
});

/// A control message, cut anywhere, or a byte too long.
fn say(device: &FakeDevice, script: &mut Script<'_>) {
    let (port, event, value, cut) = (script.next(), script.next(), script.next(), script.next());
    // Most of them about ports that there may be, and of events that there are.
    let port = if port & 0x80 != 0 { u32::from(port) << 24 } else { u32::from(port) % 8 };
    let event = if event & 0x80 != 0 { u16::from(event) << 8 } else { u16::from(event) % 9 };
    let rest = [cut; 80];
    let message = [&port.to_ne_bytes()[..], &event.to_ne_bytes(), &u16::from(value & 1).to_ne_bytes(), &rest];
    let message = message.concat();
    let len = if cut & 1 != 0 { message.len() } else { usize::from(cut).min(message.len()) };
    if device.held(CONTROL) > 0 {
        match value >> 6 {
            3 => device.complete_claiming(CONTROL, 0, &message[..len], u32::MAX - u32::from(cut)),
            2 => device.complete_claiming(CONTROL, 0, &message, u32::from(cut)),
            _ => device.complete(CONTROL, 0, &message[..len]),
        }
    }
}

/// Bytes by way of a port, whether it is there or not.
fn send(device: &FakeDevice, script: &mut Script<'_>) {
    let (port, len, claim) = (script.port(), usize::from(script.next()) * 20, script.next());
    let bytes = vec![mark(port); len];
    if device.held(receiveq(port)) > 0 {
        match claim {
            0..=99 => device.complete(receiveq(port), 0, &bytes),
            100..=199 => device.complete_claiming(receiveq(port), 0, &bytes, u32::from(claim) * 30),
            _ => device.complete_claiming(receiveq(port), 0, &bytes, u32::MAX),
        }
    }
}

/// Breaks the rules of a queue. Answers whether there is such a queue.
fn lie(device: &FakeDevice, script: &mut Script<'_>) -> bool {
    let (queue, how) = (u16::from(script.next()) % (2 * PORTS + 2), script.next());
    if device.ring(queue).is_none() {
        return false;
    }
    device.lie(
        queue,
        match how % 4 {
            0 => Lie::UsedId { id: u32::from(how), len: 8 },
            1 => Lie::UsedIndex(u16::from(how) << 4),
            2 => Lie::OverwriteDescriptors(how),
            _ => Lie::Suppression { event: u16::from(how), flags: u16::from(how) },
        },
    );
    true
}

/// Uses what it keeps of what it was given to read, and says that it has written to it.
fn make_room(device: &FakeDevice, script: &mut Script<'_>) {
    let (queue, claim) = (transmitq(script.port()), script.next());
    for queue in [queue, CONTROL + 1] {
        if device.held(queue) > 0 {
            device.complete_claiming(queue, 0, &[], u32::from(claim));
        }
    }
}

fn use_port(console: &mut Driver, script: &mut Script<'_>) {
    let (number, room) = (script.port(), usize::from(script.next()) * 20);
    let id = PortId::new(number.into());
    let _ = console.size(id);
    let _ = if room & 4 != 0 { console.open(id) } else { console.close(id) };
    let _ = console.wait_for(id, Duration::from_millis(3));
    if let Some(name) = console.name(id) {
        let name = name.as_str();
        assert!(name.len() <= 64 && name.chars().all(|c| !c.is_control()), "{name:?}");
    }
    let Ok(mut port) = console.port(id) else { return };
    port.set_limit(Duration::from_millis(3));
    let mut bytes = vec![0xee; room];
    if let Ok(len) = port.read(&mut bytes) {
        own(number, &bytes[..len]);
        assert!(bytes[len..].iter().all(|byte| *byte == 0xee));
    }
    if let Ok(len) = port.read_within(&mut bytes, Duration::from_millis(3)) {
        own(number, &bytes[..len]);
    }
    if let Ok(there) = port.peek() {
        own(number, there);
        port.consume(room / 2);
    }
    if let Ok(len) = port.write(&bytes) {
        assert!(len <= room.min(2048));
    }
    if let Err(ConsoleError::TimedOut { done, .. }) = port.write_all(&bytes) {
        assert!(done < room);
    }
    let _ = port.submit(b"static");
    let _ = port.poll_sent();
    let _ = port.flush();
}

fn halves(console: &mut Driver, script: &mut Script<'_>) {
    let Ok(mut halves) = console.halves() else { return };
    let mut control = halves.take_control();
    for number in 0..4 {
        let Ok((mut reader, mut writer)) = halves.take(PortId::new(number.into())) else { break };
        let mut bytes = [0xee; 70];
        if let Ok(len) = reader.read(&mut bytes) {
            own(number, &bytes[..len]);
        }
        let _ = writer.write(&bytes);
        if script.next() & 1 != 0 {
            let _ = control.as_mut().map(|control| control.next_event());
        }
    }
}

/// Polls each future a few times, and drops it.
fn awaited(console: &mut Driver, script: &mut Script<'_>) {
    let bells = Bells::<4>::new();
    let number = script.port() % 4;
    let Ok(mut halves) = console.halves() else { return };
    if let Some(control) = halves.take_control() {
        let mut control = control.awaited(&bells).unwrap();
        for _ in 0..script.next() % 4 {
            let _ = few(control.next_event());
        }
    }
    let Ok((reader, writer)) = halves.take(PortId::new(number.into())) else { return };
    let (mut reader, mut writer) = (reader.awaited(&bells).unwrap(), writer.awaited(&bells).unwrap());
    let mut bytes = [0xee; 70];
    for _ in 0..3 {
        if let Some(Ok(len)) = few(reader.read(&mut bytes)) {
            own(number, &bytes[..len]);
        }
    }
    let _ = few(reader.opened());
    let _ = few(writer.write_all(&bytes));
    let _ = few(writer.send(b"static"));
    let _ = few(writer.flush());
}

fn few<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..3).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// Whatever was said and sent before: port 0 hears what is sent now, and has all its buffers.
fn still_a_console(device: &FakeDevice, mut console: Driver, multiport: bool) {
    let settle = |console: &mut Driver| {
        for queue in (0..2 * PORTS + 2).filter(|queue| queue % 2 == 1) {
            while device.held(queue) > 0 {
                device.complete(queue, 0, &[]);
            }
        }
        for _ in 0..100 {
            let _ = console.next_event();
        }
    };
    settle(&mut console);
    if multiport {
        assert_eq!(device.held(CONTROL), 16, "all buffers for messages are with the device");
        // Gone, if it was there, and new.
        for event in [2_u16, 1, 6] {
            let message = [&0_u32.to_ne_bytes()[..], &event.to_ne_bytes(), &1_u16.to_ne_bytes()].concat();
            assert!(device.send(CONTROL, &message));
            settle(&mut console);
        }
    }
    let mut port = console.port(PortId::new(0)).unwrap();
    let mut bytes = [0; 4096];
    while port.read(&mut bytes).unwrap() > 0 {}
    assert_eq!(device.held(0), 2);
    assert!(device.send(0, b"now"));
    assert_eq!((port.read(&mut bytes), &bytes[..3]), (Ok(3), &b"now"[..]));
    let before = device.held(1);
    assert_eq!(port.write(b"here"), Ok(4));
    assert!(device.held(1) <= before + 1);
}
