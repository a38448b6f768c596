//! What was negotiated decides how a scripted device goes about its queues: format, positions, batches, resets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    reason = "tests run on a host and fail by panicking; not every file uses every helper"
)]

mod common;

use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use common::{AVAIL, NEXT, PACKED, PLAIN, Pages, USED, WRITE};
use virtio_core::transport::{Doorbell, QueueReset, Transport};
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex, Status};
use virtio_testkit::{
    Builder, DeviceQueue, Event, FakeDevice, FakeTransport, Lie, QueueResetStyle, Reply, Request, Reset,
    TestHal,
};

const Q0: QueueIndex = QueueIndex::new(0);
const SIZE: u16 = 4;
const FORMATS: [Features; 2] = [PLAIN, PACKED];

/// A driver written by hand: one queue of 4, each request one descriptor, heads or ids in the order of slots.
struct Driver {
    hal: TestHal,
    device: FakeDevice,
    transport: FakeTransport,
    pages: Pages,
    features: Features,
    bell: Doorbell,
    /// How many requests were published since the queue was enabled.
    count: u16,
}

fn hold(_: Request) -> Reply {
    Reply::Hold
}

fn echo(request: Request) -> Reply {
    Reply::Write(vec![7; request.writable])
}

fn device(features: Features, handler: fn(Request) -> Reply) -> Builder {
    FakeDevice::builder(DeviceId::ENTROPY).features(features).queue(0, SIZE, handler)
}

impl Driver {
    fn new(builder: Builder, features: Features) -> Self {
        let hal = TestHal::new();
        let device = builder.build(&hal);
        let mut transport = device.transport();
        let mut status = Status::ACKNOWLEDGE | Status::DRIVER;
        transport.set_status(status);
        for window in 0..2 {
            transport.set_driver_features(window, features.window(window));
        }
        status |= Status::FEATURES_OK;
        transport.set_status(status);
        assert_eq!(transport.status(), status);
        let pages = Pages::new(&hal);
        let bell = transport.enable_queue(Q0, &pages.rings(SIZE, features)).unwrap();
        transport.set_status(status | Status::DRIVER_OK);
        Self { hal, device, transport, pages, features, bell, count: 0 }
    }

    fn packed(&self) -> bool {
        self.features.contains(Features::RING_PACKED)
    }

    /// Where the driver is: an index, or a position.
    fn position(&self) -> u16 {
        if !self.packed() {
            return self.count;
        }
        (self.count % SIZE) | (u16::from(self.wrap()) << 15)
    }

    fn wrap(&self) -> bool {
        (self.count / SIZE) % 2 == 0
    }

    /// Publishes a request of `len` bytes that the device may write.
    fn publish(&mut self, len: u32) {
        let slot = self.count % SIZE;
        if self.packed() {
            self.pages.offer_packed(slot, self.wrap(), len, slot, WRITE);
        } else {
            self.pages.offer_split(self.count, SIZE, slot, len, WRITE);
        }
        self.count += 1;
    }

    fn kick(&self) {
        let carries = self.features.contains(Features::NOTIFICATION_DATA);
        self.transport.notify(if carries { self.bell.at(self.position()) } else { self.bell });
    }

    fn send(&mut self, len: u32) {
        self.publish(len);
        self.kick();
    }

    /// The used element at the `index`-th place, as id and length, if it is announced.
    fn used(&self, index: u16) -> Option<(u32, u32)> {
        let slot = usize::from(index % SIZE);
        let word = |page, offset| {
            let raw = self.pages.read(self.pages.at(page, offset), 4);
            u32::from_le_bytes(raw.try_into().unwrap())
        };
        if !self.packed() {
            let announced = self.pages.read16(self.pages.at(2, 2)) > index;
            return announced.then(|| (word(2, 4 + 8 * slot), word(2, 8 + 8 * slot)));
        }
        let flags = self.pages.read16(self.pages.at(0, 16 * slot + 14));
        let bits = if (index / SIZE) % 2 == 0 { AVAIL | USED } else { 0 };
        let id = u32::from(self.pages.read16(self.pages.at(0, 16 * slot + 12)));
        (flags & (AVAIL | USED) == bits).then(|| (id, word(0, 16 * slot + 8)))
    }

