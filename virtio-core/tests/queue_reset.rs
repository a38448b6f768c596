//! The reset of one queue (VIRTIO 1.4 §2.6.1): believed only when it is seen.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{Bytes, Live, Q0, Room, device, hold, up, up_with};
use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Error, Features, Incompatible, Misbehaved, Misuse, Wait};
use virtio_testkit::{Event, FakeDevice, QueueResetStyle, TestHal};

type Pair = (Bytes, Room);

const FORMATS: [Features; 2] = [Features::VERSION_1, Features::VERSION_1.union(Features::RING_PACKED)];

fn pair() -> Request<'static, Pair> {
    Request::new((Readable(vec![1; 20]), Writable(vec![0; 20])))
}

/// A device that resets its queue in this way, with two requests in flight.
fn busy(format: Features, style: QueueResetStyle) -> (TestHal, FakeDevice, Live) {
    let hal = TestHal::new();
    let features = format | Features::RING_RESET;
    let fake = device(8, hold).features(features).queue_reset(style).build(&hal);
    let spec = QueueSpec::new::<Pair>(0, 8).header(16).response(16).drains_on_reset();
    let mut live = up_with(&fake, &hal, spec).unwrap();
    for _ in 0..2 {
        live.port::<Pair>(0).unwrap().submit(pair()).unwrap();
    }
    hal.clear_trace();
    (hal, fake, live)
}

// shows: basic.virtqueues.vq-reset.1
#[test]
fn memory_of_a_queue_goes_back_when_its_reset_was_seen() {
    for format in FORMATS {
        for style in [QueueResetStyle::AtOnce, QueueResetStyle::AfterReads(5)] {
            let (hal, _fake, mut live) = busy(format, style);
            let mut back = 0;
            live.stop_queue::<Pair>(0, |_, _| back += 1).unwrap();
            assert_eq!(back, 2);
            let trace = hal.trace();
            let seen = trace.iter().position(|event| event.confirms_queue_reset(Q0)).unwrap();
            let freed = trace.iter().position(Event::gives_memory_back).unwrap();
            assert!(seen < freed, "{trace:?}");
        }
    }
}

/// QEMU 7.2's disk reads as reset while it goes on with a read (`conformance/qemu`).
#[test]
fn requests_in_flight_stay_with_a_device_that_is_not_known_to_drain() {
    for format in FORMATS {
        let hal = TestHal::new();
        let fake = device(8, hold).features(format | Features::RING_RESET).build(&hal);
        let mut live = up::<Pair>(&fake, &hal, 8).unwrap();
        live.port::<Pair>(0).unwrap().submit(pair()).unwrap();
        hal.clear_trace();
        let outcome = live.stop_queue::<Pair>(0, |_, _| panic!("the device still has it"));
        assert_eq!(outcome, Err(Misuse::RequestsInFlight.into()));
        // Nothing was tried, and the queue goes on; idle, it can be reset.
        assert!(!hal.trace().iter().any(|event| matches!(event, Event::QueueResetWrite(_))));
        fake.complete(0, 0, &[7; 20]);
        assert_eq!(
            live.stop_queue::<Pair>(0, |_, _| ()),
            Err(Misuse::RequestsInFlight.into()),
            "not taken yet"
        );
        assert!(live.port::<Pair>(0).unwrap().poll().unwrap().is_some());
        live.reset_queue::<Pair>(0, |_, _| panic!("nothing is out")).unwrap();
    }
}

// shows: basic.virtqueues.vq-reset.1
#[test]
fn a_queue_that_ignores_its_reset_goes_on_as_before() {
    for format in FORMATS {
        let (hal, fake, mut live) = busy(format, QueueResetStyle::Ignored);
        let ignored = Incompatible::QueueResetIgnored(Q0);
        let outcome = live.stop_queue::<Pair>(0, |_, _| panic!("the device still has it"));
        assert_eq!(outcome, Err(ignored.into()));
        assert!(!hal.trace().iter().any(Event::gives_memory_back));
        assert_eq!(live.start_queue(0), Err(Misuse::QueueNotStopped.into()));
        fake.complete(0, 1, &[7; 20]);
        let mut port = live.port::<Pair>(0).unwrap();
        assert_eq!(port.poll().unwrap().unwrap().take_payload().unwrap().1.0, [7; 20]);
        assert_eq!(port.in_flight(), 1);
    }
}

// shows: basic.virtqueues.vq-reset.1
#[test]
fn a_queue_whose_reset_never_ends_takes_the_device_down() {
    for format in FORMATS {
        let (hal, fake, mut live) = busy(format, QueueResetStyle::Never);
        let outcome = live.stop_queue::<Pair>(0, |_, _| panic!("the device still has it"));
        assert_eq!(outcome, Err(Misbehaved::Timeout(Wait::QueueReset(Q0)).into()));
        assert!(fake.status().is_empty());
        common::assert_reset_before_free(&hal.trace());
        assert_eq!(live.start_queue(0), Err(Error::Down));
    }
}

/// What is said of stopping a queue on MMIO in the list of what does not apply rests on this.
#[test]
fn without_the_feature_no_queue_is_stopped() {
    for format in FORMATS {
        let hal = TestHal::new();
        let fake = device(8, hold).features(format).build(&hal);
        let mut live = up::<Pair>(&fake, &hal, 8).unwrap();
        live.port::<Pair>(0).unwrap().submit(pair()).unwrap();
        hal.clear_trace();
        let outcome = live.stop_queue::<Pair>(0, |_, _| panic!("the device still has it"));
        assert_eq!(outcome, Err(Incompatible::MissingFeatures(Features::RING_RESET).into()));
        assert_eq!(hal.trace(), [], "the device was told nothing");
        fake.complete(0, 0, &[7; 20]);
        assert!(live.port::<Pair>(0).unwrap().poll().unwrap().is_some());
    }
}

// shows: basic.virtqueues.vq-reset.vq-reenable.1
#[test]
fn a_queue_is_enabled_again_as_it_was_at_first() {
    for format in FORMATS {
        let hal = TestHal::new();
        let fake = device(8, hold).features(format | Features::RING_RESET).build(&hal);
        let mut live = up::<Pair>(&fake, &hal, 8).unwrap();
        live.reset_queue::<Pair>(0, |_, _| {}).unwrap();
        let enabled = |event: &Event| match event {
            Event::QueueEnabled { queue, rings } => Some((*queue, *rings)),
            _ => None,
        };
        let all: Vec<_> = hal.trace().iter().filter_map(enabled).collect();
        let [first, again] = all[..] else { panic!("{all:?}") };
        assert_eq!(first, again);
        live.port::<Pair>(0).unwrap().submit(pair()).unwrap();
        assert_eq!(fake.held(0), 1);
    }
}
