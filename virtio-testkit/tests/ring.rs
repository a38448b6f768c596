//! The device's side of a queue, against rings written by hand.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use core::num::NonZeroUsize;

use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, Direction, DmaMemory, Features, Hal};
use virtio_testkit::{DeviceMemory, DeviceQueue, TestHal};

const PAGES: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const PLAIN: Features = Features::VERSION_1.union(Features::INDIRECT_DESC);
const EVENT_IDX: Features = PLAIN.union(Features::EVENT_IDX);
const IN_ORDER: Features = PLAIN.union(Features::IN_ORDER);

/// A driver with a queue of 4, and a page of data behind its rings. Everything is written through the device's eyes, which
/// may write all of it here.
struct Driver {
    hal: TestHal,
    memory: DeviceMemory,
    pages: DmaMemory,
    queue: DeviceQueue,
    available: u16,
}

impl Driver {
    fn new(features: Features) -> Self {
        let hal = TestHal::new();
        let pages = hal.dma_alloc(PAGES, Direction::Both).unwrap();
        let memory = hal.memory();
        memory.write(pages.device, &[0; 16384]).unwrap();
        let at = |page: usize| pages.device.checked_add(page * 4096).unwrap();
        let rings = Rings {
            size: 4,
            descriptor: at(0),
            driver: at(1),
            device: at(2),
            notification_data: false,
            notif_config_data: false,
        };
        Self { hal, memory, pages, queue: DeviceQueue::new(rings, features, false).unwrap(), available: 0 }
    }

    fn at(&self, offset: usize) -> DeviceAddr {
        self.pages.device.checked_add(offset).unwrap()
    }

    fn data(&self, offset: usize) -> DeviceAddr {
        self.at(3 * 4096 + offset)
    }

    fn descriptor(&self, place: DeviceAddr, address: DeviceAddr, len: u32, flags: u16, next: u16) {
        let mut raw = Vec::new();
        raw.extend(address.get().to_le_bytes());
        raw.extend(len.to_le_bytes());
        raw.extend(flags.to_le_bytes());
        raw.extend(next.to_le_bytes());
        self.memory.write(place, &raw).unwrap();
    }

    fn slot(&self, index: u16) -> DeviceAddr {
        self.at(16 * usize::from(index))
    }

    fn offer(&mut self, head: u16) {
        let entry = self.at(4096 + 4 + 2 * usize::from(self.available % 4));
        self.memory.write(entry, &head.to_le_bytes()).unwrap();
        self.available = self.available.wrapping_add(1);
        self.memory.write(self.at(4096 + 2), &self.available.to_le_bytes()).unwrap();
    }

    fn used(&self) -> Vec<u8> {
        self.memory.read_vec(self.at(2 * 4096), 4 + 8 * 4).unwrap()
    }

    fn pop_error(&mut self) -> String {
        self.queue.pop(&self.memory).unwrap_err()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, used by nobody any more.
        unsafe { self.hal.dma_dealloc(self.pages, PAGES) };
    }
}

#[test]
fn chains_are_walked_and_used_elements_written_little_endian() {
    let mut driver = Driver::new(PLAIN);
    assert_eq!(driver.queue.pop(&driver.memory), Ok(None));
    driver.memory.write(driver.data(0), b"hello").unwrap();
    driver.descriptor(driver.slot(2), driver.data(0), 2, NEXT, 0);
    driver.descriptor(driver.slot(0), driver.data(2), 3, NEXT, 3);
    driver.descriptor(driver.slot(3), driver.data(8), 4, WRITE, 0);
    driver.offer(2);
    let chain = driver.queue.pop(&driver.memory).unwrap().unwrap();
    assert_eq!((chain.head, chain.writable(), chain.buffers.len()), (2, 4, 3));
    assert_eq!(chain.readable(&driver.memory).unwrap(), b"hello");
    assert_eq!(chain.write(&driver.memory, b"answer"), Ok(4));
    assert_eq!(driver.memory.read_vec(driver.data(8), 6).unwrap(), b"answ\0\0");
    driver.queue.push(&driver.memory, 2, 4).unwrap();
    assert_eq!(driver.used().get(..12), Some(&[0, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0][..]));
    assert_eq!(driver.queue.pop(&driver.memory), Ok(None));
}

