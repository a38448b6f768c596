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