    /// Tells the device when to interrupt: never.
    fn want_no_interrupts(&self) {
        let field = if self.packed() { 2 } else { 0 };
        self.pages.write16(self.pages.at(1, field), 1);
    }

    #[track_caller]
    fn assert_fault(&self, what: &str) {
        let faults = self.hal.take_faults();
        assert!(faults.len() == 1 && faults[0].contains(what), "{what}: {faults:?}");
    }

    fn trace(&self, of: impl Fn(&Event) -> bool) -> usize {
        self.hal.trace().iter().filter(|event| of(event)).count()
    }
}

#[test]
fn the_format_is_the_one_that_was_accepted() {
    for features in FORMATS {
        let mut driver = Driver::new(device(PACKED, echo), features);
        let ring = driver.device.ring(0).unwrap();
        assert_eq!(matches!(ring, DeviceQueue::Packed(_)), driver.packed());
        for round in 0..10 {
            driver.send(3);
            assert_eq!(driver.used(round), Some((u32::from(round % SIZE), 3)), "{features:?} {round}");
        }
        assert_eq!(driver.pages.read(driver.pages.data(0), 4), [7, 7, 7, 0]);
        assert_eq!(driver.device.interrupts(), 10);
        driver.want_no_interrupts();
        driver.send(3);
        assert_eq!(driver.device.interrupts(), 10);
    }
}

#[test]
fn a_legacy_device_has_no_packed_queue() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::ENTROPY).legacy().queue(0, SIZE, echo).build(&hal);
    let pages = Pages::new(&hal);
    let why = DeviceQueue::new(pages.rings(SIZE, PACKED), PACKED, true).unwrap_err();
    assert!(why.contains("no legacy packed"), "{why}");
    assert!(device.ring(0).is_none());
}

#[test]
fn notifications_carry_the_position_if_that_was_accepted() {
    for format in FORMATS {
        let features = format | Features::NOTIFICATION_DATA;
        let mut driver = Driver::new(device(features, echo), features);
        for _ in 0..9 {
            driver.publish(1);
            driver.send(1);
            assert_eq!(driver.hal.faults(), [""; 0]);
        }
        driver.publish(1);
        for wrong in [0_u16, 1, 3, 0x8000].map(|off| driver.position().wrapping_add(off)) {
            driver.transport.notify(driver.bell.at(wrong));
            if wrong == driver.position() {
                assert_eq!(driver.hal.faults(), [""; 0]);
            } else {
                driver.assert_fault("is published");
            }
        }
        assert_eq!(driver.trace(|event| matches!(event, Event::Notify(queue) if *queue == Q0)), 13);

        let driver = Driver::new(device(format, echo), format);
        driver.transport.notify(driver.bell.at(0x8000));
        driver.assert_fault("carries 0x8000");
    }
}

#[test]
fn rings_say_whether_notifications_carry_a_position() {
    for (said, accepted) in [(PLAIN, Features::NOTIFICATION_DATA), (Features::NOTIFICATION_DATA, PLAIN)] {
        let mut driver = Driver::new(device(PLAIN | accepted, echo), PLAIN | accepted);
        driver.transport.set_status(Status::empty());
        driver.transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
        for window in 0..2 {
            driver.transport.set_driver_features(window, (PLAIN | accepted).window(window));
        }
        driver.transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER | Status::FEATURES_OK);
        driver.transport.enable_queue(Q0, &driver.pages.rings(SIZE, said)).unwrap();
        driver.assert_fault("notification_data");
    }
}

#[test]
fn a_batch_is_given_back_with_one_used_element() {
    for format in FORMATS {
        let features = format | Features::IN_ORDER;
        let mut driver = Driver::new(device(features, hold), features);
        let mut first = 0;
        for batch in [3, 1, 4, 2] {
            for _ in 0..batch {
                driver.send(2);
            }
            driver.device.complete_batch(0, usize::from(batch));
            let last = u32::from((first + batch - 1) % SIZE);
            let place = if driver.packed() { first } else { first % SIZE };
            let used = driver.used(place);
            assert_eq!(used, Some((last, 2)), "{features:?} {batch} at {first}");
            first += batch;
            let mut due = driver.position();
            if !driver.packed() {
                due = first;
            }
            assert_eq!(driver.device.ring(0).unwrap().used(), due);
            assert_eq!(driver.device.held(0), 0);
        }
        assert_eq!(driver.pages.read(driver.pages.data(0), 3), [FakeDevice::BATCH_FILL, 0xb7, 0]);
        // The last may be short, and only its length is told.
        driver.send(2);
        driver.send(2);
        driver.device.complete_batch_with(0, &[&[1, 1], &[2]]);
        assert_eq!(driver.used(first).unwrap().1, 1);
        driver.send(2);
        driver.send(2);
        let short = catch_unwind(AssertUnwindSafe(|| driver.device.complete_batch_with(0, &[&[1], &[2]])));
        assert!(short.is_err() && driver.device.held(0) == 2);
    }
}

