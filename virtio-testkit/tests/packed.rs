//! The device's side of a packed queue, against rings written by hand.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{AVAIL, INDIRECT, NEXT, PACKED, Pages, USED, WRITE};
use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, Features};
use virtio_testkit::{Chain, PackedDeviceSide, TestHal};

/// No power of two, for a packed queue need not be one.
const SIZE: u16 = 5;
const EVENT_IDX: Features = PACKED.union(Features::EVENT_IDX);

struct Driver {
    pages: Pages,
    queue: PackedDeviceSide,
    size: u16,
    next: u16,
    wrap: bool,
}

impl Driver {
    fn new(size: u16, features: Features) -> Self {
        let pages = Pages::new(&TestHal::new());
        let queue = PackedDeviceSide::new(pages.rings(size, features), features).unwrap();
        Self { pages, queue, size, next: 0, wrap: true }
    }

    /// Makes a list available: lengths and flags of its elements.
    fn offer(&mut self, id: u16, elements: &[(u32, u16)]) {
        for (place, &(len, flags)) in elements.iter().enumerate() {
            let more = if place + 1 < elements.len() { NEXT } else { 0 };
            self.pages.offer_packed(self.next, self.wrap, len, id, flags | more);
            self.next += 1;
            if self.next == self.size {
                (self.next, self.wrap) = (0, !self.wrap);
            }
        }
    }

    fn position(&self) -> u16 {
        self.next | u16::from(self.wrap) << 15
    }

    fn pop(&mut self) -> Chain {
        self.queue.pop(&self.pages.memory).unwrap().unwrap()
    }

    fn finish(&mut self, chain: &Chain, len: u32) {
        self.queue.push_batch(&self.pages.memory, &[chain], len).unwrap();
    }

    fn slot(&self, slot: u16) -> DeviceAddr {
        self.pages.at(0, 16 * usize::from(slot))
    }

    /// Length, id and flags of a descriptor, as the driver reads them.
    fn read(&self, slot: u16) -> (u32, u16, u16) {
        let raw = self.pages.read(self.slot(slot), 16);
        let len = u32::from_le_bytes(raw[8..12].try_into().unwrap());
        (len, u16::from_le_bytes([raw[12], raw[13]]), u16::from_le_bytes([raw[14], raw[15]]))
    }

    /// What the driver wants to be interrupted for: `desc` and `flags`.
    fn ask(&self, desc: u16, flags: u16) {
        self.pages.write16(self.pages.at(1, 0), desc);
        self.pages.write16(self.pages.at(1, 2), flags);
    }
}

#[test]
fn lists_are_walked_over_the_end_of_the_ring_and_used_with_one_descriptor() {
    let mut driver = Driver::new(SIZE, PACKED);
    let (mut used, mut wrap) = (0, true);
    assert_eq!(driver.queue.pop(&driver.pages.memory), Ok(None));
    // Lists of 3 in a ring of 5: they start in every slot, with both wrap counters.
    for round in 0..10 {
        driver.pages.memory.write(driver.pages.data(0), b"hello").unwrap();
        driver.offer(round % 5, &[(2, 0), (4, 0), (4, WRITE)]);
        let before = (0..SIZE).map(|slot| driver.read(slot)).collect::<Vec<_>>();
        let chain = driver.pop();
        assert_eq!((chain.head, chain.descriptors, chain.writable()), (round % 5, 3, 4));
        assert_eq!(chain.readable(&driver.pages.memory).unwrap(), b"hehell");
        assert_eq!(driver.queue.pop(&driver.pages.memory), Ok(None));
        driver.finish(&chain, 4);
        let bits = if wrap { AVAIL | USED } else { 0 };
        for slot in 0..SIZE {
            let due = if slot == used { (4, round % 5, bits | WRITE) } else { before[usize::from(slot)] };
            assert_eq!(driver.read(slot), due, "slot {slot} in round {round}");
        }
        used += 3;
        if used >= SIZE {
            (used, wrap) = (used - SIZE, !wrap);
        }
        assert_eq!(driver.queue.used(), used | u16::from(wrap) << 15);
        assert_eq!(driver.queue.taken(), driver.position());
    }
}

#[test]
fn the_id_is_that_of_the_last_descriptor() {
    let mut driver = Driver::new(SIZE, PACKED);
    driver.pages.offer_packed(1, true, 1, 3, 0);
    driver.pages.offer_packed(0, true, 1, 9, NEXT);
    assert_eq!(driver.pop().head, 3);
}

