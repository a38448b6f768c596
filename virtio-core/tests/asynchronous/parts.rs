//! Responses that are taken apart, and data that are copied behind a header.

use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::{Error, Features, Misuse};
use virtio_testkit::{FakeDevice, Reply, TestHal};

use core::future::Future;

use super::executor::Task;
use super::{RINGS, up_with_all};
use crate::common::ID;

/// The device answers as soon as it is notified.
fn finish<O>(future: impl Future<Output = O>) -> O {
    let mut task = Task::new(future);
    (0..4).find_map(|_| task.poll()).expect("no answer")
}

#[test]
fn data_and_status_go_to_different_places() {
    for rings in RINGS {
        let hal = TestHal::new();
        // As many bytes as were sent to it, and a status.
        let handler =
            |request: virtio_testkit::Request| Reply::Write([&request.readable[..], &[0xee]].concat());
        let device =
            FakeDevice::builder(ID).features(rings | Features::VERSION_1).queue(0, 16, handler).build(&hal);
        let mut live = up_with_all::<()>(&device, &hal, 16);
        let bell = Bell::new();
        let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
        for round in 0..if cfg!(miri) { 2 } else { 20_u8 } {
            let (mut data, mut status) = ([0; 6], [0]);
            let (header, tail) = ([round; 2], [round + 1; 4]);
            let request = Request::new(()).header(&header).data(&tail).response(7);
            let completion = finish(port.send_in_parts(request, &mut data, &mut status)).unwrap();
            assert_eq!(completion.response, 7);
            assert_eq!((data, status), ([round, round, round + 1, round + 1, round + 1, round + 1], [0xee]));
        }
        // Shorter than the first part; and between the two.
        for (sent, expected) in [(&b"ab"[..], 3), (b"abcdef", 7), (b"abcdefgh", 8)] {
            let (mut data, mut status) = ([0; 7], [0]);
            let request = Request::new(()).header(sent).response(16);
            let first = port.start_in_parts(request, &mut data, &mut status).unwrap();
            let completion = finish(first).unwrap();
            assert_eq!(completion.response, expected);
            let all: Vec<u8> = sent.iter().copied().chain([0xee]).take(8).collect();
            assert_eq!([&data[..], &status].concat()[..expected], all);
        }
        let rejected =
            port.start(Request::new(()).header(b"0123456789").data(b"1234567"), &mut []).unwrap_err();
        assert_eq!(rejected.error, Error::Caller(Misuse::NoRoomDeclared));
    }
}

/// In batches, the executor says when the device hears of what was sent: once for all.
#[test]
fn a_batch_of_tasks_is_one_notification() {
    for rings in RINGS {
        let hal = TestHal::new();
        let handler = |request: virtio_testkit::Request| Reply::Write(request.readable);
        let device =
            FakeDevice::builder(ID).features(rings | Features::VERSION_1).queue(0, 16, handler).build(&hal);
        let mut live = up_with_all::<()>(&device, &hal, 16);
        let bell = Bell::new();
        let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap().in_batches();
        for round in 0..3_u8 {
            let mut answers = [[0]; 5];
            let headers: [_; 5] = core::array::from_fn(|nth| [round + u8::try_from(nth).unwrap()]);
            let sends = answers.iter_mut().zip(&headers);
            let mut tasks: Vec<_> = sends
                .map(|(answer, header)| {
                    Task::waiting(port.send(Request::new(()).header(header).response(1), answer))
                })
                .collect();
            hal.clear_trace();
            assert_eq!(port.in_flight(), 5);
            port.service();
            assert!(tasks.iter_mut().all(|task| task.poll().is_none()), "nobody has told the device");
            assert!(port.kick());
            let notified = |event: &virtio_testkit::Event| matches!(event, virtio_testkit::Event::Notify(_));
            assert_eq!(hal.trace().iter().filter(|event| notified(event)).count(), 1);
            for task in &mut tasks {
                assert!(task.poll().is_some_and(|sent| sent.is_ok()));
            }
            drop(tasks);
            assert_eq!(answers, headers);
        }
    }
}
