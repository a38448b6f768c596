//! Responses that end in a status, lengths that mean nothing, chains that may be no longer than the device says.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use core::time::Duration;
use virtio_core::device::{Device, Init, Wanted};
use virtio_core::queue::{QueueSpec, Request, Slices};
use virtio_core::{DeviceId, Error, Features, Misuse};
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, TestHal};

const LIMIT: Duration = Duration::from_secs(1);

fn live(hal: &TestHal, builder: Builder, spec: QueueSpec) -> Device<FakeTransport, TestHal> {
    let device = builder.build(hal);
    let init = Init::start(device.transport(), hal.clone(), DeviceId::BLOCK).unwrap();
    init.negotiate(&Wanted::default()).unwrap().queues(&[spec]).unwrap().live().unwrap()
}

/// A device that writes a whole answer at first, and later claims one and writes none of it.
fn claiming(len: u32) -> Builder {
    let mut turn = 0;
    FakeDevice::builder(DeviceId::BLOCK).queue(0, 4, move |_| {
        turn += 1;
        Reply::Claim { bytes: if turn == 1 { vec![7; 5] } else { vec![] }, len }
    })
}

#[test]
fn a_status_that_was_not_written_is_not_an_earlier_one() {
    let spec = QueueSpec::new::<()>(0, 2).header(4).response(8);
    let features = Features::VERSION_1 | Features::INDIRECT_DESC;
    for (spec, header) in [(spec, &b""[..]), (spec, b"ask"), (spec.indirect(2), b"ask")] {
        for (spec, expected) in [(spec.status(0xff), 0xff), (spec, 7)] {
            let hal = TestHal::new();
            let mut device = live(&hal, claiming(5).features(features), spec);
            let mut answers = [[0; 5]; 2];
            for answer in &mut answers {
                assert_eq!(device.exchange(0, header, answer, LIMIT), Ok(5));
            }
            assert_eq!(answers, [[7; 5], [7, 7, 7, 7, expected]]);
        }
    }
}

// shows: blk.op.legacy.2
#[test]
fn the_lengths_of_a_legacy_device_are_ignored_where_they_mean_nothing() {
    let spec = QueueSpec::new::<()>(0, 4).header(4).response(5).at_least(3);
    for len in [0, 1, 4, 5, 6, u32::MAX] {
        for (legacy, ignored) in [(false, false), (false, true), (true, false), (true, true)] {
            let hal = TestHal::new();
            let builder = claiming(len);
            let builder = if legacy { builder.legacy() } else { builder };
            let spec = if ignored { spec.ignores_legacy_lengths() } else { spec };
            let mut device = live(&hal, builder, spec.status(0xff));
            let (mut data, mut answer) = ([0xee; 4], [0; 1]);
            // This Hal brings back as many bytes as count as written.
            let all = legacy && ignored;
            let response = device.exchange(0, b"ask", &mut answer, LIMIT);
            assert_eq!(response, Ok(usize::from(all || len >= 1)));
            let mut slices = [&mut data[..]];
            let request = Request::new(Slices::to_write(&mut slices)).header(b"ask");
            let transferred = device.transfer(0, request, &mut answer, LIMIT).unwrap();
            assert_eq!(transferred.payload, if all { 4 } else { len.min(4) });
            assert_eq!(transferred.response, usize::from(all || len >= 5));
        }
    }
}

#[test]
fn scattered_buffers_make_no_chain_that_is_too_long() {
    let hal = TestHal::new();
    hal.set_max_segment(4);
    let spec = QueueSpec::new::<()>(0, 16).header(4).response(1);
    for (spec, table) in [(spec, false), (spec.indirect(16), true)] {
        for (len, fits) in [(4, true), (16, true), (17, false), (32, false)] {
            let features = Features::VERSION_1 | Features::INDIRECT_DESC;
            let builder = FakeDevice::builder(DeviceId::BLOCK).features(features).queue(0, 16, |request| {
                assert!(request.buffers.len() <= 6);
                Reply::Write(vec![1; request.writable])
            });
            let mut device = live(&hal, builder, spec.longest(6));
            let (mut data, mut status) = (vec![0; len], [0]);
            let mut slices = [&mut data[..]];
            let request = Request::new(Slices::to_write(&mut slices)).header(b"ask");
            let outcome = device.transfer(0, request, &mut status, LIMIT).map(|done| done.response);
            let expected = if fits { Ok(1) } else { Err(Error::from(Misuse::TooManySegments)) };
            assert_eq!(outcome, expected, "{len} bytes, table: {table}");
            // The device goes on.
            let mut status = [0];
            assert_eq!(device.exchange(0, b"ask", &mut status, LIMIT), Ok(1));
        }
    }
}

#[test]
fn what_is_offered_can_be_seen_before_it_is_decided_on() {
    let hal = TestHal::new();
    let offered = Features::VERSION_1 | Features::bit(17) | Features::EVENT_IDX;
    let device =
        FakeDevice::builder(DeviceId::BLOCK).features(offered).queue(0, 2, |_| Reply::Hold).build(&hal);
    let mut init = Init::start(device.transport(), hal.clone(), DeviceId::BLOCK).unwrap();
    assert_eq!(init.offered(), Ok(offered));
    assert_eq!(init.features(), Features::empty());
    let wanted = Wanted { optional: Features::bit(17), ..Wanted::default() };
    assert_eq!(init.negotiate(&wanted).unwrap().features(), offered);
}
