//! Requests with owned payloads: what is submitted comes back, once, in any order.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{Bytes, ID, LIMIT, Q0, Room, device, echo, hold, up};
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::{Both, Dma, FromDevice, Readable, ToDevice, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Error, HalError, Misbehaved, Misuse, Wait};
use virtio_testkit::{Event, Reply, TestHal};

type Pair = (Bytes, Room);

fn pair(n: u8) -> Request<'static, Pair> {
    Request::new((Readable(vec![n; 3]), Writable(vec![0; 5])))
}

#[test]
fn completions_out_of_order_bring_their_own_payloads() {
    let hal = TestHal::new();
    let device = device(16, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 16).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    let tokens: Vec<_> = (0..5).map(|n| port.submit(pair(n)).unwrap()).collect();
    assert_eq!((port.in_flight(), device.held(0)), (5, 5));
    // The device uses 3, 0, 4, 2, 1.
    for (nth, answer) in [(3, 13), (0, 10), (2, 14), (1, 12), (0, 11)] {
        device.complete(0, nth, &[answer; 5]);
    }
    // One is asked for by name, the others come in the order of their use.
    let mut order = vec![2];
    let mut done = port.poll_for(tokens[2]).unwrap().unwrap();
    assert_eq!(done.take_payload().unwrap(), (Readable(vec![2; 3]), Writable(vec![12; 5])));
    drop(done);
    while let Some(mut done) = port.poll().unwrap() {
        let n = (0..).zip(&tokens).find(|(_, token)| **token == done.token()).unwrap().0;
        let expected = (Readable(vec![n; 3]), Writable(vec![10 + n; 5]));
        assert_eq!(done.take_payload().unwrap(), expected);
        assert_eq!((done.written(), done.claimed()), (5, 5));
        order.push(n);
    }
    assert_eq!(order, [2, 3, 0, 4, 1]);
    assert_eq!((port.in_flight(), port.free()), (0, 16));
}

#[test]
fn a_settled_or_unknown_token_is_refused() {
    let hal = TestHal::new();
    let device = device(4, echo).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    let first = port.submit(pair(1)).unwrap();
    drop(port.poll().unwrap().unwrap());
    let again = |token, port: &mut virtio_core::queue::Port<'_, Pair, _, _>| port.poll_for(token).map(drop);
    assert_eq!(again(first, &mut port), Err(Misuse::NoSuchRequest.into()));
    // The next request has the same head, and another token.
    let second = port.submit(pair(2)).unwrap();
    assert_ne!(first, second);
    assert_eq!(again(first, &mut port), Err(Misuse::NoSuchRequest.into()));
    assert!(port.poll_for(second).unwrap().is_some());
}

#[test]
fn a_full_queue_gives_the_payload_back() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    port.submit(pair(1)).unwrap();
    port.submit(pair(2)).unwrap();
    assert_eq!(port.free(), 0);
    let rejected = port.submit(pair(3)).unwrap_err();
    assert_eq!(rejected.error, Misuse::QueueFull.into());
    assert_eq!(rejected.payload, (Readable(vec![3; 3]), Writable(vec![0; 5])));
    // Half of it fits after one completion: still refused, and nothing stays shared.
    device.complete(0, 0, &[]);
    drop(port.poll().unwrap().unwrap());
    let rejected = port.submit(pair(3).header(&[1])).unwrap_err();
    assert_eq!(rejected.error, Misuse::QueueFull.into());
    assert_eq!((port.free(), hal.outstanding().shares), (2, 2));
    port.submit(pair(4)).unwrap();
}

