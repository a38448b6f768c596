//! Interrupts apart from the driver, what they are about, and the way back from a device that gives up
//! (VIRTIO 1.4 §2.1.2, §2.5, §4.1.5.3, §4.1.5.4).
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::{Bytes, ID, LIMIT, Live, Q0, assert_reset_before_free, device, echo, hold, keep, up};
use virtio_core::config::ByteOrder;
use virtio_core::device::{DeviceEvent, Init, Wanted};
use virtio_core::dma::Readable;
use virtio_core::queue::Request;
use virtio_core::transport::InterruptStatus;
use virtio_core::{
    Endpoint, Error, Features, HalError, Incompatible, Interrupts, Misbehaved, Misuse, Status, Wait,
};
use virtio_testkit::{Call, Event, FakeTransport, Reset, TestHal};

const NOTHING: InterruptStatus = InterruptStatus::empty();

fn build(transport: FakeTransport, hal: TestHal) -> Result<Live, Error> {
    let init = Init::start(transport, hal, ID)?.negotiate(&Wanted::default())?;
    init.queues(&[virtio_core::queue::QueueSpec::new::<()>(0, 8).header(16).response(16)])?.live()
}

#[test]
fn an_endpoint_says_why_once() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<Bytes>(&fake, &hal, 8).unwrap();
    assert_eq!(live.vectors(), Ok(1));
    assert_eq!(live.endpoint(1).unwrap_err(), Misuse::NoSuchVector.into());
    assert_eq!(live.endpoint(u16::MAX).unwrap_err(), Misuse::NoSuchVector.into());
    let endpoint = live.endpoint(0).unwrap();
    assert!(endpoint.serves(Q0) && (&endpoint as &dyn Endpoint).serves(Q0));
    // On a shared line: another's.
    assert_eq!(endpoint.ack(), NOTHING);
    let mut port = live.port::<Bytes>(0).unwrap();
    assert!(!port.enable_interrupts());
    let token = port.submit(Request::new(Readable(vec![1]))).unwrap();
    fake.complete(0, 0, &[]);
    assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
    assert_eq!(endpoint.ack(), NOTHING, "reading clears");
    assert_eq!(live.attend(InterruptStatus::QUEUE), Ok(None));
    assert!(live.port::<Bytes>(0).unwrap().poll_for(token).unwrap().is_some());
    fake.set_config([1]);
    assert_eq!((&endpoint as &dyn Endpoint).ack(), InterruptStatus::CONFIG);
}

/// The handler runs while somebody has the driver to himself, on another CPU.
#[test]
fn an_endpoint_works_while_the_driver_is_borrowed() {
    let rounds = if cfg!(miri) { 10 } else { 2000_u32 };
    let hal = TestHal::new();
    let fake = device(8, echo).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    let endpoint = live.endpoint(0).unwrap();
    let (over, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Once more after the end: what came last is seen, too.
            loop {
                let last = over.load(Ordering::Acquire);
                if endpoint.ack().contains(InterruptStatus::QUEUE) {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                if last {
                    break;
                }
                thread::yield_now();
            }
        });
        for round in 0..rounds {
            assert!(!live.port::<()>(0).unwrap().enable_interrupts());
            let mut answer = [0; 4];
            assert_eq!(live.exchange(0, &round.to_le_bytes(), &mut answer, LIMIT), Ok(4));
            assert_eq!(answer, round.to_le_bytes());
        }
        over.store(true, Ordering::Release);
    });
    assert!(fake.interrupts() > 0, "the device had something to say");
    let seen = seen.load(Ordering::Relaxed);
    assert!((1..=fake.interrupts()).contains(&seen), "{seen} of {}", fake.interrupts());
}

