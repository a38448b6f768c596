//! Frames to be sent (VIRTIO 1.4 §5.1.9.2).

use crate::bench::{
    HEADER, HeapCard, MODERN, Model, Space, all, counting, drive, header, kicks, legacy, offering,
};
use core::num::NonZeroU16;

use virtio_core::dma::{Part, Readable};
use virtio_core::{Error, Features, Misuse};
use virtio_net::{Gso, Net, NetError, Options, Partial, TxOffload, abi};
use virtio_testkit::{FakeTransport, TestHal};

const UDP: Partial = Partial { start: 34, offset: 6 };
const TCP: Partial = Partial { start: 34, offset: 16 };

fn heap<X: virtio_net::Payload>(model: &Model, hal: &TestHal, options: &Options) -> HeapCard<X> {
    Net::with_buffers(model.device.transport(), hal.clone(), options, |_| None).unwrap()
}

/// The header of a frame of 100 bytes, as the device gets it.
fn header_of(features: Features, offload: TxOffload) -> Result<Vec<u8>, NetError> {
    let hal = TestHal::new();
    let model = offering(MODERN | features, &hal);
    let mut net = drive(&model, &hal, &Options { receive_queue: 2, ..all(1) });
    let (_, mut sender) = net.pair(0).unwrap();
    let outcome = sender.add_copied(&counting(1, 100), offload);
    sender.kick();
    let sent = model.sent.bytes();
    assert_eq!(sent.is_empty(), outcome.is_err(), "what is refused is not sent");
    outcome.map(|_| {
        assert_eq!(sent[0][HEADER..], counting(1, 100));
        sent[0][..HEADER].to_vec()
    })
}

// shows: net.op.tx.2, net.op.tx.3, net.op.tx.4, net.op.tx.31
#[test]
fn a_plain_frame_has_a_header_of_zeros() {
    for features in [Features::empty(), abi::TRANSMIT_OFFLOADS, abi::OFFLOADS] {
        assert_eq!(header_of(features, TxOffload::NONE), Ok(vec![0; HEADER]));
    }
    assert_eq!(header(0), [0; HEADER]);
}

// shows: net.op.tx.3, net.op.tx.27, net.op.tx.30, net.op.tx.45
#[test]
fn a_checksum_is_left_to_a_device_that_does_it() {
    let offload = TxOffload::checksum(UDP);
    assert_eq!(header_of(abi::F_CSUM, offload), Ok(vec![1, 0, 0, 0, 0, 0, 34, 0, 6, 0, 0, 0]));
    assert_eq!(header_of(abi::F_GUEST_CSUM, offload), Err(NetError::NotNegotiated(abi::F_CSUM)));
    // It must lie in the frame.
    let last = Partial { start: 90, offset: 8 };
    assert!(header_of(abi::F_CSUM, TxOffload::checksum(last)).is_ok());
    for (start, offset) in [(90, 9), (0, 99), (100, 0), (0xffff, 0xffff)] {
        let partial = Partial { start, offset };
        let error = NetError::ChecksumOutside { partial, len: 100 };
        assert_eq!(header_of(abi::F_CSUM, TxOffload::checksum(partial)), Err(error));
    }
}

