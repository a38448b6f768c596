//! A console device made of Rust.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Mutex;

use virtio_console::abi::{F_EMERG_WRITE, F_MULTIPORT, F_SIZE, receiveq, transmitq};
use virtio_console::{Console, Event, PortId};
use virtio_core::{DeviceId, Features};
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, Request, TestHal};

pub(crate) const ZERO: PortId = PortId::new(0);
pub(crate) const ONE: PortId = PortId::new(1);
pub(crate) const TWO: PortId = PortId::new(2);
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Control messages (VIRTIO 1.4 §5.3.6.2).
pub(crate) const DEVICE_READY: u16 = 0;
pub(crate) const DEVICE_ADD: u16 = 1;
pub(crate) const DEVICE_REMOVE: u16 = 2;
pub(crate) const PORT_READY: u16 = 3;
pub(crate) const CONSOLE_PORT: u16 = 4;
pub(crate) const RESIZE: u16 = 5;
pub(crate) const PORT_OPEN: u16 = 6;
pub(crate) const PORT_NAME: u16 = 7;

pub(crate) type Driver = Console<FakeTransport, TestHal>;

/// A control message: port, event, value.
pub(crate) type Said = (u32, u16, u16);

/// What a device is like.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// `None`: no `MULTIPORT`.
    pub(crate) ports: Option<u32>,
    pub(crate) legacy: bool,
    /// Keeps what is written to ports, until the test says so.
    pub(crate) holds: bool,
    /// Keeps what it is told.
    pub(crate) deaf: bool,
    pub(crate) cols: u16,
    pub(crate) rows: u16,
    pub(crate) features: Features,
}

impl Setup {
    pub(crate) const SINGLE: Self = Self {
        ports: None,
        legacy: false,
        holds: false,
        deaf: false,
        cols: 80,
        rows: 25,
        features: F_SIZE.union(F_EMERG_WRITE),
    };
    pub(crate) const MULTI: Self = Self { ports: Some(3), ..Self::SINGLE };

    pub(crate) fn builder(self, told: &Arc<Mutex<Vec<Said>>>, heard: &Heard) -> Builder {
        let max = self.ports.unwrap_or(0);
        let numbers = |a: u16| if self.legacy { a.to_ne_bytes() } else { a.to_le_bytes() };
        let [max_le, max_ne] = [max.to_le_bytes(), max.to_ne_bytes()];
        let max_bytes = if self.legacy { max_ne } else { max_le };
        let config = [&numbers(self.cols)[..], &numbers(self.rows), &max_bytes, &[0; 4]].concat();
        let multi = if self.ports.is_some() { F_MULTIPORT } else { Features::empty() };
        let builder = FakeDevice::builder(DeviceId::CONSOLE)
            .features(Features::VERSION_1 | self.features | multi)
            .config(config);
        // More ports than are driven have queues that nobody sets up.
        let mut builder = (0..max.clamp(1, 40)).fold(builder, |builder, port| {
            let port = u16::try_from(port).unwrap();
            let heard = heard.clone();
            builder.queue(receiveq(port), 8, only_writable).queue(transmitq(port), 16, move |request| {
                assert_eq!(request.writable, 0, "a device-writable buffer in a transmitq");
                heard.lock().unwrap().entry(port).or_default().extend(request.readable);
                if self.holds { Reply::Hold } else { Reply::Write(vec![]) }
            })
        });
        if self.ports.is_some() {
            let told = told.clone();
            builder = builder.queue(2, 16, only_writable).queue(3, 32, move |request| {
                assert_eq!((request.writable, request.buffers.len()), (0, 1));
                told.lock().unwrap().push(said(&request.readable, self.legacy));
                if self.deaf { Reply::Hold } else { Reply::Write(vec![]) }
            });
        }
        if self.legacy { builder.legacy() } else { builder }
    }

    pub(crate) fn build(self) -> Bench {
        let hal = TestHal::new();
        let (told, heard) = (Arc::default(), Heard::default());
        let device = self.builder(&told, &heard).build(&hal);
        Bench { device, hal, told, heard, legacy: self.legacy }
    }
}

fn only_writable(request: Request) -> Reply {
    assert!(request.readable.is_empty(), "a device-readable buffer in a receiveq");
    assert!(request.writable > 0);
    Reply::Hold
}

fn said(bytes: &[u8], legacy: bool) -> Said {
    let bytes: [u8; 8] = bytes.try_into().unwrap();
    let [a, b, c, d, e, f, g, h] = bytes;
    if legacy {
        (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]), u16::from_ne_bytes([g, h]))
    } else {
        (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]))
    }
}

/// What was written to each port.
pub(crate) type Heard = Arc<Mutex<BTreeMap<u16, Vec<u8>>>>;

/// A device, and what it was told.
pub(crate) struct Bench {
    pub(crate) device: FakeDevice,
    told: Arc<Mutex<Vec<Said>>>,
    heard: Heard,
    pub(crate) legacy: bool,
    /// Last: it looks for what was forgotten.
    pub(crate) hal: TestHal,
}

impl Bench {
    pub(crate) fn drive(&self) -> Driver {
        Console::new(self.device.transport(), self.hal.clone()).unwrap()
    }

    /// A control message as bytes.
    pub(crate) fn wire(&self, (port, event, value): Said, rest: &[u8]) -> Vec<u8> {
        if self.legacy {
            [&port.to_ne_bytes()[..], &event.to_ne_bytes(), &value.to_ne_bytes(), rest].concat()
        } else {
            [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes(), rest].concat()
        }
    }

    /// Says something about a port.
    pub(crate) fn say(&self, port: u32, event: u16, value: u16) {
        self.say_with(port, event, value, &[]);
    }

    pub(crate) fn say_with(&self, port: u32, event: u16, value: u16, rest: &[u8]) {
        let message = self.wire((port, event, value), rest);
        assert!(self.device.send(2, &message), "no buffer for a control message");
    }

    /// A size, as a RESIZE carries it.
    pub(crate) fn size(&self, cols: u16, rows: u16) -> Vec<u8> {
        if self.legacy {
            [cols.to_ne_bytes(), rows.to_ne_bytes()].concat()
        } else {
            [cols.to_le_bytes(), rows.to_le_bytes()].concat()
        }
    }

    /// What the device was told since the last time.
    pub(crate) fn told(&self) -> Vec<Said> {
        core::mem::take(&mut *self.told.lock().unwrap())
    }

    /// What was written to a port since the last time.
    pub(crate) fn heard(&self, port: u16) -> Vec<u8> {
        self.heard.lock().unwrap().remove(&port).unwrap_or_default()
    }

    /// Sends bytes to the guest, by way of a port.
    pub(crate) fn send(&self, port: u16, bytes: &[u8]) {
        assert!(self.device.send(receiveq(port), bytes), "no buffer for port {port}");
    }

    /// Adds a port and opens its other end.
    pub(crate) fn plug(&self, port: u32) {
        self.say(port, DEVICE_ADD, 0);
        self.say(port, PORT_OPEN, 1);
    }
}

/// What a device has to say.
pub(crate) fn events(console: &mut Driver) -> Vec<Event> {
    core::iter::from_fn(|| console.next_event().unwrap()).collect()
}

/// A bench with these ports open, and all said about them.
pub(crate) fn open(setup: Setup, ports: &[u32]) -> (Bench, Driver) {
    let bench = setup.build();
    let mut console = bench.drive();
    for port in ports {
        bench.plug(*port);
    }
    events(&mut console);
    bench.told();
    (bench, console)
}
