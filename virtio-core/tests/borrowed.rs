//! Blocking requests over borrowed slices: I-LOAN, on every exit.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::process::Command;

use common::{LIMIT, Q0, assert_reset_before_free, device, echo, hold, up};
use virtio_core::{Error, HalError, Misbehaved, Misuse, Wait};
use virtio_testkit::{Call, Event, Lie, Reply, Reset, TestHal};

#[test]
fn slices_are_gathered_and_scattered_in_order() {
    for (scatter, legacy) in [(false, false), (true, false), (true, true)] {
        let hal = TestHal::new();
        if scatter {
            hal.set_max_segment(100);
        }
        let builder = device(64, echo);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let mut live = up::<()>(&device, &hal, 64).unwrap();
        let sent: Vec<u8> = (0..=255).collect();
        let (mut first, mut second) = ([0; 130], [0; 200]);
        let written = live.call(0, &[&sent[..10], &sent[10..]], &mut [&mut first, &mut second], LIMIT);
        assert_eq!(written, Ok(330));
        let received = [&first[..], &second[..]].concat();
        assert_eq!(received[..256], sent);
        assert!(received[256..].iter().all(|byte| *byte == 7));
        let shares = hal.trace().iter().filter(|event| matches!(event, Event::Share { .. })).count();
        // Where buffers are scattered, two were shared before the quick way gave up.
        assert_eq!(shares, if scatter { 2 + 1 + 3 + 2 + 2 } else { 4 });
    }
}

// shows: split.used-ring.1, split.used-ring.2
#[test]
fn only_what_the_device_says_it_wrote_is_copied_back() {
    let hal = TestHal::new();
    hal.set_max_segment(3);
    let device = device(8, |_| Reply::Claim { bytes: vec![1; 8], len: 4 }).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let mut bytes = [9; 8];
    assert_eq!(live.call(0, &[], &mut [&mut bytes], LIMIT), Ok(4));
    assert_eq!(bytes, [1, 1, 1, 1, 9, 9, 9, 9]);
}

#[test]
fn a_claimed_length_is_clamped_to_what_was_posted() {
    let hal = TestHal::new();
    let device = device(8, |_| Reply::Claim { bytes: vec![1; 2], len: u32::MAX }).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let mut bytes = [9; 4];
    assert_eq!(live.call(0, &[&[1]], &mut [&mut bytes], LIMIT), Ok(4));
    assert_eq!(bytes[..2], [1, 1]);
}

#[test]
fn after_a_timeout_the_device_is_reset_before_the_slices_come_back() {
    for reset in [Reset::AtOnce, Reset::AfterReads(50)] {
        let hal = TestHal::new();
        let device = device(8, hold).reset(reset).build(&hal);
        let mut live = up::<()>(&device, &hal, 8).unwrap();
        hal.clear_trace();
        let mut bytes = [9; 4];
        let outcome = live.call(0, &[&[1]], &mut [&mut bytes], LIMIT);
        assert_eq!(outcome, Err(Misbehaved::Timeout(Wait::Completion(Q0)).into()));
        assert!(device.status().is_empty());
        assert_eq!(bytes, [9; 4]);
        assert_reset_before_free(&hal.trace());
        assert_eq!(live.call(0, &[&[1]], &mut [], LIMIT), Err(Error::Down));
        assert_eq!(hal.outstanding(), virtio_testkit::Outstanding::default());
    }
}

#[test]
fn a_device_that_cannot_be_reset_is_cut_off_and_its_memory_leaked() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = device(8, hold).can_be_cut_off().build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    device.set_reset(Reset::Never);
    hal.clear_trace();
    let mut bytes = [9; 4];
    let outcome = live.call(0, &[&[1]], &mut [&mut bytes], LIMIT);
    assert_eq!(outcome, Err(Misbehaved::Timeout(Wait::Completion(Q0)).into()));
    let trace = hal.trace();
    assert!(trace.contains(&Event::CutOff));
    assert!(!trace.iter().any(|event| matches!(event, Event::DmaDealloc { .. } | Event::Unshare { .. })));
    drop(live);
    assert!(!hal.leaks().is_empty());
    assert!(hal.outstanding().is_none(), "{:?}", hal.outstanding());
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_device_that_cannot_be_stopped_ends_in_stuck() {
    const CODE: i32 = 42;
    if std::env::var_os("VIRTIO_STUCK_CHILD").is_some() {
        let hal = TestHal::new();
        hal.exit_when_stuck(CODE);
        let device = device(8, hold).build(&hal);
        let mut live = up::<()>(&device, &hal, 8).unwrap();
        device.set_reset(Reset::Never);
        let mut bytes = [9; 4];
        let _ = live.call(0, &[], &mut [&mut bytes], LIMIT);
        std::process::exit(1);
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_device_that_cannot_be_stopped_ends_in_stuck"])
        .env("VIRTIO_STUCK_CHILD", "1")
        .output()
        .unwrap()
        .status;
    assert_eq!(status.code(), Some(CODE));
}

#[test]
fn a_panic_while_waiting_resets_the_device_before_it_goes_on() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    hal.clear_trace();
    hal.panic_nth(Call::Relax, 3);
    let mut bytes = [9; 4];
    let outcome = catch_unwind(AssertUnwindSafe(|| live.call(0, &[&[1]], &mut [&mut bytes], LIMIT)));
    assert!(outcome.is_err());
    assert_eq!(bytes, [9; 4]);
    assert_reset_before_free(&hal.trace());
    assert_eq!(live.call(0, &[&[1]], &mut [], LIMIT), Err(Error::Down));
}

