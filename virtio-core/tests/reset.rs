//! I-RESET: memory goes back after a confirmed reset, or never, on every way out.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::mem::{ManuallyDrop, forget};
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use common::{Bytes, ID, LIMIT, Live, Room, assert_reset_before_free, device, echo, hold, keep, up};
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Error, Incompatible, Misbehaved, Status, Wait};
use virtio_testkit::{Call, Event, FakeDevice, Reset, TestHal};

type Pair = (Bytes, Room);

fn pair() -> Request<'static, Pair> {
    Request::new((Readable(vec![1; 20]), Writable(vec![0; 20])))
}

/// A device with requests in flight.
fn busy(device: &FakeDevice, hal: &TestHal) -> Live {
    let mut live = up::<Pair>(device, hal, 8).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    port.submit(pair().header(&[1]).response(1)).unwrap();
    port.submit(pair()).unwrap();
    live
}

fn frees(hal: &TestHal) -> usize {
    hal.trace().iter().filter(|event| event.gives_memory_back()).count()
}

// shows: init.cleanup.2
#[test]
fn dropping_a_device_in_mid_flight_resets_it_first() {
    for (legacy, reads) in [(false, 0), (false, 100), (true, 3)] {
        let hal = TestHal::new();
        let builder = device(8, hold).reset(Reset::AfterReads(reads));
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let live = busy(&device, &hal);
        hal.clear_trace();
        drop(live);
        let trace = hal.trace();
        assert_eq!(trace[0], Event::StatusWrite(Status::empty()));
        assert_reset_before_free(&trace);
        assert!(hal.outstanding().is_none());
    }
}

#[test]
fn an_unconfirmed_reset_leaks_everything_and_reports_it() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = device(8, hold).build(&hal);
    let live = busy(&device, &hal);
    let taken = hal.outstanding();
    device.set_reset(Reset::Never);
    hal.clear_trace();
    drop(live);
    let given_back = |event: &Event| matches!(event, Event::DmaDealloc { .. } | Event::Unshare { .. });
    assert!(!hal.trace().iter().any(given_back));
    // All but the place of the queue's own record, which neither device nor payload lies in.
    assert_eq!(hal.leaks().len(), taken.dma + taken.shares + taken.private - 1);
    assert!(hal.outstanding().is_none());
    // The device goes on, and hits nothing that belongs to somebody else: that would fail the test.
    device.complete(0, 0, &[1; 20]);
}

#[test]
fn an_unconfirmed_reset_at_the_start_is_a_timeout() {
    let hal = TestHal::new();
    let device = device(8, hold).reset(Reset::Never).build(&hal);
    // Somebody else has left it running.
    let mut transport = device.transport();
    virtio_core::Transport::set_status(&mut transport, Status::ACKNOWLEDGE);
    let error = Init::start(transport, hal.clone(), ID).unwrap_err();
    assert_eq!(error, Misbehaved::Timeout(Wait::Reset).into());
}

// shows: basic.reset.1, pci.layout.common-cfg.5
#[test]
fn a_slow_reset_is_waited_for() {
    let hal = TestHal::new();
    let device = device(8, hold).reset(Reset::AfterReads(20)).build(&hal);
    drop(up::<()>(&device, &hal, 8).unwrap());
    assert_eq!(hal.calls(Call::Relax), 20);
}

// shows: init.5
#[test]
fn leaving_initialization_at_any_stage_frees_everything() {
    let specs = [QueueSpec::new::<()>(0, 8).header(4)];
    for stage in 0..5 {
        let hal = TestHal::new();
        let device = device(8, hold).build(&hal);
        let run = || {
            let init = Init::start(device.transport(), hal.clone(), ID)?;
            if stage == 0 {
                return Ok::<(), Error>(());
            }
            let init = init.negotiate(&Wanted::default())?;
            if stage == 1 {
                return Ok(());
            }
            let specs = if stage == 2 { &[specs[0], QueueSpec::new::<()>(1, 8)][..] } else { &specs[..] };
            let mut ready = init.queues(specs)?;
            if stage == 3 {
                return Ok(());
            }
            ready.prefill(0, Request::new(()).header(&[1]))?;
            Ok(())
        };
        let outcome = run();
        let missing = Incompatible::NoQueue(virtio_core::QueueIndex::new(1)).into();
        assert_eq!(outcome, if stage == 2 { Err(missing) } else { Ok(()) });
        let trace = hal.trace();
        let failed =
            |event: &Event| matches!(event, Event::StatusWrite(status) if status.contains(Status::FAILED));
        assert!(trace.iter().any(failed), "stage {stage}");
        if stage >= 2 {
            let armed = trace.iter().position(|event| matches!(event, Event::QueueEnabled { .. })).unwrap();
            assert_reset_before_free(&trace[armed..]);
        }
        assert!(hal.outstanding().is_none(), "stage {stage}");
    }
}

