//! Notifications and interrupts: as few as the device and the driver asked for, and none lost.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{ID, LIMIT, Live, Q0, device, echo, hold, up};
use virtio_core::Features;
use virtio_core::queue::{Port, Request};
use virtio_core::transport::InterruptStatus;
use virtio_testkit::{Builder, Event, FakeDevice, FakeTransport, Reply, TestHal};

const EVENT_IDX: Features = Features::VERSION_1.union(Features::EVENT_IDX);

fn byte() -> Request<'static, ()> {
    Request::new(()).header(&[1])
}

fn start(builder: Builder, size: u16) -> (TestHal, FakeDevice, Live) {
    let hal = TestHal::new();
    let device = builder.build(&hal);
    let live = up::<()>(&device, &hal, size).unwrap();
    (hal, device, live)
}

fn kicks(hal: &TestHal) -> usize {
    let kicks = hal.trace().iter().filter(|event| **event == Event::Notify(Q0)).count();
    hal.clear_trace();
    kicks
}

#[test]
fn a_batch_is_published_with_one_index_and_one_kick() {
    for features in [Features::VERSION_1, EVENT_IDX] {
        let (hal, device, mut live) = start(device(8, hold).features(features), 8);
        let mut port = live.port::<()>(0).unwrap();
        for _ in 0..5 {
            port.add(byte()).unwrap();
        }
        assert!(!port.kick(), "nothing was published");
        device.poll();
        assert_eq!(device.held(0), 0);
        port.publish();
        assert!(port.kick());
        assert!(!port.kick(), "kicked already");
        assert_eq!((device.held(0), kicks(&hal)), (5, 1));
    }
}

// shows: split.avail-notif-suppress.3, split.avail-notif-suppress.4
#[test]
fn a_device_that_wants_no_notification_gets_none() {
    let (hal, device, mut live) = start(device(8, echo), 8);
    let mut port = live.port::<()>(0).unwrap();
    device.suppress_notifications(0, true);
    port.submit(byte()).unwrap();
    assert_eq!((kicks(&hal), device.ring(0).unwrap().taken()), (0, 0));
    device.suppress_notifications(0, false);
    port.submit(byte()).unwrap();
    // One kick serves both.
    assert_eq!((kicks(&hal), device.ring(0).unwrap().taken()), (1, 2));
}

// shows: split.avail-notif-suppress.6, split.avail-notif-suppress.7
#[test]
fn under_event_idx_a_kick_is_due_exactly_where_the_device_asks() {
    let (hal, device, mut live) = start(device(8, echo).features(EVENT_IDX), 8);
    let mut port = live.port::<()>(0).unwrap();
    device.set_avail_event(0, Some(3));
    let due: Vec<bool> = (0..6)
        .map(|_| {
            let before = kicks(&hal);
            assert_eq!(before, 0);
            port.submit(byte()).unwrap();
            device.poll();
            drop(port.poll().unwrap().unwrap());
            kicks(&hal) == 1
        })
        .collect();
    assert_eq!(due, [false, false, false, true, false, false]);
}

#[test]
fn under_event_idx_a_batch_that_passes_the_event_is_kicked() {
    let (hal, device, mut live) = start(device(8, hold).features(EVENT_IDX), 8);
    let mut port = live.port::<()>(0).unwrap();
    for (event, batch, due) in [(2, 2, false), (2, 1, true), (9, 3, false), (3, 1, false)] {
        device.set_avail_event(0, Some(event));
        for _ in 0..batch {
            port.add(byte()).unwrap();
        }
        port.publish();
        assert_eq!(port.kick(), due, "event {event}");
    }
    assert_eq!(kicks(&hal), 1);
}

#[test]
#[cfg_attr(miri, ignore = "too many rounds; `queue::event` has the arithmetic")]
fn no_kick_is_lost_when_indices_wrap() {
    for features in [Features::VERSION_1, EVENT_IDX] {
        let (hal, _device, mut live) = start(device(4, echo).features(features), 4);
        for round in 0..66_000_u32 {
            assert_eq!(live.exchange(0, &[1], &mut [0], LIMIT), Ok(1), "round {round}");
            assert_eq!(kicks(&hal), 1, "round {round}");
        }
    }
}

#[test]
fn interrupts_are_off_until_asked_for() {
    for features in [Features::VERSION_1, EVENT_IDX] {
        let (_hal, device, mut live) = start(device(8, hold).features(features), 8);
        let mut port = live.port::<()>(0).unwrap();
        for _ in 0..4 {
            port.submit(byte()).unwrap();
        }
        device.complete(0, 0, &[]);
        assert_eq!(device.interrupts(), 0);
        drop(port.poll().unwrap());
        assert!(!port.enable_interrupts());
        device.complete(0, 0, &[]);
        assert_eq!(device.interrupts(), 1);
        drop(port.poll().unwrap());
        port.disable_interrupts();
        device.complete(0, 0, &[]);
        assert_eq!(device.interrupts(), 1);
    }
}

#[test]
fn enabling_interrupts_tells_of_what_was_used_before() {
    for features in [Features::VERSION_1, EVENT_IDX] {
        let (_hal, device, mut live) = start(device(8, hold).features(features), 8);
        let mut port = live.port::<()>(0).unwrap();
        let first = port.submit(byte()).unwrap();
        let second = port.submit(byte()).unwrap();
        assert!(!port.enable_interrupts());
        port.disable_interrupts();
        device.complete(0, 0, &[]);
        assert!(port.enable_interrupts(), "one is on the ring");
        device.complete(0, 0, &[]);
        let settle = |port: &mut Port<'_, (), FakeTransport, TestHal>, token| {
            drop(port.poll_for(token).unwrap().unwrap());
        };
        settle(&mut port, second);
        assert!(port.enable_interrupts(), "one was taken off the ring, and nobody has asked for it");
        settle(&mut port, first);
        assert!(!port.enable_interrupts());
    }
}

#[test]
fn acknowledging_reads_the_reasons_once() {
    let (_hal, device, mut live) = start(device(8, echo).config([1, 2, 3, 4]), 8);
    assert!(!live.port::<()>(0).unwrap().enable_interrupts());
    live.port::<()>(0).unwrap().submit(byte()).unwrap();
    device.set_config([4, 3, 2, 1]);
    assert_eq!(live.ack_interrupt(), Ok(InterruptStatus::QUEUE | InterruptStatus::CONFIG));
    assert_eq!(live.ack_interrupt(), Ok(InterruptStatus::empty()));
}

// shows: split.legacy-virtqueue-endianness.1
#[test]
fn a_legacy_queue_speaks_the_hosts_own_byte_order() {
    let builder = FakeDevice::builder(ID).queue(0, 8, |request| {
        assert_eq!(request.readable, [1]);
        Reply::Write(vec![2; 300])
    });
    let (hal, device, mut live) = start(builder.features(Features::EVENT_IDX).legacy(), 8);
    let mut bytes = [0; 300];
    assert_eq!(live.call(0, &[&[1]], &mut [&mut bytes], LIMIT), Ok(300));
    // The raw index in memory is the host's, whatever its order.
    let rings = device.ring(0).unwrap().rings();
    let index = virtio_core::DeviceAddr::new(rings.driver.get() + 2);
    assert_eq!(hal.memory().load16(index), Ok(1));
}