#[test]
fn indirect_tables_are_walked() {
    let mut driver = Driver::new(PLAIN);
    driver.descriptor(driver.data(64), driver.data(0), 1, NEXT, 1);
    driver.descriptor(driver.data(80), driver.data(1), 2, WRITE, 0);
    driver.descriptor(driver.slot(1), driver.data(64), 32, INDIRECT, 0);
    driver.offer(1);
    let chain = driver.queue.pop(&driver.memory).unwrap().unwrap();
    assert_eq!((chain.head, chain.buffers.len(), chain.writable()), (1, 2, 2));
}

#[test]
fn a_table_may_end_a_chain_of_direct_descriptors() {
    let mut driver = Driver::new(PLAIN);
    driver.descriptor(driver.data(64), driver.data(1), 2, NEXT, 2);
    driver.descriptor(driver.data(96), driver.data(3), 3, WRITE, 0);
    driver.descriptor(driver.slot(3), driver.data(0), 1, NEXT, 1);
    // WRITE means nothing beside INDIRECT.
    driver.descriptor(driver.slot(1), driver.data(64), 48, INDIRECT | WRITE, 0);
    driver.offer(3);
    let chain = driver.queue.pop(&driver.memory).unwrap().unwrap();
    assert_eq!((chain.head, chain.descriptors, chain.buffers.len(), chain.writable()), (3, 2, 3, 3));
}

#[test]
fn a_chain_is_no_longer_than_the_queue_tables_included() {
    for (direct, inner, fits) in [(0, 4, true), (0, 5, false), (1, 3, true), (1, 4, false), (3, 1, true)] {
        let mut driver = Driver::new(PLAIN);
        for index in 0..direct {
            driver.descriptor(driver.slot(index), driver.data(0), 1, NEXT, index + 1);
        }
        for index in 0..inner {
            let more = if index + 1 < inner { NEXT } else { 0 };
            let place = driver.data(64 + 16 * usize::from(index));
            driver.descriptor(place, driver.data(0), 1, more, index + 1);
        }
        driver.descriptor(driver.slot(direct), driver.data(64), 16 * u32::from(inner), INDIRECT, 0);
        driver.offer(0);
        assert_eq!(driver.queue.pop(&driver.memory).is_ok(), fits, "{direct} and {inner}");
    }
}

#[test]
fn descriptors_in_flight_belong_to_the_device() {
    let mut driver = Driver::new(PLAIN);
    driver.descriptor(driver.slot(0), driver.data(0), 1, NEXT, 1);
    driver.descriptor(driver.slot(1), driver.data(0), 1, 0, 0);
    driver.descriptor(driver.slot(2), driver.data(0), 1, NEXT, 1);
    driver.offer(0);
    let first = driver.queue.pop(&driver.memory).unwrap().unwrap();
    driver.offer(2);
    let error = driver.pop_error();
    assert!(error.contains("descriptor 1 is in flight already"), "{error}");
    driver.queue.finish(&driver.memory, &first, 0).unwrap();
    let second = driver.queue.pop(&driver.memory).unwrap().unwrap();
    assert_eq!((second.head, second.descriptors), (2, 2));
    // A lie about what is in flight gives it back as well: for the driver it is used.
    driver.queue.push(&driver.memory, 2, 0).unwrap();
    driver.offer(0);
    assert!(driver.queue.pop(&driver.memory).unwrap().is_some());
    // One about the middle of a chain gives nothing back.
    driver.queue.push(&driver.memory, 1, 0).unwrap();
    driver.offer(1);
    let error = driver.pop_error();
    assert!(error.contains("descriptor 1 is in flight already"), "{error}");
}

