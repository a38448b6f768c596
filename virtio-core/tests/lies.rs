//! I-ALLEGE: whatever a device says about its ring, the driver gets a named error and nothing worse.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{Bytes, LIMIT, Live, Q0, Room, device, echo, hold, up};
use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::Request;
use virtio_core::{Error, Misbehaved};
use virtio_testkit::{FakeDevice, Lie, Reply, TestHal};

type Pair = (Bytes, Room);

fn pair() -> Request<'static, Pair> {
    Request::new((Readable(vec![1; 3]), Writable(vec![0; 5])))
}

/// A live device of 8 descriptors that holds `in_flight` requests of two each.
fn holding(in_flight: usize) -> (TestHal, FakeDevice, Live) {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 8).unwrap();
    for _ in 0..in_flight {
        live.port::<Pair>(0).unwrap().submit(pair()).unwrap();
    }
    (hal, device, live)
}

/// Asserts that the queue is broken by `why`, and stays so.
fn assert_broken(live: &mut Live, why: Misbehaved) {
    let mut port = live.port::<Pair>(0).unwrap();
    for _ in 0..2 {
        assert_eq!(port.poll().map(drop), Err(why.into()));
    }
    let rejected = port.submit(pair()).unwrap_err();
    assert_eq!(rejected.error, why.into());
    assert_eq!(rejected.payload.0.0, [1; 3]);
}

#[test]
fn an_id_beyond_the_queue_breaks_it() {
    for id in [8, 9, 0x1_0000, u32::MAX] {
        let (_hal, device, mut live) = holding(1);
        device.lie(0, Lie::UsedId { id, len: 0 });
        assert_broken(&mut live, Misbehaved::UsedIdOutOfRange { queue: Q0, id });
    }
}

#[test]
fn an_id_that_heads_no_request_breaks_the_queue() {
    // Descriptor 1 is the second of a chain, 7 is free.
    for id in [1, 7] {
        let (_hal, device, mut live) = holding(1);
        device.lie(0, Lie::UsedId { id, len: 0 });
        assert_broken(&mut live, Misbehaved::UsedIdNotInFlight { queue: Q0, id });
    }
}

#[test]
fn a_request_used_twice_breaks_the_queue_and_comes_back_once() {
    let (_hal, device, mut live) = holding(2);
    device.complete(0, 0, &[5; 5]);
    device.lie(0, Lie::UsedId { id: 0, len: 5 });
    let payload = live.port::<Pair>(0).unwrap().poll().unwrap().unwrap().take_payload().unwrap();
    assert_eq!(payload.1.0, [5; 5]);
    assert_broken(&mut live, Misbehaved::UsedIdNotInFlight { queue: Q0, id: 0 });
}

#[test]
fn a_request_used_twice_while_its_completion_is_held_breaks_the_queue() {
    let (_hal, device, mut live) = holding(2);
    let mut port = live.port::<Pair>(0).unwrap();
    let third = port.submit(pair()).unwrap();
    device.complete(0, 0, &[5; 5]);
    // The first is taken off the ring, and waits for whoever asks for it.
    assert!(port.poll_for(third).unwrap().is_none());
    device.lie(0, Lie::UsedId { id: 0, len: 5 });
    let why = Misbehaved::UsedIdNotInFlight { queue: Q0, id: 0 };
    assert_eq!(port.poll_for(third).map(drop), Err(why.into()));
    // What was used before is still there.
    assert_eq!(port.poll().unwrap().unwrap().take_payload().unwrap().1.0, [5; 5]);
    assert_broken(&mut live, why);
}

#[test]
fn an_index_that_jumps_breaks_the_queue() {
    for advance in [2, 9, 0x8000, u16::MAX] {
        let (_hal, device, mut live) = holding(1);
        device.lie(0, Lie::UsedIndex(advance));
        assert_broken(&mut live, Misbehaved::UsedIndexJump { queue: Q0, advance, in_flight: 1 });
    }
}

#[test]
fn what_was_not_published_cannot_be_used() {
    let (_hal, device, mut live) = holding(0);
    live.port::<Pair>(0).unwrap().add(pair()).unwrap();
    device.lie(0, Lie::UsedId { id: 0, len: 0 });
    assert_broken(&mut live, Misbehaved::UsedIndexJump { queue: Q0, advance: 1, in_flight: 0 });
}