#[test]
fn lists_are_used_in_any_order() {
    let mut driver = Driver::new(SIZE, PACKED);
    driver.offer(4, &[(1, 0), (1, WRITE)]);
    driver.offer(0, &[(1, WRITE)]);
    driver.offer(2, &[(1, 0), (1, 0)]);
    assert_eq!(driver.queue.waiting(&driver.pages.memory), Ok(3));
    let [first, second, third] = [driver.pop(), driver.pop(), driver.pop()];
    driver.finish(&third, 0);
    driver.finish(&first, 1);
    driver.finish(&second, 1);
    // The list of two was used first, so the next one is two slots further.
    assert_eq!(driver.read(0).1, 2);
    assert_eq!(driver.read(2), (1, 4, AVAIL | USED | WRITE));
    assert_eq!(driver.read(4), (1, 0, AVAIL | USED | WRITE));
    assert_eq!(driver.queue.used(), 0);
}

#[test]
fn a_list_without_room_has_no_length() {
    let mut driver = Driver::new(SIZE, PACKED);
    driver.offer(1, &[(1, 0)]);
    let chain = driver.pop();
    driver.finish(&chain, 0);
    let (len, id, flags) = driver.read(0);
    assert_eq!((id, flags), (1, AVAIL | USED));
    assert!(len > 1, "rubbish, for it means nothing");
}

#[test]
fn indirect_tables_are_read_in_their_order() {
    let mut driver = Driver::new(SIZE, PACKED);
    let table = driver.pages.data(64);
    for (entry, len, flags) in [(0, 1, 0), (1, 2, WRITE), (2, 3, WRITE)] {
        driver.pages.descriptor(driver.pages.data(64 + 16 * entry), table, len, [0xffff, flags]);
    }
    // WRITE means nothing beside INDIRECT.
    driver.pages.descriptor(driver.slot(0), table, 48, [1, INDIRECT | AVAIL | WRITE]);
    let chain = driver.pop();
    assert_eq!((chain.head, chain.descriptors, chain.buffers.len(), chain.writable()), (1, 1, 3, 5));
}

#[test]
fn a_queue_of_one_laps_with_every_request() {
    let mut driver = Driver::new(1, PACKED);
    for round in 0..4 {
        driver.offer(0, &[(1, WRITE)]);
        let chain = driver.pop();
        driver.finish(&chain, 1);
        let bits = if round % 2 == 0 { AVAIL | USED } else { 0 };
        assert_eq!(driver.read(0), (1, 0, bits | WRITE));
    }
}

#[test]
fn the_next_position_is_behind_what_is_published() {
    let mut driver = Driver::new(SIZE, PACKED);
    assert_eq!(driver.queue.published(&driver.pages.memory), Ok(0x8000));
    for _ in 0..7 {
        driver.offer(0, &[(1, 0), (1, 0)]);
        driver.offer(1, &[(1, 0)]);
        assert_eq!(driver.queue.published(&driver.pages.memory), Ok(driver.position()));
        let chains = [driver.pop(), driver.pop()];
        assert_eq!(driver.queue.published(&driver.pages.memory), Ok(driver.position()));
        for chain in &chains {
            driver.finish(chain, 0);
        }
    }
}