#[test]
fn a_panic_in_the_middle_of_a_reset_frees_nothing_and_reports_what_is_lost() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = device(8, hold).reset(Reset::AfterReads(10)).build(&hal);
    let live = busy(&device, &hal);
    hal.clear_trace();
    hal.panic_nth(Call::Relax, 2);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(live))).is_err());
    let given_back = |event: &Event| matches!(event, Event::DmaDealloc { .. } | Event::Unshare { .. });
    assert!(!hal.trace().iter().any(given_back));
    assert!(hal.outstanding().is_none(), "{:?}", hal.outstanding());
    assert!(!hal.leaks().is_empty());
}

#[test]
fn a_panic_while_sharing_a_payload_gives_the_request_up_and_the_queue_goes_on() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 8).unwrap();
    hal.clear_trace();
    hal.panic_nth(Call::Share, 2);
    let mut port = live.port::<Pair>(0).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| port.submit(pair()))).is_err());
    // The device was never told of it, so nothing has to wait for a reset.
    assert_eq!((hal.outstanding().shares, port.free(), port.in_flight()), (0, 8, 0));
    port.submit(pair()).unwrap();
    assert_eq!(device.held(0), 1);
    hal.clear_trace();
    drop(live);
    assert_reset_before_free(&hal.trace());
}

#[test]
fn a_forgotten_completion_costs_its_descriptors_and_no_more() {
    let hal = TestHal::new();
    let device = device(8, echo).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 8).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    port.submit(pair()).unwrap();
    forget(port.poll().unwrap().unwrap());
    assert_eq!(port.free(), 6);
    let token = port.submit(pair()).unwrap();
    let mut done = port.poll_for(token).unwrap().unwrap();
    assert_eq!(done.take_payload().unwrap().1.0, [1; 20]);
    assert!(done.take_payload().is_none());
    drop(done);
    let _forgotten = ManuallyDrop::new(port);
    assert_eq!(live.port::<Pair>(0).unwrap().free(), 6);
}

#[test]
fn a_forgotten_device_leaks_and_goes_on() {
    let hal = TestHal::new();
    hal.allow_outstanding();
    let device = device(8, hold).build(&hal);
    keep(&device);
    forget(busy(&device, &hal));
    assert_eq!(frees(&hal), 0);
    device.complete(0, 1, &[1; 20]);
    device.complete(0, 0, &[1; 20]);
}

#[test]
fn dismantling_gives_a_stopped_device_back() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let live = busy(&device, &hal);
    hal.clear_trace();
    let transport = live.dismantle().unwrap();
    assert_reset_before_free(&hal.trace());
    assert!(hal.outstanding().is_none());
    // The same transport serves again.
    let init = Init::start(transport, hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let mut live = init.queues(&[QueueSpec::new::<()>(0, 8).header(4)]).unwrap().live().unwrap();
    live.port::<()>(0).unwrap().submit(Request::new(()).header(&[5])).unwrap();
    assert_eq!(device.held_readable(0), [[5]]);
}

#[test]
fn dismantling_a_device_that_will_not_stop_says_so() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = device(8, hold).build(&hal);
    let live = busy(&device, &hal);
    device.set_reset(Reset::Never);
    let refused = live.dismantle().unwrap_err();
    assert_eq!(refused.error, Misbehaved::Timeout(Wait::Reset).into());
    assert!(refused.transport.is_some());
    assert!(!hal.leaks().is_empty());
}

#[test]
fn an_exchange_that_times_out_takes_the_device_down() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    hal.clear_trace();
    let error = live.exchange(0, &[1], &mut [0; 4], LIMIT).unwrap_err();
    assert_eq!(error, Misbehaved::Timeout(Wait::Completion(common::Q0)).into());
    assert_reset_before_free(&hal.trace());
    assert_eq!(live.port::<()>(0).unwrap_err(), Error::Down);
}

#[test]
fn a_device_that_does_not_confirm_its_reset_is_told_nothing_else() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = device(8, hold).can_be_cut_off().build(&hal);
    let live = busy(&device, &hal);
    device.set_reset(Reset::Never);
    let transport = live.dismantle().unwrap_err().transport.unwrap();
    hal.clear_trace();
    // Another try. DRIVER_OK of the driver before must not be written once more, FAILED beside it or not.
    let timeout = Misbehaved::Timeout(Wait::Reset).into();
    assert_eq!(Init::start(transport, hal.clone(), ID).unwrap_err(), timeout);
    let written = hal.trace().into_iter().filter_map(|event| match event {
        Event::StatusWrite(status) => Some(status),
        _ => None,
    });
    assert!(written.eq([Status::empty()]));
}