// shows: net.op.tx.7, net.op.tx.9, net.op.tx.11, net.op.tx.13, net.op.tx.14, net.op.tx.15, net.op.tx.31, net.op.tx.32, net.op.tx.33
// shows: net.op.tx.34, net.op.tx.35
#[test]
fn segments_are_left_to_a_device_that_cuts_them() {
    let size = NonZeroU16::new(0x5a8).unwrap();
    for (gso, kind, feature) in
        [(Gso::TcpV4, 1, abi::F_HOST_TSO4), (Gso::TcpV6, 4, abi::F_HOST_TSO6), (Gso::Udp, 5, abi::F_HOST_USO)]
    {
        let offload = TxOffload::segments(gso, size, 66, TCP);
        let bytes = |kind| Ok(vec![1, kind, 66, 0, 0xa8, 5, 34, 0, 16, 0, 0, 0]);
        assert_eq!(header_of(abi::F_CSUM | feature, offload), bytes(kind));
        // With any other feature, it is not done.
        let others = abi::TRANSMIT_OFFLOADS - feature - abi::F_HOST_ECN;
        assert_eq!(header_of(others, offload), Err(NetError::NotNegotiated(feature)));
        let none = NetError::NotNegotiated(feature | abi::F_CSUM);
        assert_eq!(header_of(feature, offload), Err(none));
        // Congestion notification has a feature of its own, and is of TCP alone.
        let with_ecn = offload.with_ecn();
        let every = abi::TRANSMIT_OFFLOADS;
        assert_eq!(header_of(every, with_ecn), bytes(if gso == Gso::Udp { kind } else { kind | 0x80 }));
        let lacks = Err(NetError::NotNegotiated(abi::F_HOST_ECN));
        assert_eq!(header_of(every - abi::F_HOST_ECN, with_ecn), lacks);
        let long = TxOffload::segments(gso, size, 101, TCP);
        assert_eq!(header_of(every, long), Err(NetError::HeadersOutside { headers: 101, len: 100 }));
        // The transport header has the checksum in it: all of what is cut off before it is wrong.
        for headers in [0, 34, 51] {
            let short = TxOffload::segments(gso, size, headers, TCP);
            assert_eq!(header_of(every, short), Err(NetError::HeadersOutside { headers, len: 100 }));
        }
        assert!(header_of(every, TxOffload::segments(gso, size, 52, TCP)).is_ok());
    }
    assert_eq!(
        header_of(Features::empty(), TxOffload::checksum(UDP).with_ecn()).unwrap_err(),
        NetError::NotNegotiated(abi::F_CSUM)
    );
}

// shows: net.op.legacy.1, net.op.legacy.2, net.op.tx.1
#[test]
fn an_old_device_gets_a_header_of_its_own_kind() {
    for (features, len) in [(Features::empty(), 10), (abi::F_MRG_RXBUF, 12)] {
        let hal = TestHal::new();
        let model = legacy(features | abi::F_CSUM | Features::ANY_LAYOUT, &hal);
        let mut net = drive(&model, &hal, &all(1));
        let (_, mut sender) = net.pair(0).unwrap();
        sender.add_copied(&counting(1, 60), TxOffload::checksum(UDP)).unwrap();
        sender.kick();
        let mut expected = vec![1, 0, 0, 0, 0, 0];
        expected.extend(34_u16.to_ne_bytes());
        expected.extend(6_u16.to_ne_bytes());
        expected.resize(len, 0);
        expected.extend(counting(1, 60));
        assert_eq!(model.sent.bytes(), [expected]);
        assert!(sender.poll().unwrap().is_some());
    }
}

/// What a device says it wrote to a frame that it sends means nothing: legacy ones say anything.
// shows: net.op.legacy.2
#[test]
fn lengths_of_sent_frames_are_ignored() {
    let hal = TestHal::new();
    let space = Space { legacy: true, ..Space::default() };
    let device = virtio_testkit::FakeDevice::builder(virtio_core::DeviceId::NET)
        .features(Features::ANY_LAYOUT)
        .config(space.bytes())
        .event_queue(0, 64)
        .event_queue(1, 64)
        .legacy()
        .build(&hal);
    let mut net = Net::<_, _>::new(device.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    let (_, mut sender) = net.pair(0).unwrap();
    for claim in [0, 1, 1000, u32::MAX] {
        sender.send(&[0; 60]).unwrap();
        device.complete_claiming(1, 0, &[], claim);
        assert!(sender.poll().unwrap().is_some());
    }
}

/// Buffers are lent as they are: one descriptor each behind the header's, and they come back.
#[test]
fn nothing_is_copied_of_what_is_lent() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = heap::<(Readable<Vec<u8>>, Readable<Part<Vec<u8>>>)>(&model, &hal, &Options::DEFAULT);
    let (_, mut sender) = net.pair(0).unwrap();
    let (head, body) = (counting(1, 14), Part::new(counting(15, 2000), 0..46).unwrap());
    let (at_head, at_body) = (head.as_ptr(), body.bytes().as_ptr());
    let token = sender.submit((Readable(head), Readable(body)), TxOffload::NONE).unwrap();
    let requests = model.sent.take();
    let lens: Vec<u32> = requests[0].buffers.iter().map(|buffer| buffer.len).collect();
    assert_eq!(lens, [12, 14, 46]);
    assert!(requests[0].buffers.iter().all(|buffer| !buffer.writable));
    assert_eq!(requests[0].readable[HEADER..], counting(1, 60));
    let sent = sender.poll().unwrap().unwrap();
    let (Readable(head), Readable(body)) = sent.payload.unwrap();
    assert_eq!((sent.token, head.as_ptr(), body.bytes().as_ptr()), (token, at_head, at_body));
    assert!(sender.poll().unwrap().is_none());
}