#[test]
fn a_driver_that_writes_nonsense_is_told_what_it_is() {
    type Case = (&'static str, fn(&mut Driver));
    let cases: [Case; 16] = [
        ("AVAIL and USED wrong in slot 1", |driver| driver.offer_half(0)),
        ("AVAIL and USED wrong in slot 1", |driver| driver.offer_half(AVAIL | USED)),
        ("AVAIL and USED wrong in slot 1", |driver| driver.offer_half(USED)),
        ("behind a writable one", |driver| driver.offer(0, &[(1, WRITE), (1, 0)])),
        ("empty buffer", |driver| driver.offer(0, &[(1, 0), (0, WRITE)])),
        ("more than the 5 descriptors", |driver| driver.offer(0, &[(1, NEXT); 5])),
        ("more than the 3 descriptors", |driver| {
            driver.offer(0, &[(1, 0); 2]);
            drop(driver.pop());
            driver.offer(1, &[(1, 0); 4]);
        }),
        ("id 3, which is in flight", |driver| {
            driver.offer(3, &[(1, 0)]);
            drop(driver.pop());
            driver.offer(3, &[(1, 0)]);
        }),
        ("id 5, in a queue of 5", |driver| driver.offer(5, &[(1, 0)])),
        ("reserved flags", |driver| driver.offer(0, &[(1, 8)])),
        ("indirect table among others", |driver| driver.offer(0, &[(1, 0), (16, INDIRECT)])),
        ("indirect table among others", |driver| driver.offer(0, &[(16, INDIRECT), (1, 0)])),
        ("indirect table of 24 bytes", |driver| driver.offer(0, &[(24, INDIRECT)])),
        ("indirect table of 0 bytes", |driver| driver.offer(0, &[(0, INDIRECT)])),
        ("flags 0x0001 in its indirect table", |driver| driver.offer_table(1, NEXT)),
        ("more than 5 buffers", |driver| driver.offer_table(6, 0)),
    ];
    for (what, write) in cases {
        let mut driver = Driver::new(SIZE, PACKED);
        write(&mut driver);
        let error = driver.queue.pop(&driver.pages.memory).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
    }
    let mut driver = Driver::new(SIZE, PACKED - Features::INDIRECT_DESC);
    driver.offer_table(1, 0);
    let error = driver.queue.pop(&driver.pages.memory).unwrap_err();
    assert!(error.contains("not negotiated"), "{error}");
}

impl Driver {
    /// A list of two whose second descriptor has these for AVAIL and USED.
    fn offer_half(&mut self, bits: u16) {
        self.pages.offer_packed(0, true, 1, 0, NEXT);
        self.pages.descriptor(self.slot(1), self.pages.data(0), 1, [0, bits]);
    }

    /// A table of entries that all have these flags.
    fn offer_table(&mut self, entries: u32, flags: u16) {
        for entry in 0..usize::try_from(entries).unwrap() {
            self.pages.descriptor(self.pages.data(16 * entry), self.pages.data(0), 1, [0, flags]);
        }
        self.offer(0, &[(16 * entries, INDIRECT)]);
    }
}

#[test]
fn one_used_descriptor_gives_a_batch_back() {
    let mut driver = Driver::new(SIZE, PACKED | Features::IN_ORDER);
    for _ in 0..4 {
        let first = driver.queue.used();
        driver.offer(0, &[(1, 0), (1, WRITE)]);
        driver.offer(3, &[(1, WRITE)]);
        let chains = [driver.pop(), driver.pop()];
        driver.queue.push_batch(&driver.pages.memory, &[&chains[0], &chains[1]], 1).unwrap();
        let bits = if first & 0x8000 != 0 { AVAIL | USED } else { 0 };
        assert_eq!(driver.read(first & 0x7fff), (1, 3, bits | WRITE));
        assert_eq!(driver.queue.used(), driver.position());
        // Both ids are free again.
    }
}

#[test]
fn interrupts_are_due_as_the_driver_asks() {
    let mut driver = Driver::new(SIZE, EVENT_IDX);
    driver.offer(0, &[(1, 0)]);
    let before = driver.queue.used();
    assert_eq!(driver.queue.wants_interrupt(&driver.pages.memory, before), Ok(false));
    let chain = driver.pop();
    driver.finish(&chain, 0);
    for (desc, flags, due) in [
        (0, 0, true),
        (0x8000, 1, false),
        (0x8000, 2, true),
        // The same slot in the next lap, and the next slot.
        (0, 2, false),
        (0x8001, 2, false),
    ] {
        driver.ask(desc, flags);
        let wants = driver.queue.wants_interrupt(&driver.pages.memory, before);
        assert_eq!(wants, Ok(due), "{desc:#06x}, {flags}");
    }
}

#[test]
fn a_position_is_passed_once_wherever_lists_start() {
    // Lists of 2 in a ring of 5, the event in each slot of both laps: passed once in 5 lists, which are 10 slots.
    for event in (0..SIZE).flat_map(|slot| [slot, slot | 0x8000]) {
        let mut driver = Driver::new(SIZE, EVENT_IDX);
        driver.ask(event, 2);
        let passed = (0..5).filter(|_| {
            driver.offer(0, &[(1, 0), (1, 0)]);
            let chain = driver.pop();
            let before = driver.queue.used();
            driver.finish(&chain, 0);
            driver.queue.wants_interrupt(&driver.pages.memory, before).unwrap()
        });
        assert_eq!(passed.count(), 1, "{event:#06x}");
    }
}

#[test]
fn a_driver_that_asks_for_interrupts_in_a_wrong_way_is_told() {
    for (features, desc, flags, what) in [
        (PACKED, 0, 2, "without EVENT_IDX"),
        (EVENT_IDX, SIZE, 2, "at slot 5"),
        (EVENT_IDX, 0, 3, "flags are 0x3"),
        (EVENT_IDX, 0, 4, "flags are 0x4"),
    ] {
        let mut driver = Driver::new(SIZE, features);
        driver.offer(0, &[(1, 0)]);
        let chain = driver.pop();
        let before = driver.queue.used();
        driver.finish(&chain, 0);
        driver.ask(desc, flags);
        let error = driver.queue.wants_interrupt(&driver.pages.memory, before).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
    }
}

#[test]
fn suppression_is_written_where_the_driver_looks() {
    let driver = Driver::new(SIZE, EVENT_IDX);
    let seen = || (driver.pages.read16(driver.pages.at(2, 0)), driver.pages.read16(driver.pages.at(2, 2)));
    driver.queue.suppress_notifications(&driver.pages.memory, true).unwrap();
    assert_eq!(seen(), (0, 1));
    driver.queue.suppress_notifications(&driver.pages.memory, false).unwrap();
    assert_eq!(seen(), (0, 0));
    driver.queue.set_avail_event(&driver.pages.memory, 0x8003).unwrap();
    assert_eq!(seen(), (0x8003, 2));
    driver.queue.write_suppression(&driver.pages.memory, 0x1234, 0xffff).unwrap();
    assert_eq!(seen(), (0x1234, 0xffff));

    let driver = Driver::new(SIZE, PACKED);
    driver.queue.set_avail_event(&driver.pages.memory, 0).unwrap_err();
}

#[test]
fn lies_are_told_as_described() {
    // Not announced: as in the lap before.
    let driver = Driver::new(SIZE, PACKED);
    driver.queue.push_unannounced(&driver.pages.memory, 2, 7).unwrap();
    assert_eq!((driver.read(0), driver.queue.used()), ((7, 2, WRITE), 0x8000));

    // An id that is not in flight takes one descriptor; one that is, its list. Only 16 bits of it fit.
    let mut driver = Driver::new(SIZE, PACKED);
    driver.offer(1, &[(1, 0), (1, 0)]);
    drop(driver.pop());
    driver.queue.push(&driver.pages.memory, 0x2_0009, 7).unwrap();
    assert_eq!((driver.read(0), driver.queue.used()), ((7, 9, AVAIL | USED | WRITE), 0x8001));
    driver.queue.push(&driver.pages.memory, 1, 7).unwrap();
    assert_eq!((driver.read(1), driver.queue.used()), ((7, 1, AVAIL | USED | WRITE), 0x8003));

    // Announced without being written: only the flags change.
    let mut driver = Driver::new(SIZE, PACKED);
    driver.offer(4, &[(1, 0), (1, WRITE)]);
    drop(driver.pop());
    driver.queue.jump(&driver.pages.memory, 3).unwrap();
    assert_eq!([0, 1, 2].map(|slot| driver.read(slot).2), [AVAIL | USED; 3]);
    assert_eq!((driver.read(1).1, driver.read(3).2, driver.queue.used()), (4, 0, 0x8000));

    driver.queue.overwrite_descriptors(&driver.pages.memory, 0xff).unwrap();
    assert!(driver.pages.read(driver.slot(0), 16 * 5).iter().all(|byte| *byte == 0xff));
    assert_eq!(driver.read(SIZE).2, 0);
}

#[test]
fn impossible_rings_are_refused() {
    let rings = |size, descriptor, driver, device| {
        let [descriptor, driver, device] = [descriptor, driver, device].map(DeviceAddr::new);
        Rings { size, descriptor, driver, device, notification_data: false, notif_config_data: false }
    };
    for good in [rings(1, 16, 4, 8), rings(6, 16, 4, 8), rings(32768, 16, 4, 8)] {
        PackedDeviceSide::new(good, PACKED).unwrap();
    }
    for bad in [
        rings(0, 16, 4, 8),
        rings(32769, 16, 4, 8),
        rings(8, 8, 4, 8),
        rings(8, 16, 2, 8),
        rings(8, 16, 4, 2),
    ] {
        assert!(PackedDeviceSide::new(bad, PACKED).is_err(), "{bad:?}");
    }
}