#[test]
fn requests_that_can_never_be_are_refused() {
    let hal = TestHal::new();
    hal.set_max_segment(1);
    let device = device(4, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    let rejected = port.submit(pair(1)).unwrap_err();
    assert_eq!(rejected.error, Misuse::TooManySegments.into());
    let empty = Request::new((Readable(vec![]), Writable(vec![])));
    assert_eq!(port.submit(empty).unwrap_err().error, Misuse::EmptyRequest.into());
    let long = [0; 17];
    assert_eq!(port.submit(pair(1).header(&long)).unwrap_err().error, Misuse::NoRoomDeclared.into());
    assert_eq!(port.submit(pair(1).response(17)).unwrap_err().error, Misuse::TooManySegments.into());
    let tiny = Request::new((Readable(vec![1]), Writable(vec![]))).response(17);
    assert_eq!(port.submit(tiny).unwrap_err().error, Misuse::NoRoomDeclared.into());
    assert_eq!((port.free(), hal.outstanding().shares), (4, 0));
}

#[test]
fn a_failed_share_gives_the_payload_back() {
    for nth in 1..=2 {
        let hal = TestHal::new();
        let device = device(4, echo).build(&hal);
        let mut live = up::<Pair>(&device, &hal, 4).unwrap();
        let mut port = live.port::<Pair>(0).unwrap();
        hal.fail_nth(nth);
        let rejected = port.submit(pair(6)).unwrap_err();
        assert_eq!(rejected.error, Error::Platform(HalError::CannotShare));
        assert_eq!(rejected.payload.0.0, [6; 3]);
        assert_eq!((port.free(), hal.outstanding().shares), (4, 0));
        port.submit(pair(7)).unwrap();
    }
}

#[test]
fn a_port_of_another_payload_type_is_refused() {
    let hal = TestHal::new();
    let device = device(4, echo).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    assert_eq!(live.port::<()>(0).unwrap_err(), Misuse::WrongPayload.into());
    assert_eq!(live.port::<(Room, Bytes)>(0).unwrap_err(), Misuse::WrongPayload.into());
    assert_eq!(live.port::<Pair>(1).unwrap_err(), Misuse::NoSuchQueue.into());
}

#[test]
fn headers_and_responses_travel_beside_the_payload() {
    let hal = TestHal::new();
    let device = device(16, |request| {
        assert_eq!(request.readable, [9, 9, 1, 1, 1]);
        Reply::Write(vec![1, 2, 3, 4, 5, 6, 7])
    })
    .build(&hal);
    let mut live = up::<Pair>(&device, &hal, 16).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    let token = port.submit(pair(1).header(&[9, 9]).response(4)).unwrap();
    let mut done = port.wait(token, LIMIT).unwrap();
    assert_eq!(done.written(), 7);
    let mut response = [0; 4];
    assert_eq!(done.copy_response(&mut response), 2);
    assert_eq!(response, [6, 7, 0, 0]);
    assert_eq!(done.response::<[u8; 2]>(), Ok([6, 7]));
    assert_eq!(done.response::<u32>(), Err(Misbehaved::ShortAnswer { written: 2, needed: 4 }.into()));
    assert_eq!(done.take_payload().unwrap().1.0, [1, 2, 3, 4, 5]);
}

#[test]
fn dma_memory_travels_without_a_copy() {
    type Frames = (Readable<Dma<[u8], TestHal, ToDevice>>, Writable<Dma<[u8], TestHal, Both>>);
    type All = (Frames, Dma<[u8], TestHal, FromDevice>);
    let hal = TestHal::new();
    let device = device(8, echo).build(&hal);
    let mut live = up::<All>(&device, &hal, 8).unwrap();
    let mut sent = Dma::zeroed_slice(hal.clone(), 2).unwrap();
    sent.as_mut_slice().copy_from_slice(&[1, 2]);
    let both = Dma::zeroed_slice(hal.clone(), 1).unwrap();
    let back = Dma::zeroed_slice(hal.clone(), 3).unwrap();
    let mut port = live.port::<All>(0).unwrap();
    port.submit(Request::new(((Readable(sent), Writable(both)), back))).unwrap();
    let ((sent, both), back) = port.poll().unwrap().unwrap().take_payload().unwrap();
    assert_eq!(
        (sent.0.as_slice(), both.0.as_slice(), back.as_slice()),
        (&[1, 2][..], &[1][..], &[2, 7, 7][..])
    );
    assert!(!hal.trace().iter().any(|event| matches!(event, Event::Share { .. })));
}

#[test]
fn a_wait_that_times_out_leaves_the_request_in_flight() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 8).unwrap();
    let mut port = live.port::<Pair>(0).unwrap();
    let token = port.submit(pair(1)).unwrap();
    let timeout = Misbehaved::Timeout(Wait::Completion(Q0));
    assert_eq!(port.wait(token, LIMIT).map(drop), Err(timeout.into()));
    assert_eq!(port.in_flight(), 1);
    device.complete(0, 0, &[8; 5]);
    assert_eq!(port.wait(token, LIMIT).unwrap().take_payload().unwrap().1.0, [8; 5]);
}

#[test]
fn a_device_that_works_while_the_driver_waits_is_waited_for() {
    let hal = TestHal::new();
    let device = device(8, echo).manual().build(&hal);
    let mut live = up::<Pair>(&device, &hal, 8).unwrap();
    let worker = device.clone();
    let mut polls = 0;
    hal.on_relax(move || {
        polls += 1;
        if polls == 5 {
            worker.poll();
        }
    });
    let mut port = live.port::<Pair>(0).unwrap();
    let token = port.submit(pair(1)).unwrap();
    assert_eq!(port.wait(token, LIMIT).unwrap().written(), 5);
}

#[test]
fn tokens_of_another_device_reach_nothing_of_it() {
    let hal = TestHal::new();
    let (one, two) = (device(8, hold).build(&hal), device(8, hold).build(&hal));
    let (mut first, mut second) = (up::<Pair>(&one, &hal, 8).unwrap(), up::<Pair>(&two, &hal, 8).unwrap());
    let mut first = first.port::<Pair>(0).unwrap();
    let tokens: Vec<_> = (0..3).map(|n| first.submit(pair(n)).unwrap()).collect();
    let mut second = second.port::<Pair>(0).unwrap();
    let theirs = second.submit(pair(7)).unwrap();
    two.complete(0, 0, &[7; 5]);
    for token in tokens {
        assert_eq!(second.poll_for(token).map(drop), Err(Misuse::NoSuchRequest.into()));
        assert_eq!(second.wait(token, LIMIT).map(drop), Err(Misuse::NoSuchRequest.into()));
    }
    assert_eq!(first.poll_for(theirs).map(drop), Err(Misuse::NoSuchRequest.into()));
    assert_eq!(second.wait(theirs, LIMIT).unwrap().take_payload().unwrap().1.0, [7; 5]);
}

#[test]
fn two_queues_of_one_device_keep_their_payloads_apart() {
    let hal = TestHal::new();
    let device = virtio_testkit::FakeDevice::builder(ID).queue(0, 8, hold).queue(1, 8, hold).build(&hal);
    let init =
        Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let specs = [QueueSpec::new::<Bytes>(0, 8), QueueSpec::new::<Room>(1, 8)];
    let mut live = init.queues(&specs).unwrap().live().unwrap();
    live.port::<Bytes>(0).unwrap().submit(Request::new(Readable(vec![1]))).unwrap();
    live.port::<Room>(1).unwrap().submit(Request::new(Writable(vec![2]))).unwrap();
    device.complete(1, 0, &[5]);
    assert!(live.port::<Bytes>(0).unwrap().poll().unwrap().is_none());
    let payload = live.port::<Room>(1).unwrap().poll().unwrap().unwrap().take_payload();
    assert_eq!(payload, Some(Writable(vec![5])));
}
