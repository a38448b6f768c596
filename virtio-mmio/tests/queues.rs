//! An entropy source behind registers that react, driven from its reset to its last request.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use core::time::Duration;
use std::sync::{Mutex, MutexGuard};

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::queue::QueueSpec;
use virtio_core::regs::Registers;
use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, DeviceId, Error, Features, Incompatible, QueueIndex};
use virtio_mmio::{MmioTransport, probe};
use virtio_testkit::{DeviceQueue, TestHal};

const PAGES: [usize; 3] = [0x1000, 0x4000, 0x1_0000];
const QUEUE: QueueIndex = QueueIndex::new(0);

/// The device; version 1 counts pages of the size that it is told, and forgets it with a reset.
#[derive(Debug)]
struct Slot {
    hal: TestHal,
    version: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size_max: u32,
    /// Control registers as they were written, by offset.
    written: [u32; 64],
    /// What was written that a sequence is made of, in order: status, features, queue, notifications.
    steps: Vec<(usize, u32)>,
    /// What was accepted, in two windows.
    features: [u32; 2],
    queue: Option<DeviceQueue>,
    /// It learns addresses and never says that the queue is on.
    deaf: bool,
}

impl Slot {
    fn new(hal: &TestHal, version: u32, size_max: u32) -> Self {
        let state = State {
            size_max,
            written: [0; 64],
            steps: Vec::new(),
            features: [0; 2],
            queue: None,
            deaf: false,
        };
        Self { hal: hal.clone(), version, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self) {
        let memory = self.hal.memory();
        let mut state = self.state();
        let queue = state.queue.as_mut().unwrap();
        while let Some(chain) = queue.pop(&memory).unwrap() {
            for buffer in chain.buffers.iter().filter(|buffer| buffer.writable) {
                memory.write(buffer.address, &vec![0x5a; usize::try_from(buffer.len).unwrap()]).unwrap();
            }
            queue.finish(&memory, &chain, u32::try_from(chain.writable()).unwrap()).unwrap();
        }
    }
}

impl State {
    fn at(&self, offset: usize) -> u32 {
        self.written[offset / 4]
    }

    fn wide(&self, offset: usize) -> DeviceAddr {
        DeviceAddr::new(u64::from(self.at(offset + 4)) << 32 | u64::from(self.at(offset)))
    }

    fn start(&mut self, legacy: bool) {
        let size = u16::try_from(self.at(0x038)).unwrap();
        assert!(self.at(0x038) <= self.size_max);
        let (descriptor, driver, device) = if legacy {
            let (page, align) = (u64::from(self.at(0x028)), u64::from(self.at(0x03c)));
            assert!(page.is_power_of_two() && align.is_power_of_two(), "both were said since the reset");
            let descriptor = u64::from(self.at(0x040)) * page;
            let driver = descriptor + 16 * u64::from(size);
            let device = (driver + 2 * u64::from(size) + 6).next_multiple_of(align);
            (DeviceAddr::new(descriptor), DeviceAddr::new(driver), DeviceAddr::new(device))
        } else {
            (self.wide(0x080), self.wide(0x090), self.wide(0x0a0))
        };
        let rings =
            Rings { size, descriptor, driver, device, notification_data: false, notif_config_data: false };
        let accepted = u64::from(self.features[1]) << 32 | u64::from(self.features[0]);
        let features = Features::from_bits_retain(accepted.into());
        self.queue = Some(DeviceQueue::new(rings, features, legacy).unwrap());
    }
}

impl Registers for Slot {
    fn len(&self) -> usize {
        0x100
    }
    fn read8(&self, offset: usize) -> u8 {
        panic!("an access of 8 bits at {offset:#x}")
    }
    fn read16(&self, offset: usize) -> u16 {
        panic!("an access of 16 bits at {offset:#x}")
    }
    fn read32(&self, offset: usize) -> u32 {
        let state = self.state();
        match (offset, self.version) {
            (0x000, _) => 0x7472_6976,
            (0x004, version) => version,
            (0x008, _) => 4,
            // VERSION_1 is the lowest bit of the upper window.
            (0x010, version) => u32::from(version == 2 && state.at(0x014) == 1),
            (0x034, _) => state.size_max,
            (0x040, 1) | (0x070, _) => state.at(offset),
            (0x044, 2) => u32::from(state.queue.is_some() && !state.deaf),
            _ => panic!("a read at {offset:#x}"),
        }
    }
    fn write8(&self, offset: usize, _: u8) {
        panic!("an access of 8 bits at {offset:#x}")
    }
    fn write16(&self, offset: usize, _: u16) {
        panic!("an access of 16 bits at {offset:#x}")
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut state = self.state();
        state.written[offset / 4] = value;
        if [0x020, 0x040, 0x044, 0x050, 0x070].contains(&offset) {
            state.steps.push((offset, value));
        }
        match (offset, self.version) {
            (0x020, _) => {
                let window = usize::try_from(state.at(0x024)).unwrap();
                state.features[window] = value;
            }
            (0x030, _) => assert_eq!(value, 0, "one queue is used"),
            (0x040, 1) | (0x044, 2) => {
                assert!(value != 0 && state.queue.is_none());
                state.start(self.version == 1);
            }
            (0x050, _) => {
                drop(state);
                self.serve();
            }
            (0x070, _) if value == 0 => (state.written, state.queue) = ([0; 64], None),
            (0x014 | 0x024 | 0x038 | 0x070, _) | (0x028 | 0x03c, 1) | (0x080..=0x0a4, 2) => {}
            _ => panic!("a write at {offset:#x}"),
        }
    }
}

fn up<'a>(
    slot: &'a Slot,
    hal: &TestHal,
    wanted: u16,
) -> Result<Device<MmioTransport<&'a Slot>, TestHal>, Error> {
    let init = Init::start(probe(slot).unwrap().unwrap(), hal.clone(), DeviceId::ENTROPY)?;
    init.negotiate(&Wanted::default())?.queues(&[QueueSpec::new::<()>(0, wanted)])?.live()
}