#[test]
fn a_change_of_the_configuration_is_an_event() {
    let hal = TestHal::new();
    let fake = device(8, hold).config([1, 0, 0, 0]).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    let endpoint = live.endpoint(0).unwrap();
    fake.set_config([2, 0, 0, 0]);
    let status = endpoint.ack();
    assert_eq!(status, InterruptStatus::CONFIG);
    assert_eq!(live.attend(status), Ok(Some(DeviceEvent::ConfigChanged)));
    assert_eq!(live.config(ByteOrder::Little).unwrap().u32(0), Ok(2));
    // Spurious, or the queues alone: the device is not even asked.
    hal.clear_trace();
    assert_eq!(live.attend(NOTHING), Ok(None));
    assert_eq!(live.attend(InterruptStatus::QUEUE), Ok(None));
    assert!(hal.trace().is_empty());
    // Both at once, with a bit that no specification has.
    let all = InterruptStatus::from_bits_retain(u32::MAX);
    assert_eq!(live.attend(all), Ok(Some(DeviceEvent::ConfigChanged)));
}

#[test]
fn a_device_that_gives_up_is_down_and_comes_back_in_one_call() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<Bytes>(&fake, &hal, 8).unwrap();
    let endpoint = live.endpoint(0).unwrap();
    live.port::<Bytes>(0).unwrap().submit(Request::new(Readable(vec![1; 100]))).unwrap();
    assert_eq!(fake.held(0), 1);
    fake.needs_reset();
    hal.clear_trace();
    let status = endpoint.ack();
    assert_eq!(live.attend(status), Ok(Some(DeviceEvent::NeedsReset)));
    assert_reset_before_free(&hal.trace());
    assert!(hal.outstanding().is_none(), "all memory is back: {:?}", hal.outstanding());
    assert_eq!(fake.status(), Status::empty());

    // Everything says so, and nothing reaches the device any more.
    hal.clear_trace();
    assert_eq!(live.attend(InterruptStatus::CONFIG), Err(Error::Down));
    assert_eq!(live.endpoint(0).map(drop), Err(Error::Down));
    assert_eq!(live.vectors(), Err(Error::Down));
    assert_eq!(live.port::<Bytes>(0).map(drop).unwrap_err(), Error::Down);
    assert!(hal.trace().is_empty());

    let mut live = live.rebuild(build).unwrap();
    assert!(fake.status().contains(Status::DRIVER_OK));
    assert!(!fake.status().contains(Status::DEVICE_NEEDS_RESET));
    // Endpoints from before still lead to it; there is one from now on as well.
    let mut port = live.port::<()>(0).unwrap();
    assert!(!port.enable_interrupts());
    let token = port.submit(Request::new(()).header(&[1])).unwrap();
    fake.complete(0, 0, &[]);
    assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
    assert_eq!(live.endpoint(0).unwrap().ack(), NOTHING);
    assert!(live.port::<()>(0).unwrap().poll_for(token).unwrap().is_some());
}

/// From a device in order, and from one that was taken down by something else.
#[test]
fn rebuilding_takes_a_device_down_first() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    for _ in 0..3 {
        hal.clear_trace();
        // It is up.
        live = live.rebuild(build).unwrap();
        assert_reset_before_free(&hal.trace());
        let mut answer = [0; 1];
        let timeout = Misbehaved::Timeout(Wait::Completion(Q0));
        assert_eq!(live.exchange(0, &[1], &mut answer, LIMIT), Err(timeout.into()));
        assert_eq!(live.vectors(), Err(Error::Down));
        // It is down, and has nothing left.
        assert!(hal.outstanding().is_none());
        live = live.rebuild(build).unwrap();
        assert_eq!(live.vectors(), Ok(1));
    }
}

#[test]
fn rebuilding_fails_as_the_constructor_or_the_reset_does() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let live = up::<()>(&fake, &hal, 8).unwrap();
    hal.fail_nth_of(Call::DmaAlloc, 1);
    assert_eq!(live.rebuild(build).map(drop), Err(HalError::OutOfMemory.into()));
    assert!(hal.outstanding().is_none());

    hal.allow_outstanding();
    let live = up::<()>(&fake, &hal, 8).unwrap();
    fake.set_reset(Reset::Never);
    let mut built = false;
    let outcome = live.rebuild(|transport, hal| {
        built = true;
        build(transport, hal)
    });
    assert_eq!(outcome.map(drop), Err(Misbehaved::Timeout(Wait::Reset).into()));
    assert!(!built, "a device that still runs is not brought up over itself");
    assert!(!hal.leaks().is_empty());
    keep(&fake);
}