#[test]
fn lengths_are_clamped_to_what_was_posted_and_the_claim_is_kept() {
    for claim in [6, 1000, u32::MAX] {
        let (_hal, device, mut live) = holding(1);
        device.complete_claiming(0, 0, &[5; 5], claim);
        let mut port = live.port::<Pair>(0).unwrap();
        let mut done = port.poll().unwrap().unwrap();
        assert_eq!((done.written(), done.claimed()), (5, claim));
        assert_eq!(done.take_payload().unwrap().1.0, [5; 5]);
    }
}

#[test]
fn a_length_for_a_request_without_room_is_clamped_to_nothing() {
    let hal = TestHal::new();
    let device = device(8, |_| Reply::Claim { bytes: vec![], len: 7 }).build(&hal);
    let mut live = up::<Bytes>(&device, &hal, 8).unwrap();
    let mut port = live.port::<Bytes>(0).unwrap();
    port.submit(Request::new(Readable(vec![4]))).unwrap();
    let done = port.poll().unwrap().unwrap();
    assert_eq!((done.written(), done.claimed()), (0, 7));
}

// shows: split.used-ring.1, split.used-ring.2
#[test]
fn a_length_that_is_short_hides_the_rest() {
    let (_hal, device, mut live) = holding(1);
    device.complete_claiming(0, 0, &[5; 5], 2);
    let mut port = live.port::<Pair>(0).unwrap();
    let mut done = port.poll().unwrap().unwrap();
    assert_eq!(done.take_payload().unwrap().1.0, [5, 5, 0, 0, 0]);
}

#[test]
fn a_short_answer_is_a_named_error_of_that_request_only() {
    let hal = TestHal::new();
    let device = device(8, |_| Reply::Write(vec![1; 3])).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    for _ in 0..3 {
        let token = port.submit(Request::new(()).header(&[1]).response(8)).unwrap();
        let done = port.wait(token, LIMIT).unwrap();
        let short = Misbehaved::ShortAnswer { written: 3, needed: 8 };
        assert_eq!(done.response::<u64>(), Err(short.into()));
    }
}

#[test]
fn a_descriptor_table_that_the_device_overwrites_misleads_nobody() {
    let (_hal, device, mut live) = holding(3);
    device.lie(0, Lie::OverwriteDescriptors(0xff));
    for nth in [1, 0, 0] {
        device.complete(0, nth, &[6; 5]);
    }
    let mut port = live.port::<Pair>(0).unwrap();
    for _ in 0..3 {
        assert_eq!(port.poll().unwrap().unwrap().take_payload().unwrap().1.0, [6; 5]);
    }
    assert_eq!(port.free(), 8);
    // What is added afterwards is whole again.
    port.submit(pair()).unwrap();
    assert_eq!(device.held_readable(0), [[1; 3]]);
}

#[test]
fn a_lie_during_an_exchange_takes_the_device_down() {
    let hal = TestHal::new();
    let device = device(8, |_| Reply::Lie(Lie::UsedIndex(3))).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let why = Misbehaved::UsedIndexJump { queue: Q0, advance: 3, in_flight: 1 };
    assert_eq!(live.exchange(0, &[1], &mut [0; 4], LIMIT), Err(why.into()));
    assert!(device.status().is_empty());
    assert_eq!(live.exchange(0, &[1], &mut [0; 4], LIMIT), Err(Error::Down));
    assert!(hal.outstanding().is_none());
}

#[test]
fn indices_wrap_without_harm() {
    // More than 2^16 requests through a small queue, with one always in flight across the wrap.
    let rounds: u32 = if cfg!(miri) { 300 } else { 70_000 };
    let hal = TestHal::new();
    let device = device(4, echo).build(&hal);
    let mut live = up::<()>(&device, &hal, 4).unwrap();
    for round in 0..rounds {
        let mut answer = [0; 4];
        assert_eq!(live.exchange(0, &round.to_le_bytes(), &mut answer, LIMIT), Ok(4));
        assert_eq!(u32::from_le_bytes(answer), round);
        if round % 1024 == 0 {
            hal.clear_trace();
        }
    }
}