#[test]
fn a_batch_is_one_notification_and_comes_back_in_one_look() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = heap::<Readable<Vec<u8>>>(&model, &hal, &Options::DEFAULT);
    hal.clear_trace();
    let (_, mut sender) = net.pair(0).unwrap();
    for first in 0..32 {
        sender.add(Readable(counting(first, 60)), TxOffload::NONE).unwrap();
    }
    assert_eq!((kicks(&hal, 1), model.sent.take().len(), sender.room()), (0, 0, 0));
    let rejected = sender.add(Readable(counting(99, 60)), TxOffload::NONE).unwrap_err();
    assert_eq!(rejected.error, NetError::Core(Misuse::QueueFull.into()));
    assert_eq!(rejected.payload.unwrap().0, counting(99, 60));
    assert_eq!(
        sender.add_copied(&[0; 60], TxOffload::NONE).unwrap_err(),
        NetError::Core(Misuse::QueueFull.into())
    );
    assert!(sender.kick());
    assert!(!sender.kick(), "there is nothing new");
    assert_eq!((kicks(&hal, 1), model.sent.bytes().len(), sender.in_flight()), (1, 32, 32));
    let mut back = vec![];
    assert_eq!(sender.drain(20, |sent| back.push(sent.payload.unwrap().0)).unwrap(), 20);
    assert_eq!(sender.drain(20, |sent| back.push(sent.payload.unwrap().0)).unwrap(), 12);
    assert_eq!(sender.drain(20, |_| panic!("no more")).unwrap(), 0);
    let expected: Vec<Vec<u8>> = (0..32).map(|first| counting(first, 60)).collect();
    assert_eq!(back, expected);
    assert_eq!((sender.room(), sender.in_flight()), (64, 0));
    // No configuration is read on a frame's way.
    assert!(!hal.trace().iter().any(|event| matches!(event, virtio_testkit::Event::ConfigRead { .. })));
}

/// What a half leaves behind is shown by the next who has it.
#[test]
fn a_half_that_goes_leaves_nothing_unshown() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    net.pair(0).unwrap().1.add_copied(&[1; 60], TxOffload::NONE).unwrap();
    assert_eq!(model.sent.take().len(), 0);
    net.pair(0).unwrap().1.kick();
    assert_eq!(model.sent.take().len(), 1);
}