#[test]
fn a_batch_takes_in_order() {
    for features in FORMATS {
        let mut driver = Driver::new(device(features, hold), features);
        driver.send(1);
        assert!(catch_unwind(AssertUnwindSafe(|| driver.device.complete_batch(0, 1))).is_err());
        assert_eq!(driver.device.held(0), 1);
    }
}

#[test]
fn a_queue_is_reset_in_each_style() {
    use QueueReset::{Done, Ignored, Ongoing};
    for format in FORMATS {
        let features = format | Features::RING_RESET;
        for (style, answers) in [
            (QueueResetStyle::AtOnce, [Done, Done, Done]),
            (QueueResetStyle::AfterReads(2), [Ongoing, Ongoing, Done]),
            (QueueResetStyle::Never, [Ongoing, Ongoing, Ongoing]),
            (QueueResetStyle::Ignored, [Ignored, Ignored, Ignored]),
        ] {
            let mut driver = Driver::new(device(features, hold).queue_reset(style), features);
            driver.send(1);
            driver.send(1);
            assert_eq!(driver.transport.queue_reset(Q0), Ignored, "not asked for yet");
            driver.transport.reset_queue(Q0);
            assert_eq!([(); 3].map(|()| driver.transport.queue_reset(Q0)), answers);
            let done = answers[2] == Done;
            assert_eq!(driver.device.ring(0).is_none(), done);
            assert_eq!(driver.device.held(0), if done { 0 } else { 2 });
            let again = driver.transport.enable_queue(Q0, &driver.pages.rings(SIZE, features));
            assert_eq!(again.is_ok(), done);
            if !done {
                assert_eq!(again, Err(Error::from(Incompatible::QueueBusy(Q0))));
            }
            assert_eq!(driver.trace(|event| *event == Event::QueueResetWrite(Q0)), 1);
            assert_eq!(driver.trace(|event| matches!(event, Event::QueueResetRead { .. })), 4);
            assert_eq!(driver.hal.trace().iter().any(|event| event.confirms_queue_reset(Q0)), done);
            assert_eq!(driver.hal.faults(), [""; 0]);
        }
    }
}

#[test]
fn a_queue_that_was_reset_starts_from_scratch() {
    for format in FORMATS {
        let features = format | Features::RING_RESET;
        let mut driver = Driver::new(device(features, echo), features);
        for size in [1, 3, 6] {
            for round in 0..size {
                driver.send(1);
                assert!(driver.used(round).is_some());
            }
            driver.transport.reset_queue(Q0);
            assert_eq!(driver.transport.queue_reset(Q0), QueueReset::Done);
            driver.pages.memory.write(driver.pages.at(0, 0), &[0; 3 * 4096]).unwrap();
            driver.transport.enable_queue(Q0, &driver.pages.rings(SIZE, features)).unwrap();
            driver.count = 0;
        }
        assert_eq!(driver.hal.faults(), [""; 0]);
    }
}

#[test]
fn while_a_queue_is_reset_nothing_is_begun_and_what_is_held_may_still_be_finished() {
    for format in FORMATS {
        let features = format | Features::RING_RESET;
        let builder = device(features, hold).queue_reset(QueueResetStyle::AfterReads(1));
        let mut driver = Driver::new(builder, features);
        driver.send(1);
        driver.transport.reset_queue(Q0);
        driver.send(1);
        assert_eq!(driver.device.held(0), 1);
        driver.device.complete(0, 0, &[1]);
        assert_eq!(driver.used(0), Some((0, 1)));
        assert_eq!(driver.transport.queue_reset(Q0), QueueReset::Ongoing);
        assert_eq!(driver.transport.queue_reset(Q0), QueueReset::Done);
        driver.device.poll();
        assert_eq!((driver.device.held(0), driver.used(1)), (0, None));
    }
}

