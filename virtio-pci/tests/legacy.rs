//! A legacy entropy source behind I/O ports, driven from its reset to its last request.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use core::time::Duration;
use std::sync::{Mutex, MutexGuard};

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::queue::QueueSpec;
use virtio_core::regs::{Mapped, Registers};
use virtio_core::transport::{InterruptStatus, Rings};
use virtio_core::{
    DeviceAddr, DeviceId, Error, Features, Incompatible, Misuse, PhysAddr, QueueIndex, Transport,
};
use virtio_pci::{
    BarAllocator, ConfigAccess, FunctionAddress, IoRange, LegacyTransport, Window, Windows, walk,
};
use virtio_testkit::{DeviceQueue, TestHal};

const OFFERED: u32 = 0x7900_0000;

/// The device: registers that react, and an ISR that reading clears.
#[derive(Debug)]
struct Ports {
    hal: TestHal,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue_size: u16,
    features: u32,
    page_number: u32,
    selected: u16,
    status: u8,
    isr: u8,
    queue: Option<DeviceQueue>,
    /// Writes to the notification register.
    kicks: usize,
    /// All register writes, and reads of the ISR.
    accesses: usize,
    /// The device stays as it is, whatever is written.
    ignores_resets: bool,
}

impl Ports {
    fn new(hal: &TestHal, queue_size: u16) -> Self {
        Self { hal: hal.clone(), state: Mutex::new(State { queue_size, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self) {
        let memory = self.hal.memory();
        let mut state = self.state();
        let State { queue: Some(queue), isr, .. } = &mut *state else { panic!("a kick without a queue") };
        while let Some(chain) = queue.pop(&memory).unwrap() {
            for buffer in chain.buffers.iter().filter(|buffer| buffer.writable) {
                let len = usize::try_from(buffer.len).unwrap();
                memory.write(buffer.address, &vec![0x5a; len]).unwrap();
            }
            queue.finish(&memory, &chain, u32::try_from(chain.writable()).unwrap()).unwrap();
            *isr |= 1;
        }
        if queue.event_idx() {
            // The next request is worth a notification.
            queue.set_avail_event(&memory, queue.taken()).unwrap();
        }
    }

    /// The rings as a legacy device computes them from the page number.
    fn rings(size: u16, page_number: u32) -> Rings {
        let descriptor = u64::from(page_number) * 4096;
        let driver = descriptor + 16 * u64::from(size);
        let device = (driver + 2 * u64::from(size) + 6).next_multiple_of(4096);
        Rings {
            size,
            descriptor: DeviceAddr::new(descriptor),
            driver: DeviceAddr::new(driver),
            device: DeviceAddr::new(device),
            notification_data: false,
            notif_config_data: false,
        }
    }
}

impl Registers for Ports {
    fn len(&self) -> usize {
        0x40
    }
    fn read8(&self, offset: usize) -> u8 {
        let mut state = self.state();
        match offset {
            18 => state.status,
            19 => {
                state.accesses += 1;
                core::mem::take(&mut state.isr)
            }
            _ => panic!("read8 at {offset}"),
        }
    }
    fn read16(&self, offset: usize) -> u16 {
        assert_eq!(offset, 12);
        let state = self.state();
        if state.selected == 0 { state.queue_size } else { 0 }
    }
    fn read32(&self, offset: usize) -> u32 {
        let state = self.state();
        match offset {
            0 => OFFERED,
            8 if state.selected == 0 => state.page_number,
            _ => panic!("read32 at {offset}"),
        }
    }
    fn write8(&self, offset: usize, value: u8) {
        assert_eq!(offset, 18);
        let mut state = self.state();
        if value != 0 {
            state.status = value;
        } else if !state.ignores_resets {
            (state.status, state.isr, state.page_number, state.features) = (0, 0, 0, 0);
            state.queue = None;
        }
        state.accesses += 1;
    }
    fn write16(&self, offset: usize, value: u16) {
        self.state().accesses += 1;
        match offset {
            14 => self.state().selected = value,
            16 => {
                assert_eq!(value, 0);
                self.state().kicks += 1;
                self.serve();
            }
            _ => panic!("write16 at {offset}"),
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.state();
        state.accesses += 1;
        match offset {
            4 => state.features = value,
            8 => {
                assert_eq!((state.selected, state.page_number), (0, 0), "no queue is in use");
                assert_ne!(value, 0, "a queue stops with the device alone");
                state.page_number = value;
                let features = Features::from_bits_retain(state.features.into());
                let rings = Self::rings(state.queue_size, value);
                state.queue = Some(DeviceQueue::new(rings, features, true).unwrap());
            }
            _ => panic!("write32 at {offset}"),
        }
    }
}

/// One function's configuration space.
#[derive(Debug)]
struct Config(Mutex<[u32; 64]>);

const RNG: FunctionAddress = FunctionAddress::from_number(0x0010);

impl Config {
    fn new(bar: u32) -> Self {
        let mut words = [0; 64];
        (words[0], words[2], words[4], words[15]) = (0x1005_1af4, 0x00ff_0000, bar | 1, 0x0000_0100);
        Self(Mutex::new(words))
    }
    fn command(&self) -> u32 {
        self.0.lock().unwrap()[1]
    }
}

impl ConfigAccess for Config {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        if function == RNG { self.0.lock().unwrap()[usize::from(offset / 4)] } else { u32::MAX }
    }
    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        assert_eq!(function, RNG);
        let mut words = self.0.lock().unwrap();
        match offset {
            4 => words[1] = value & 0x407,
            0x10 => words[4] = value & 0xffff_ffc0 | 1,
            _ => {}
        }
    }
}

type Rng<'a> = Device<LegacyTransport<&'a Ports, &'a Config>, TestHal>;

fn open<'a>(ports: &'a Ports, config: &'a Config) -> LegacyTransport<&'a Ports, &'a Config> {
    LegacyTransport::with_mapper(config, RNG, None, |range| {
        assert_eq!(range, IoRange { port: 0xc040, cpu: None, len: 0x40 });
        Ok(ports)
    })
    .unwrap()
}

fn up<'a>(ports: &'a Ports, config: &'a Config, hal: &TestHal, wanted: u16) -> Result<Rng<'a>, Error> {
    let init = Init::start(open(ports, config), hal.clone(), DeviceId::ENTROPY)?;
    init.negotiate(&Wanted::default())?.queues(&[QueueSpec::new::<()>(0, wanted)])?.live()
}

// shows: split.legacy-virtqueue-layout.1, split.legacy-virtqueue-layout.3
#[test]
fn requests_are_served_and_a_kick_costs_one_write() {
    for page_size in [4096, 0x4000, 0x1_0000] {
        for size in [8, 256] {
            let hal = TestHal::with_page_size(page_size);
            let (ports, config) = (Ports::new(&hal, size), Config::new(0xc040));
            // Less than the device dictates, and more.
            let mut rng = up(&ports, &config, &hal, 16).unwrap();
            assert_eq!(ports.state().queue.as_ref().unwrap().rings().size, size);
            assert_eq!(rng.features(), Features::from_bits_retain(OFFERED.into()) & legacy_features());
            assert_eq!(config.command() & 7, 5, "I/O and bus master");
            let before = ports.state().accesses;
            for round in 1..=40 {
                let mut bytes = [0; 300];
                assert_eq!(rng.call(0, &[], &mut [&mut bytes], Duration::from_secs(1)), Ok(300));
                assert_eq!(bytes, [0x5a; 300]);
                assert_eq!(ports.state().accesses - before, round);
                assert_eq!(ports.state().kicks, round);
            }
            drop(rng);
            assert!(ports.state().queue.is_none(), "the device was reset");
            hal.finish();
        }
    }
}

fn legacy_features() -> Features {
    Features::EVENT_IDX | Features::ANY_LAYOUT | Features::INDIRECT_DESC
}

#[test]
fn the_handler_s_endpoint_reads_the_isr_and_nothing_else() {
    let hal = TestHal::new();
    let (ports, config) = (Ports::new(&hal, 8), Config::new(0xc040));
    let mut rng = up(&ports, &config, &hal, 8).unwrap();
    let endpoint = rng.endpoint(0).unwrap();
    assert_eq!(endpoint.ack(), InterruptStatus::empty());
    rng.call(0, &[], &mut [&mut [0; 4]], Duration::from_secs(1)).unwrap();
    let before = ports.state().accesses;
    assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
    assert_eq!(endpoint.ack(), InterruptStatus::empty());
    assert_eq!(ports.state().accesses - before, 2);
    assert!(endpoint.serves(QueueIndex::new(0)) && endpoint.serves(QueueIndex::new(7)));
    let transport = open(&ports, &config);
    assert_eq!(transport.vectors(), 1);
    assert_eq!(transport.endpoint(1).unwrap_err(), Error::Caller(Misuse::NoSuchVector));
    // A function without a line has no vector at all.
    config.0.lock().unwrap()[15] = 0;
    let transport = open(&ports, &config);
    assert_eq!(transport.vectors(), 0);
    assert_eq!(transport.endpoint(0).unwrap_err(), Error::Caller(Misuse::NoSuchVector));
}

#[test]
fn sizes_that_are_none_are_refused() {
    let queue = QueueIndex::new(0);
    for (size, expected) in [
        (0, Incompatible::NoQueue(queue)),
        (100, Incompatible::QueueTooSmall { queue, max: 64, needed: 1 }),
        (u16::MAX, Incompatible::QueueTooSmall { queue, max: 32768, needed: 1 }),
    ] {
        let hal = TestHal::new();
        let (ports, config) = (Ports::new(&hal, size), Config::new(0xc040));
        assert_eq!(up(&ports, &config, &hal, 8).unwrap_err(), Error::Incompatible(expected));
        assert_eq!(ports.state().page_number, 0);
        assert_eq!(config.command() & 4, 0, "not a bus master");
        hal.finish();
    }
}

#[test]
fn a_device_that_ignores_its_reset_is_cut_off_and_its_memory_kept() {
    let hal = TestHal::new();
    let (ports, config) = (Ports::new(&hal, 8), Config::new(0xc040));
    let rng = up(&ports, &config, &hal, 8).unwrap();
    ports.state().ignores_resets = true;
    hal.allow_leaks();
    drop(rng);
    assert!(!hal.leaks().is_empty(), "the rings");
    assert_eq!(config.command() & 7, 1, "off the bus");
}

#[test]
fn without_firmware_the_window_leads_to_the_ports() {
    let windows = Windows {
        io: Some(Window { bus: 0, cpu: PhysAddr::new(0x3eff_0000), len: 0x1_0000 }),
        ..Windows::default()
    };
    let (hal, config) = (TestHal::new(), Config::new(0));
    assert_eq!(BarAllocator::new(windows).assign_all(&config, 0), Ok(1));
    let found = walk(&config, 0).next().unwrap();
    // Where the allocator puts the first I/O BAR: behind what the machine's own devices have.
    let registers = hal.add_registers(PhysAddr::new(0x3eff_1000), 0x80);
    registers.write32(0, OFFERED);
    registers.write32(20, 0x0403_0201);
    let mut transport: LegacyTransport<Mapped<TestHal>, _> =
        LegacyTransport::in_windows(hal.clone(), &config, found.address, &windows).unwrap();
    assert_eq!(transport.device_features(0), OFFERED);
    let mut bytes = [0; 4];
    transport.read_config(0, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 3, 4]);
    drop(transport);
    // A window that registers cannot be mapped through.
    let odd =
        Windows { io: Some(Window { bus: 0, cpu: PhysAddr::new(0x3eff_0002), len: 0x1_0000 }), ..windows };
    let error = LegacyTransport::in_windows(hal.clone(), &config, found.address, &odd).map(drop);
    assert_eq!(error, Err(virtio_core::HalError::CannotMap.into()));
    hal.finish();
}