// shows: mmio.op.init.6, init.1, init.legacy.1
#[test]
fn the_sequence_of_steps_is_the_specifications() {
    for version in [1, 2] {
        let hal = TestHal::new();
        let slot = Slot::new(&hal, version, 8);
        let mut rng = up(&slot, &hal, 8).unwrap();
        rng.call(0, &[], &mut [&mut [0; 8]], Duration::from_secs(1)).unwrap();
        drop(rng);
        let page = slot.state().steps.iter().find(|(at, _)| *at == 0x040).map_or(0, |(_, page)| *page);
        let steps: &[(usize, u32)] = if version == 1 {
            &[(0x020, 0), (0x040, page), (0x070, 7)]
        } else {
            // FEATURES_OK behind both windows, and before the queue.
            &[(0x020, 1), (0x020, 0), (0x070, 0xb), (0x044, 1), (0x070, 0xf)]
        };
        let start = [(0x070, 0), (0x070, 1), (0x070, 3)];
        let end = [(0x050, 0), (0x070, 0)];
        assert_eq!(slot.state().steps, [&start, steps, &end].concat(), "version {version}");
        hal.finish();
    }
}

// shows: mmio.regs.1, mmio.regs.2, mmio.regs.3, mmio.regs.4, mmio.op.init.5
#[test]
fn rings_work_whatever_pages_the_kernel_has() {
    for version in [1, 2] {
        for page in PAGES {
            // Where the used ring begins differs with the size: in the second page, in the fifth.
            for size in [8, 1024] {
                let hal = TestHal::with_page_size(page);
                let slot = Slot::new(&hal, version, 1024);
                let mut rng = up(&slot, &hal, size).unwrap();
                for _ in 0..20 {
                    let mut bytes = [0; 100];
                    assert_eq!(rng.call(0, &[], &mut [&mut bytes], Duration::from_secs(1)), Ok(100));
                    assert_eq!(bytes, [0x5a; 100]);
                }
                if version == 1 {
                    let state = slot.state();
                    assert_eq!((state.at(0x028), state.at(0x03c)), (4096, 4096));
                    assert_eq!(state.wide_page() % u64::try_from(page).unwrap(), 0, "the kernel's pages");
                }
                // Again after a reset, which has forgotten the page size.
                drop(rng);
                drop(up(&slot, &hal, size).unwrap());
                hal.finish();
            }
        }
    }
}

impl State {
    fn wide_page(&self) -> u64 {
        u64::from(self.at(0x040)) * u64::from(self.at(0x028))
    }
}

// shows: mmio.regs.14
#[test]
fn a_queue_is_as_large_as_both_sides_allow() {
    for version in [1, 2] {
        for (size_max, expected) in
            [(1, 1), (5, 4), (8, 8), (32768, 8), (32769, 8), (65535, 8), (65536, 8), (u32::MAX, 8)]
        {
            let hal = TestHal::new();
            let slot = Slot::new(&hal, version, size_max);
            let rng = up(&slot, &hal, 8).unwrap();
            assert_eq!(slot.state().at(0x038), expected, "{size_max:#x}");
            drop(rng);
        }
        let hal = TestHal::new();
        let slot = Slot::new(&hal, version, 0);
        let none = Error::Incompatible(Incompatible::NoQueue(QUEUE));
        assert_eq!(up(&slot, &hal, 8).map(drop), Err(none));
        hal.finish();
    }
}

#[test]
fn the_largest_queue_there_is() {
    for version in [1, 2] {
        let hal = TestHal::new();
        let slot = Slot::new(&hal, version, u32::MAX);
        let mut rng = up(&slot, &hal, u16::MAX).unwrap();
        assert_eq!(slot.state().at(0x038), 32768);
        assert_eq!(rng.call(0, &[], &mut [&mut [0; 8]], Duration::from_secs(1)), Ok(8));
    }
}

#[test]
fn a_device_that_does_not_take_its_queue_is_reset_before_the_rings_are_freed() {
    let hal = TestHal::new();
    let slot = Slot::new(&hal, 2, 8);
    slot.state().deaf = true;
    let refused = Error::Incompatible(Incompatible::QueueRefused(QUEUE));
    assert_eq!(up(&slot, &hal, 8).map(drop), Err(refused));
    // It had the addresses, and has forgotten them; all memory went back.
    assert!(slot.state().queue.is_none() && slot.state().at(0x070) == 0);
    hal.finish();
}