// shows: net.config.9
#[test]
fn frames_are_as_long_as_the_network_takes() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MTU | abi::TRANSMIT_OFFLOADS, &hal);
    let mut net = heap::<Readable<Vec<u8>>>(
        &model,
        &hal,
        &Options { copied: 65_600, transmit_queue: 4, ..Options::DEFAULT },
    );
    let (_, mut sender) = net.pair(0).unwrap();
    assert_eq!(sender.frame_limit(), Some(1514));
    let mut send = |frame: Vec<u8>, offload| {
        let copied = sender.add_copied(&frame, offload).map(drop);
        let len = frame.len();
        let owned = sender.add(Readable(frame), offload).map(drop).map_err(|rejected| {
            assert_eq!(rejected.payload.unwrap().0.len(), len);
            rejected.error
        });
        assert_eq!(copied, owned);
        sender.kick();
        while sender.poll().unwrap().is_some() {}
        owned
    };
    let too_long = |len, limit| Err(NetError::FrameTooLong { len, limit });
    assert_eq!(send(vec![0; 13], TxOffload::NONE), Err(NetError::FrameTooShort(13)));
    assert_eq!(send(vec![], TxOffload::NONE), Err(NetError::FrameTooShort(0)));
    assert_eq!(send(vec![0; 14], TxOffload::NONE), Ok(()));
    assert_eq!(send(vec![0; 1514], TxOffload::checksum(UDP)), Ok(()));
    assert_eq!(send(vec![0; 1515], TxOffload::NONE), too_long(1515, 1514));
    assert_eq!(send(vec![0; 1515], TxOffload::checksum(UDP)), too_long(1515, 1514));
    // A tag is part of the low-level header.
    let tagged = |len| {
        let mut frame = vec![0; len];
        frame[12..14].copy_from_slice(&[0x81, 0]);
        frame
    };
    assert_eq!(send(tagged(1518), TxOffload::NONE), Ok(()));
    assert_eq!(send(tagged(1519), TxOffload::NONE), too_long(1519, 1518));
    // What is cut is not measured by it.
    let cut = TxOffload::segments(Gso::TcpV4, NonZeroU16::new(1460).unwrap(), 54, TCP);
    assert_eq!(send(vec![0; 65_589], cut), Ok(()));
    assert_eq!(send(vec![0; 65_590], cut), too_long(65_590, 65_589));
}

#[test]
fn copies_have_the_room_that_was_asked_for() {
    for (copied, len, fits) in [(1514, 1514, true), (1514, 1515, false), (100, 101, false), (0, 60, false)] {
        let hal = TestHal::new();
        let model = offering(MODERN, &hal);
        let mut net = drive(&model, &hal, &Options { copied, ..Options::DEFAULT });
        let (_, mut sender) = net.pair(0).unwrap();
        let outcome = sender.send(&counting(0, len));
        assert_eq!(outcome, if fits { Ok(()) } else { Err(NetError::FrameTooLong { len, limit: copied }) });
        // A frame of one's own needs no room.
        let dma = virtio_core::Dma::zeroed_slice(hal.clone(), len).unwrap();
        sender.submit(Readable(Part::new(dma, 0..len).unwrap()), TxOffload::NONE).unwrap();
    }
}

#[test]
fn interrupts_tell_of_sent_frames() {
    let hal = TestHal::new();
    let device = virtio_testkit::FakeDevice::builder(virtio_core::DeviceId::NET)
        .event_queue(0, 64)
        .event_queue(1, 64)
        .build(&hal);
    let mut net: Net<FakeTransport, TestHal> =
        Net::new(device.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    let (_, mut sender) = net.pair(0).unwrap();
    sender.add_copied(&[0; 60], TxOffload::NONE).unwrap();
    assert!(!sender.enable_interrupts(), "and shows what was added");
    assert_eq!(device.held(1), 1);
    device.complete(1, 0, &[]);
    assert_eq!(device.interrupts(), 1);
    assert!(sender.enable_interrupts(), "one waits already");
    assert!(sender.poll().unwrap().is_some());
    sender.disable_interrupts();
    sender.send(&[0; 60]).unwrap();
    device.complete(1, 0, &[]);
    assert_eq!(device.interrupts(), 1);
    assert!(sender.enable_interrupts_after(4));
    device.needs_reset();
    assert!(sender.needs_reset());
}

/// A frame that cannot be shared comes back.
#[test]
fn every_failed_sharing_gives_the_frame_back() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        hal.set_max_segment(16);
        let model = offering(MODERN, &hal);
        let mut net = heap::<Readable<Vec<u8>>>(&model, &hal, &Options::DEFAULT);
        let (_, mut sender) = net.pair(0).unwrap();
        hal.fail_nth(n);
        match sender.submit(Readable(counting(1, 60)), TxOffload::NONE) {
            Err(rejected) => {
                assert!(matches!(rejected.error, NetError::Core(Error::Platform(_))), "{}", rejected.error);
                assert_eq!(rejected.payload.unwrap().0, counting(1, 60));
                failures += 1;
            }
            Ok(_) => {
                assert!(!hal.has_failed());
                break;
            }
        }
    }
    assert!(failures >= 4, "{failures}");
}