#[test]
fn a_queue_that_ignores_its_reset_is_as_live_as_before() {
    for format in FORMATS {
        let features = format | Features::RING_RESET;
        let mut driver = Driver::new(device(features, hold), features);
        driver.device.set_queue_reset(QueueResetStyle::Ignored);
        driver.send(1);
        driver.transport.reset_queue(Q0);
        assert_eq!(driver.transport.queue_reset(Q0), QueueReset::Ignored);
        driver.send(1);
        driver.device.complete(0, 0, &[1]);
        assert_eq!((driver.device.held(0), driver.used(0)), (1, Some((0, 1))));
    }
}

#[test]
fn a_handler_whose_queue_was_reset_answers_nobody() {
    for format in FORMATS {
        let features = format | Features::RING_RESET;
        let hal = TestHal::new();
        let slot: Arc<Mutex<Option<FakeTransport>>> = Arc::default();
        let inside = Arc::clone(&slot);
        let rings = Arc::new(Mutex::new(None));
        let again = Arc::clone(&rings);
        let builder = FakeDevice::builder(DeviceId::ENTROPY).features(features).queue(0, SIZE, move |_| {
            if let Some(transport) = &mut *inside.lock().unwrap() {
                transport.reset_queue(Q0);
                transport.enable_queue(Q0, &again.lock().unwrap().unwrap()).unwrap();
            }
            inside.lock().unwrap().take();
            Reply::Hold
        });
        drop(hal);
        let mut driver = Driver::new(builder, features);
        *slot.lock().unwrap() = Some(driver.device.transport());
        *rings.lock().unwrap() = Some(driver.pages.rings(SIZE, features));
        // Reset and enabled over the same memory, the queue is found with the same request in it, and taken again.
        driver.send(1);
        assert_eq!(driver.device.held(0), 1);
        assert_eq!(driver.hal.faults(), [""; 0]);
    }
}

#[test]
fn a_driver_that_resets_a_queue_against_the_rules_is_noticed() {
    let mut driver = Driver::new(device(PLAIN, hold), PLAIN);
    driver.transport.reset_queue(Q0);
    driver.assert_fault("without RING_RESET");

    let features = PLAIN | Features::RING_RESET;
    let mut driver = Driver::new(device(features, hold).queue(1, SIZE, hold), features);
    driver.transport.reset_queue(QueueIndex::new(1));
    driver.assert_fault("not enabled");
    driver.transport.enable_queue(QueueIndex::new(1), &driver.pages.rings(SIZE, features)).unwrap();
    driver.assert_fault("after DRIVER_OK");
    driver.transport.reset_queue(Q0);
    driver.transport.notify(driver.bell);
    driver.assert_fault("not enabled");
}

#[test]
fn lies_mean_the_like_in_both_formats() {
    for features in FORMATS {
        let of = || {
            let mut driver = Driver::new(device(features, hold), features);
            driver.send(5);
            driver.send(5);
            driver
        };
        let driver = of();
        driver.device.lie(0, Lie::UsedId { id: 1, len: 9 });
        driver.device.lie(0, Lie::UsedId { id: 1, len: 8 });
        assert_eq!([0, 1, 2].map(|index| driver.used(index)), [Some((1, 9)), Some((1, 8)), None]);

        let driver = of();
        driver.device.lie(0, Lie::UsedIndex(3));
        assert!([0, 1, 2].iter().all(|index| driver.used(*index).is_some()) && driver.used(3).is_none());

        let driver = of();
        driver.device.lie(0, Lie::Unannounced { id: 1, len: 9 });
        assert_eq!(driver.used(0), None);
        driver.device.complete(0, 0, &[1]);
        assert_eq!(driver.used(0), Some((0, 1)));

        let driver = of();
        driver.device.lie(0, Lie::OverwriteDescriptors(0xee));
        assert_eq!(driver.pages.read(driver.pages.at(0, 0), 64), [0xee; 64]);
    }
}