#[test]
fn a_panic_while_sharing_resets_the_device_before_it_goes_on() {
    for nth in 1..=3 {
        let hal = TestHal::new();
        let device = device(8, hold).build(&hal);
        let mut live = up::<()>(&device, &hal, 8).unwrap();
        hal.clear_trace();
        hal.panic_nth(Call::Share, nth);
        let mut bytes = [9; 4];
        let call = AssertUnwindSafe(|| live.call(0, &[&[1], &[2]], &mut [&mut bytes], LIMIT));
        assert!(catch_unwind(call).is_err());
        // What was shared before was never named to the device, and is ended; everything else waits for the reset.
        assert!(device.status().is_empty());
        let freed: Vec<Event> = hal.trace().into_iter().skip_while(|event| !event.confirms_reset()).collect();
        assert!(freed.iter().any(Event::gives_memory_back));
        assert!(!hal.trace().iter().any(|event| matches!(event, Event::Notify(_))));
        let shares = hal.trace().iter().filter(|event| matches!(event, Event::Share { .. })).count();
        let ends = hal.trace().iter().filter(|event| matches!(event, Event::Unshare { .. })).count();
        assert_eq!(shares, ends);
    }
}

#[test]
fn a_failed_share_gives_the_slices_back_and_the_device_goes_on() {
    for nth in 1..=3 {
        let hal = TestHal::new();
        let device = device(8, echo).build(&hal);
        let mut live = up::<()>(&device, &hal, 8).unwrap();
        hal.fail_nth_of(Call::Share, nth);
        let mut bytes = [9; 4];
        let outcome = live.call(0, &[&[1], &[2]], &mut [&mut bytes], LIMIT);
        assert_eq!(outcome, Err(Error::Platform(HalError::CannotShare)));
        assert_eq!(hal.outstanding().shares, 0);
        assert_eq!(live.call(0, &[&[1], &[2]], &mut [&mut bytes], LIMIT), Ok(4));
        assert_eq!(bytes, [1, 2, 7, 7]);
        assert_eq!(live.port::<()>(0).unwrap().free(), 8);
    }
}

#[test]
fn impossible_calls_are_refused_and_cost_nothing() {
    let hal = TestHal::new();
    let device = device(4, echo).build(&hal);
    let mut live = up::<()>(&device, &hal, 4).unwrap();
    let one: &[u8] = &[1];
    assert_eq!(live.call(0, &[], &mut [], LIMIT), Err(Misuse::EmptyRequest.into()));
    assert_eq!(live.call(0, &[&[]], &mut [&mut []], LIMIT), Err(Misuse::EmptyRequest.into()));
    assert_eq!(live.call(0, &[one; 5], &mut [], LIMIT), Err(Misuse::TooManySegments.into()));
    assert_eq!(live.call(1, &[&[1]], &mut [], LIMIT), Err(Misuse::NoSuchQueue.into()));
    assert_eq!(live.call(0, &[one; 4], &mut [], LIMIT), Ok(0));
    assert_eq!(live.port::<()>(0).unwrap().free(), 4);
}

#[test]
fn a_broken_ring_takes_the_device_down_before_the_slices_come_back() {
    let hal = TestHal::new();
    let device = device(4, |_| Reply::Lie(Lie::UsedId { id: 9, len: 4 })).build(&hal);
    let mut live = up::<()>(&device, &hal, 4).unwrap();
    hal.clear_trace();
    let mut bytes = [9; 4];
    let outcome = live.call(0, &[], &mut [&mut bytes], LIMIT);
    assert_eq!(outcome, Err(Misbehaved::UsedIdOutOfRange { queue: Q0, id: 9 }.into()));
    assert_eq!(bytes, [9; 4]);
    assert_reset_before_free(&hal.trace());
}

#[test]
#[cfg(feature = "packed")]
fn a_packed_device_that_never_says_write_is_believed_about_its_lengths() {
    use virtio_core::Features;

    let hal = TestHal::new();
    let features = Features::VERSION_1 | Features::RING_PACKED;
    let device = device(8, echo).features(features).never_marks_written().build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    assert!(live.features().contains(Features::RING_PACKED));
    let mut bytes = [0; 4];
    assert_eq!(live.call(0, &[b"ab"], &mut [&mut bytes], LIMIT), Ok(4));
    assert_eq!(&bytes, b"ab\x07\x07");
}
