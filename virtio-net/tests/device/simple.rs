//! Frames in slices of the caller's.

use crate::bench::{HEADER, MODERN, all, counting, drive, header, incoming, kicks, offering};

use virtio_core::{DeviceId, Error, Features, Misbehaved, QueueIndex, Wait};
use virtio_net::{Fault, Net, NetError, Options, Partial, TxOffload, abi};
use virtio_testkit::{FakeDevice, FakeTransport, TestHal};

#[test]
fn send_and_receive() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let mut frame = [0; 1514];
    assert_eq!(net.receive(&mut frame), Ok(None));
    hal.clear_trace();
    for len in [14, 60, 1514, 9000] {
        net.send(&counting(7, len)).unwrap();
        let requests = model.sent.take();
        assert_eq!(requests[0].readable, [header(0).as_slice(), &counting(7, len)].concat());
        let lens: Vec<u32> = requests[0].buffers.iter().map(|buffer| buffer.len).collect();
        assert_eq!(lens, [12, u32::try_from(len).unwrap()], "the slice itself");
    }
    assert_eq!(kicks(&hal, 1), 4);
    for (first, len) in [(1, 60), (2, 1514)] {
        model.device.send(0, &incoming(first, len));
        assert_eq!(net.receive(&mut frame), Ok(Some(len)));
        assert_eq!(frame[..len], counting(first, len));
        assert_eq!(model.device.held(0), 64, "its buffer is the device's again");
    }
    assert_eq!(net.receive(&mut frame), Ok(None));
}

#[test]
fn merged_frames_are_copied_whole() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
    let mut net = drive(&model, &hal, &Options { buffer_len: 512, ..all(1) });
    let frame = [header(3).as_slice(), &counting(1, 1400)].concat();
    frame.chunks(512).for_each(|piece| assert!(model.device.send(0, piece)));
    let mut bytes = [0; 1514];
    assert_eq!(net.receive(&mut bytes), Ok(Some(1400)));
    assert_eq!(bytes[..1400], counting(1, 1400));
    assert_eq!(model.device.held(0), 64);
}

#[test]
fn what_does_not_fit_is_dropped_by_name() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    model.device.send(0, &incoming(1, 61));
    model.device.send(0, &incoming(2, 60));
    model.device.send(0, &[0; HEADER]);
    let mut bytes = [0; 60];
    assert_eq!(net.receive(&mut bytes), Err(NetError::SliceTooShort { needed: 61 }));
    assert_eq!(net.receive(&mut bytes), Ok(Some(60)));
    assert_eq!(bytes[..], counting(2, 60));
    assert_eq!(net.receive(&mut bytes), Ok(None));
    assert_eq!((net.drops().frames, net.drops().last), (1, Some(Fault::Short { written: 12 })));
    model.device.send(0, &[0; 5]);
    assert_eq!(net.receive(&mut bytes), Ok(None));
    assert_eq!((net.drops().frames, net.drops().last), (2, Some(Fault::Short { written: 5 })));
    assert_eq!(model.device.held(0), 64);
}

#[test]
fn what_cannot_be_sent_is_named_and_not_sent() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MTU | abi::F_CSUM, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    assert_eq!(net.send(&[0; 13]), Err(NetError::FrameTooShort(13)));
    assert_eq!(net.send(&[0; 1515]), Err(NetError::FrameTooLong { len: 1515, limit: 1514 }));
    let outside = Partial { start: 58, offset: 1 };
    let error = NetError::ChecksumOutside { partial: outside, len: 60 };
    assert_eq!(net.send_with(&[0; 60], TxOffload::checksum(outside)), Err(error));
    assert!(model.sent.take().is_empty());
    net.send_with(&[0; 60], TxOffload::checksum(Partial { start: 34, offset: 6 })).unwrap();
    assert_eq!(model.sent.bytes()[0][..10], [1, 0, 0, 0, 0, 0, 34, 0, 6, 0]);
}

#[test]
fn a_device_that_does_not_send_is_taken_down_and_comes_back() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::NET).event_queue(0, 64).event_queue(1, 64).build(&hal);
    let mut net: Net<FakeTransport, TestHal> =
        Net::new(device.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(1)));
    assert_eq!(net.send(&[0; 60]), Err(NetError::Core(timeout.into())));
    assert_eq!(net.send(&[0; 60]), Err(NetError::Core(Error::Down)));
    assert_eq!(net.receive(&mut [0; 60]), Err(NetError::Core(Error::Down)));
    let mut net = net.recover().unwrap();
    assert_eq!(net.features(), Features::VERSION_1);
    device.send(0, &incoming(1, 60));
    assert_eq!(net.receive(&mut [0; 60]), Ok(Some(60)));
}