#[test]
fn rubbish_for_suppression_stays() {
    for format in FORMATS {
        let features = format | Features::EVENT_IDX;
        let mut driver = Driver::new(device(features, hold), features);
        driver.device.lie(0, Lie::Suppression { event: 0x1234, flags: 3 });
        driver.send(5);
        let (event, flags) = if driver.packed() { (0, 2) } else { (4 + 8 * 4, 0) };
        assert_eq!(driver.pages.read16(driver.pages.at(2, event)), 0x1234);
        assert_eq!(driver.pages.read16(driver.pages.at(2, flags)), 3);
        driver.device.set_avail_event(0, None);
        driver.send(5);
        assert_eq!(driver.pages.read16(driver.pages.at(2, event)), driver.position());
    }
}

#[test]
fn a_handler_may_lie_in_a_packed_queue() {
    let lie = |_: Request| Reply::Lie(Lie::UsedId { id: 77, len: 1 });
    let mut driver = Driver::new(device(PACKED, lie), PACKED);
    driver.send(1);
    assert_eq!((driver.used(0), driver.device.held(0)), (Some((77, 1)), 1));
}

#[test]
fn a_packed_device_asks_for_notifications_as_told() {
    let features = PACKED | Features::EVENT_IDX;
    let mut driver = Driver::new(device(features, echo), features);
    let seen = |driver: &Driver| [0, 2].map(|field| driver.pages.read16(driver.pages.at(2, field)));
    assert_eq!(seen(&driver), [0, 0]);
    driver.send(1);
    // At the next one.
    assert_eq!(seen(&driver), [0x8001, 2]);
    driver.device.set_avail_event(0, Some(3));
    driver.send(1);
    assert_eq!(seen(&driver), [3, 2]);
    driver.device.set_avail_event(0, None);
    assert_eq!(seen(&driver), [0x8002, 2]);
    driver.device.suppress_notifications(0, true);
    driver.send(1);
    assert_eq!(seen(&driver)[1], 1);
    driver.device.suppress_notifications(0, false);
    assert_eq!(seen(&driver)[1], 0);
    driver.send(1);
    assert_eq!(seen(&driver), [0, 2]);
}

#[test]
fn a_driver_that_asks_for_interrupts_in_a_wrong_way_is_noticed() {
    let mut driver = Driver::new(device(PACKED, echo), PACKED);
    driver.pages.write16(driver.pages.at(1, 2), 3);
    driver.send(1);
    driver.assert_fault("event flags are 0x3");

    let features = PLAIN | Features::EVENT_IDX;
    let mut driver = Driver::new(device(features, echo), features);
    driver.pages.write16(driver.pages.at(1, 0), 1);
    driver.send(1);
    driver.assert_fault("avail.flags is 0x1");
}

#[test]
fn a_model_of_a_device_hears_of_resets() {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = || heard.load(Ordering::Relaxed);
    let inside = Arc::clone(&heard);
    let builder = device(PLAIN, hold).reset(Reset::AfterReads(1)).on_reset(move || {
        inside.fetch_add(1, Ordering::Relaxed);
    });
    let mut driver = Driver::new(builder, PLAIN);
    assert_eq!(count(), 0);
    driver.transport.set_status(Status::empty());
    assert!(!driver.transport.status().is_empty());
    assert_eq!(count(), 0, "not over yet");
    assert!(driver.transport.status().is_empty());
    assert_eq!(count(), 1);
    driver.device.set_reset(Reset::Never);
    driver.transport.set_status(Status::ACKNOWLEDGE);
    driver.transport.set_status(Status::empty());
    assert_eq!(count(), 1);
}

#[test]
fn a_chain_of_a_device_that_stopped_is_not_taken_again() {
    let mut driver = Driver::new(device(PACKED, hold), PACKED);
    driver.pages.offer_packed(0, true, 1, 9, NEXT);
    driver.count = 1;
    driver.kick();
    driver.assert_fault("AVAIL and USED wrong");
    driver.send(1);
    assert_eq!((driver.device.held(0), driver.hal.faults().len()), (0, 0));
    // It has stopped; for the driver, the queue is enabled still.
    let again = driver.transport.enable_queue(Q0, &driver.pages.rings(SIZE, PACKED));
    assert_eq!(again, Err(Error::from(Incompatible::QueueBusy(Q0))));
}