#[test]
fn in_order_chains_run_through_the_table() {
    let mut driver = Driver::new(IN_ORDER);
    for round in 0..8_u16 {
        // Chains of 3 in a table of 4.
        let [a, b, c] = [0, 1, 2].map(|step| (3 * round + step) % 4);
        driver.descriptor(driver.slot(a), driver.data(0), 1, NEXT, b);
        driver.descriptor(driver.slot(b), driver.data(0), 1, NEXT, c);
        driver.descriptor(driver.slot(c), driver.data(0), 1, WRITE, 0);
        driver.offer(a);
        let chain = driver.queue.pop(&driver.memory).unwrap().unwrap();
        assert_eq!((chain.head, chain.descriptors), (a, 3));
        driver.queue.finish(&driver.memory, &chain, 1).unwrap();
    }

    type Case = (&'static str, fn(&mut Driver));
    let cases: [Case; 3] = [
        ("0 is followed by 2", |driver| {
            driver.descriptor(driver.slot(0), driver.data(0), 1, NEXT, 2);
            driver.offer(0);
        }),
        ("0 is next", |driver| {
            driver.descriptor(driver.slot(1), driver.data(0), 1, 0, 0);
            driver.offer(1);
        }),
        ("0 is followed by 2", |driver| {
            driver.descriptor(driver.data(64), driver.data(0), 1, NEXT, 2);
            driver.descriptor(driver.slot(0), driver.data(64), 48, INDIRECT, 0);
            driver.offer(0);
        }),
    ];
    for (what, write) in cases {
        let mut driver = Driver::new(IN_ORDER);
        write(&mut driver);
        let error = driver.pop_error();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn one_used_element_gives_a_batch_back() {
    let mut driver = Driver::new(IN_ORDER);
    for head in 0..3 {
        driver.descriptor(driver.slot(head), driver.data(0), 8, WRITE, 0);
        driver.offer(head);
    }
    let chains: Vec<_> = (0..3).map(|_| driver.queue.pop(&driver.memory).unwrap().unwrap()).collect();
    driver.queue.push_batch(&driver.memory, &chains.iter().collect::<Vec<_>>(), 5).unwrap();
    assert_eq!(driver.used().get(..12), Some(&[0, 0, 3, 0, 2, 0, 0, 0, 5, 0, 0, 0][..]));
    // The next one stands where the third would have stood.
    driver.queue.push(&driver.memory, 9, 9).unwrap();
    assert_eq!(driver.used().get(12..28), Some(&[[0; 12].as_slice(), &[0; 4]].concat()[..]));
    assert_eq!(driver.used().get(28..32), Some(&[9, 0, 0, 0][..]));
}

#[test]
fn lies_are_told_as_described() {
    let mut driver = Driver::new(PLAIN);
    driver.queue.push_unannounced(&driver.memory, 9, 8).unwrap();
    assert_eq!(driver.used().get(..12), Some(&[0, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0][..]));
    driver.queue.jump(&driver.memory, 7).unwrap();
    assert_eq!((driver.used().get(..4), driver.queue.used()), (Some(&[0, 0, 7, 0][..]), 0));
    driver.queue.write_suppression(&driver.memory, 0x0102, 0x0304).unwrap();
    assert_eq!(driver.used().get(..2), Some(&[4, 3][..]));
    assert_eq!(driver.memory.read_vec(driver.at(2 * 4096 + 4 + 8 * 4), 2).unwrap(), [2, 1]);
}

#[test]
fn a_driver_that_asks_for_interrupts_in_a_wrong_way_is_told() {
    for (features, flags) in [(PLAIN, 2), (EVENT_IDX, 1)] {
        let mut driver = Driver::new(features);
        driver.queue.push(&driver.memory, 0, 0).unwrap();
        driver.memory.write(driver.at(4096), &[flags, 0]).unwrap();
        let error = driver.queue.wants_interrupt(&driver.memory, 0).unwrap_err();
        assert!(error.contains("avail.flags"), "{error}");
    }
}

#[test]
fn a_driver_that_writes_nonsense_is_told_what_it_is() {
    type Case = (&'static str, fn(&mut Driver));
    let cases: [Case; 10] = [
        ("ahead of a queue", |driver| (0..5).for_each(|_| driver.offer(0))),
        ("descriptor 4 of 4", |driver| driver.offer(4)),
        ("descriptor 9 of 4", |driver| {
            driver.descriptor(driver.slot(0), driver.data(0), 1, NEXT, 9);
            driver.offer(0);
        }),
        ("no end", |driver| {
            driver.descriptor(driver.slot(0), driver.data(0), 1, NEXT, 0);
            driver.offer(0);
        }),
        ("empty buffer", |driver| driver.offer(0)),
        ("more than 4 GiB", |driver| {
            driver.descriptor(driver.slot(0), driver.data(0), u32::MAX, NEXT, 1);
            driver.descriptor(driver.slot(1), driver.data(0), 2, 0, 0);
            driver.offer(0);
        }),
        ("bad indirect table", |driver| {
            driver.descriptor(driver.slot(0), driver.data(64), 16, INDIRECT | NEXT, 1);
            driver.offer(0);
        }),
        ("behind a writable one", |driver| {
            driver.descriptor(driver.slot(0), driver.data(0), 1, NEXT | WRITE, 1);
            driver.descriptor(driver.slot(1), driver.data(0), 1, 0, 0);
            driver.offer(0);
        }),
        ("bad indirect table", |driver| {
            driver.descriptor(driver.slot(0), driver.data(64), 24, INDIRECT, 0);
            driver.offer(0);
        }),
        ("bad indirect table", |driver| {
            driver.descriptor(driver.data(64), driver.data(64), 16, INDIRECT, 0);
            driver.descriptor(driver.slot(0), driver.data(64), 16, INDIRECT, 0);
            driver.offer(0);
        }),
    ];
    for (what, write) in cases {
        let mut driver = Driver::new(PLAIN);
        write(&mut driver);
        let error = driver.pop_error();
        assert!(error.contains(what), "{what}: {error}");
    }
    let mut driver = Driver::new(Features::VERSION_1);
    driver.descriptor(driver.slot(0), driver.data(64), 16, INDIRECT, 0);
    driver.offer(0);
    assert!(driver.pop_error().contains("not negotiated"));
}

#[test]
fn interrupts_are_due_as_the_driver_asks() {
    let mut driver = Driver::new(PLAIN);
    let before = driver.queue.used();
    assert_eq!(driver.queue.wants_interrupt(&driver.memory, before), Ok(false));
    driver.queue.push(&driver.memory, 0, 0).unwrap();
    assert_eq!(driver.queue.wants_interrupt(&driver.memory, before), Ok(true));
    driver.memory.write(driver.at(4096), &1_u16.to_le_bytes()).unwrap();
    assert_eq!(driver.queue.wants_interrupt(&driver.memory, before), Ok(false));

    let mut driver = Driver::new(EVENT_IDX);
    // used_event is 1: the second element passes it, the first and third do not.
    driver.memory.write(driver.at(4096 + 4 + 8), &1_u16.to_le_bytes()).unwrap();
    let due: Vec<bool> = (0..3)
        .map(|_| {
            let before = driver.queue.used();
            driver.queue.push(&driver.memory, 0, 0).unwrap();
            driver.queue.wants_interrupt(&driver.memory, before).unwrap()
        })
        .collect();
    assert_eq!(due, [false, true, false]);
    assert_eq!(driver.queue.wants_interrupt(&driver.memory, 0), Ok(true));
}

#[test]
fn suppression_fields_are_written_where_the_driver_looks() {
    let driver = Driver::new(EVENT_IDX);
    driver.queue.suppress_notifications(&driver.memory, true).unwrap();
    driver.queue.set_avail_event(&driver.memory, 0x0102).unwrap();
    assert_eq!(driver.memory.read_vec(driver.at(2 * 4096), 2).unwrap(), [1, 0]);
    assert_eq!(driver.memory.read_vec(driver.at(2 * 4096 + 4 + 8 * 4), 2).unwrap(), [2, 1]);
}

#[test]
fn impossible_rings_are_refused() {
    let rings = |size, descriptor, driver, device| {
        let [descriptor, driver, device] = [descriptor, driver, device].map(DeviceAddr::new);
        Rings { size, descriptor, driver, device, notification_data: false, notif_config_data: false }
    };
    let refused = |rings, legacy| DeviceQueue::new(rings, PLAIN, legacy).is_err();
    assert!(!refused(rings(8, 16, 2, 4), false));
    for bad in
        [rings(0, 16, 2, 4), rings(6, 16, 2, 4), rings(8, 8, 2, 4), rings(8, 16, 1, 4), rings(8, 16, 2, 2)]
    {
        assert!(refused(bad, false), "{bad:?}");
    }
    assert!(!refused(rings(8, 4096, 4096 + 128, 8192), true));
    for bad in [rings(8, 2048, 2048 + 128, 4096), rings(8, 4096, 8192, 12288), rings(8, 4096, 4224, 12288)] {
        assert!(refused(bad, true), "{bad:?}");
    }
}
