//! Room for responses that is wiped before each request ([`QueueSpec::wiped`]), and room that is not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use core::time::Duration;
use virtio_core::device::{Init, Wanted};
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Features};
use virtio_testkit::{FakeDevice, Reply, TestHal};

/// What comes of a device that writes five bytes at first, and later claims five and writes one.
fn answers(spec: QueueSpec, header: &[u8]) -> Vec<[u8; 5]> {
    let hal = TestHal::new();
    let mut turn = 0;
    let handler = move |_| {
        turn += 1;
        Reply::Claim { bytes: if turn == 1 { vec![7; 5] } else { vec![turn] }, len: 5 }
    };
    let features = Features::VERSION_1 | Features::INDIRECT_DESC;
    // One request at a time, so each has the same place.
    let device = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 2, handler).features(features).build(&hal);
    let init = Init::start(device.transport(), hal.clone(), DeviceId::ENTROPY).unwrap();
    let wanted = Wanted::default();
    let mut live = init.negotiate(&wanted).unwrap().queues(&[spec]).unwrap().live().unwrap();
    let mut ask = || {
        let mut answer = [0xee; 5];
        assert_eq!(live.exchange(0, header, &mut answer, Duration::from_secs(1)), Ok(5));
        answer
    };
    (0..3).map(|_| ask()).collect()
}

#[test]
fn an_answer_is_not_taken_for_another_s() {
    let spec = QueueSpec::new::<()>(0, 2).header(4).response(8);
    // With and without a table, which is built elsewhere.
    for (spec, header) in
        [(spec, &b""[..]), (spec, b"ask"), (spec.indirect(2), b"ask"), (spec.indirect(2), b"")]
    {
        assert_eq!(answers(spec.wiped(), header), [[7; 5], [2, 0, 0, 0, 0], [3, 0, 0, 0, 0]]);
        assert_eq!(answers(spec, header), [[7; 5], [2, 7, 7, 7, 7], [3, 7, 7, 7, 7]]);
    }
}