#[test]
fn a_device_that_needs_a_reset_before_anybody_looks_is_found_by_polling() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    fake.needs_reset();
    // No endpoint, no interrupt: a kernel that polls.
    assert_eq!(live.attend(InterruptStatus::CONFIG), Ok(Some(DeviceEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
}

/// It then speaks to a device that was reset: which has nothing to say.
#[test]
fn an_endpoint_may_outlive_its_device() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    let endpoint = live.endpoint(0).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    assert!(!port.enable_interrupts());
    port.submit(Request::new(()).header(&[1])).unwrap();
    fake.complete(0, 0, &[]);
    assert_eq!(fake.interrupts(), 1);
    let transport = live.dismantle().unwrap();
    assert!(hal.outstanding().is_none());
    for _ in 0..3 {
        assert_eq!(endpoint.ack(), NOTHING);
    }
    assert_eq!(transport.endpoint(0).unwrap().ack(), NOTHING);
    drop(transport);
    drop(fake);
    assert_eq!(endpoint.ack(), NOTHING);
}

/// What a device says before it may say anything is nobody's: the reset in front of it clears it.
#[test]
fn an_interrupt_before_the_driver_is_there_is_lost() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    fake.set_config([1]);
    fake.needs_reset();
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    assert_eq!(live.endpoint(0).unwrap().ack(), NOTHING);
    assert_eq!(live.attend(InterruptStatus::CONFIG), Ok(Some(DeviceEvent::ConfigChanged)));
}

/// A line that is stuck: the handler is called for ever, and the driver works all the same.
#[test]
fn a_storm_of_interrupts_costs_time_and_nothing_else() {
    let acks = if cfg!(miri) { 1000 } else { 100_000 };
    let hal = TestHal::new();
    let fake = device(8, echo).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    let endpoint = live.endpoint(0).unwrap();
    let before = hal.outstanding();
    for nth in 0..acks {
        let status = endpoint.ack();
        assert_eq!(status, NOTHING);
        assert_eq!(live.attend(status), Ok(None));
        if nth % 1000 == 0 {
            // With the bit set that it does not have.
            assert_eq!(live.attend(InterruptStatus::all()), Ok(Some(DeviceEvent::ConfigChanged)));
            hal.clear_trace();
        }
    }
    assert_eq!(hal.outstanding(), before, "nothing piles up");
    let mut answer = [0; 2];
    assert_eq!(live.exchange(0, &[1, 2], &mut answer, LIMIT), Ok(2));
    assert_eq!(answer, [1, 2]);
}

#[test]
fn what_the_transport_cannot_do_is_not_accepted() {
    let hal = TestHal::new();
    let offered = Features::VERSION_1 | Features::NOTIF_CONFIG_DATA | Features::EVENT_IDX;
    let fake = device(8, hold).features(offered).build(&hal);
    let live = up::<()>(&fake, &hal, 8).unwrap();
    assert_eq!(live.features(), offered - Features::NOTIF_CONFIG_DATA);
    assert_eq!(fake.accepted(), live.features());
    let rings = hal.trace().into_iter().find_map(|event| match event {
        Event::QueueEnabled { rings, .. } => Some(rings),
        _ => None,
    });
    assert!(!rings.unwrap().notif_config_data);
    drop(live);
    let wanted = Wanted { required: Features::NOTIF_CONFIG_DATA, ..Wanted::default() };
    let init = Init::start(fake.transport(), hal.clone(), ID).unwrap();
    let missing = Incompatible::MissingFeatures(Features::NOTIF_CONFIG_DATA);
    assert_eq!(init.negotiate(&wanted).map(drop).unwrap_err(), missing.into());
}
