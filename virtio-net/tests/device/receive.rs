//! Frames in one buffer each (VIRTIO 1.4 §5.1.9.3, §5.1.9.4).

use crate::bench::{
    HEADER, HeapCard, MODERN, all, counting, drive, drive_heap, header, incoming, kicks, legacy, offering,
};
use core::num::NonZeroU16;

use virtio_core::{Features, Misuse};
use virtio_net::{Gso, Net, NetError, Options, Partial, RxChecksum, RxOffload, Segments, abi};
use virtio_testkit::TestHal;

#[test]
fn frames_come_in_order_without_their_headers() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    assert_eq!(model.device.held(0), 64, "every entry has a buffer");
    let (mut receiver, _) = net.pair(0).unwrap();
    assert!(receiver.receive().unwrap().is_none());
    for (first, len) in [(1, 60), (2, 14), (3, 1514)] {
        assert!(model.device.send(0, &incoming(first, len)));
    }
    for (first, len) in [(1, 60), (2, 14), (3, 1514)] {
        let mut frame = receiver.receive().unwrap().unwrap();
        assert_eq!((frame.len(), frame.offload()), (len, RxOffload::NONE));
        assert_eq!(frame.bytes().unwrap(), counting(first, len));
        assert_eq!(frame.pieces().collect::<Vec<_>>(), [counting(first, len)]);
        let mut copy = [0; 2000];
        assert_eq!(frame.copy_to(&mut copy), len);
        assert_eq!(copy[..len], counting(first, len));
        assert_eq!(frame.copy_to(&mut copy[..5]), 5);
        frame.bytes_mut().unwrap()[0] = 0xaa;
        assert_eq!(frame.bytes().unwrap()[0], 0xaa);
    }
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(receiver.drops().frames, 0);
}

/// The same memory comes back that was given, and nothing is copied but by the Hal.
#[test]
fn buffers_are_the_callers_own() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut addresses = vec![];
    let mut net: HeapCard =
        Net::with_buffers(model.device.transport(), hal.clone(), &Options::DEFAULT, |slot| {
            assert_eq!((slot.pair, slot.least_len, slot.good_len), (0, 1526, 1530));
            (slot.nth < 3).then(|| {
                let buffer = vec![0; slot.good_len];
                addresses.push(buffer.as_ptr());
                buffer
            })
        })
        .unwrap();
    assert_eq!(model.device.held(0), 3);
    let (mut receiver, _) = net.pair(0).unwrap();
    for (nth, address) in addresses.iter().enumerate() {
        model.device.send(0, &incoming(nth.to_le_bytes()[0], 100));
        let mut frame = receiver.receive().unwrap().unwrap();
        let mut piece = frame.take().unwrap();
        assert!(frame.take().is_none() && frame.bytes().is_none());
        drop(frame);
        assert_eq!(piece.bytes(), counting(nth.to_le_bytes()[0], 100));
        piece.bytes_mut().fill(7);
        assert_eq!(piece.bytes(), [7; 100]);
        let part = piece.into_part().unwrap();
        assert_eq!(part.range(), HEADER..HEADER + 100);
        let buffer = part.into_inner();
        assert_eq!((buffer.as_ptr(), buffer.len()), (*address, 1530));
    }
    // All were taken: none went back by itself.
    assert_eq!((receiver.posted(), model.device.held(0)), (0, 0));
}

#[test]
fn what_is_posted_is_shown_with_one_notification() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive_heap(&model, &hal, &Options::DEFAULT, 0, 0);
    hal.clear_trace();
    let (mut receiver, _) = net.pair(0).unwrap();
    assert_eq!((receiver.needed_len(), receiver.room(), receiver.posted()), (1526, 64, 0));
    for _ in 0..10 {
        receiver.post(vec![0; 1526]).unwrap();
    }
    assert_eq!((receiver.posted(), model.device.held(0), kicks(&hal, 0)), (10, 0, 0));
    assert!(receiver.kick());
    assert_eq!((model.device.held(0), kicks(&hal, 0)), (10, 1));
    assert!(!receiver.kick(), "there is nothing new");

    // What goes back by itself is shown when nothing more is there.
    for first in 0..10 {
        model.device.send(0, &incoming(first, 60));
    }
    while receiver.receive().unwrap().is_some() {}
    assert_eq!((model.device.held(0), kicks(&hal, 0)), (10, 2));
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(kicks(&hal, 0), 2, "looking alone notifies nobody");
}

/// Whoever takes his time between two frames does not starve the device.
#[test]
fn half_a_queue_of_buffers_is_not_kept_back() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let (mut receiver, _) = net.pair(0).unwrap();
    receiver.kick();
    for first in 0..64 {
        assert!(model.device.send(0, &incoming(first, 60)));
    }
    let mut least = usize::MAX;
    for taken in 1..=64 {
        drop(receiver.receive().unwrap().unwrap());
        if taken > 34 {
            least = least.min(model.device.held(0));
        }
    }
    assert!(least >= 32, "{least}");
}

#[test]
fn a_full_queue_and_a_short_buffer_are_named() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive_heap(&model, &hal, &Options::DEFAULT, 63, 1526);
    let (mut receiver, _) = net.pair(0).unwrap();
    let rejected = receiver.post(vec![5; 1525]).unwrap_err();
    assert_eq!(rejected.error, NetError::BufferTooShort { len: 1525, needed: 1526 });
    assert_eq!(rejected.payload.unwrap(), [5; 1525]);
    receiver.post(vec![0; 1526]).unwrap();
    let rejected = receiver.post(vec![6; 1526]).unwrap_err();
    assert_eq!(
        (rejected.error, rejected.payload.unwrap().len()),
        (NetError::Core(Misuse::QueueFull.into()), 1526)
    );
    drop(net);
    let short = |_| Some(vec![0; 1525]);
    let error = HeapCard::<virtio_core::dma::Readable<virtio_core::dma::Part<Vec<u8>>>>::with_buffers(
        model.device.transport(),
        hal.clone(),
        &Options::DEFAULT,
        short,
    )
    .unwrap_err();
    assert_eq!(error, NetError::BufferTooShort { len: 1525, needed: 1526 });
}

// shows: net.op.rx-buffers.1, net.op.rx-buffers.2, net.config.8
#[test]
fn buffers_that_the_driver_allocates_are_long_enough_for_every_frame() {
    let large = abi::F_GUEST_CSUM | abi::F_GUEST_TSO4;
    for (features, mtu, needed) in [
        (Features::empty(), 1500, 1526),
        (abi::F_MTU, 1280, 1526),
        (abi::F_MTU, 9000, 9026),
        (large, 1500, 65_601),
        (abi::F_GUEST_CSUM | abi::F_GUEST_USO6, 1500, 65_601),
    ] {
        let hal = TestHal::new();
        let model = offering(MODERN | features, &hal);
        model.device.set_config(crate::bench::Space { mtu, ..Default::default() }.bytes());
        let options = Options { receive_queue: 4, ..all(1) };
        let mut net = drive(&model, &hal, &options);
        let (mut receiver, _) = net.pair(0).unwrap();
        assert_eq!(receiver.needed_len(), needed);
        // The longest that may come, tag and all, fits.
        let longest = needed - HEADER + if needed < 65_000 { 4 } else { 0 };
        assert!(model.device.send(0, &incoming(1, longest)));
        assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(1, longest));
    }
}

// shows: net.op.legacy.1
#[test]
fn an_old_device_has_a_short_header_in_the_guests_byte_order() {
    let hal = TestHal::new();
    let features = abi::F_GUEST_CSUM | Features::ANY_LAYOUT;
    let model = legacy(features, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let (mut receiver, _) = net.pair(0).unwrap();
    let mut frame = vec![1, 0, 0, 0, 0, 0];
    frame.extend(34_u16.to_ne_bytes());
    frame.extend(16_u16.to_ne_bytes());
    frame.extend(counting(9, 80));
    model.device.send(0, &frame);
    let frame = receiver.receive().unwrap().unwrap();
    assert_eq!(frame.bytes().unwrap(), counting(9, 80));
    assert_eq!(frame.offload().checksum, RxChecksum::Partial(Partial { start: 34, offset: 16 }));
}

/// What a device says of a frame of 200 bytes, `flags` to `csum_offset`.
fn said(features: Features, bytes: [u8; 10]) -> Option<RxOffload> {
    let hal = TestHal::new();
    let model = offering(MODERN | features, &hal);
    let options = Options { receive_queue: 2, ..all(1) };
    let mut net = drive(&model, &hal, &options);
    let (mut receiver, _) = net.pair(0).unwrap();
    let mut frame = incoming(1, 200);
    frame[..10].copy_from_slice(&bytes);
    model.device.send(0, &frame);
    let outcome = receiver.receive().unwrap().map(|frame| {
        assert_eq!(frame.bytes().unwrap(), counting(1, 200));
        frame.offload()
    });
    assert_eq!(outcome.is_none(), receiver.drops().frames == 1);
    outcome
}

const CHECKED: Features = abi::F_GUEST_CSUM;

// shows: net.op.rx.1, net.op.rx.4, net.op.rx.7
#[test]
fn checksums_are_known_partial_or_nothing() {
    let of = |features, bytes| said(features, bytes).unwrap().checksum;
    let partial = RxChecksum::Partial(Partial { start: 34, offset: 6 });
    assert_eq!(of(CHECKED, [0; 10]), RxChecksum::Unknown);
    assert_eq!(of(CHECKED, [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]), RxChecksum::Valid);
    assert_eq!(of(CHECKED, [1, 0, 0, 0, 0, 0, 34, 0, 6, 0]), partial);
    assert_eq!(of(CHECKED, [3, 0, 0, 0, 0, 0, 34, 0, 6, 0]), partial, "it was never on a wire");
    // Numbers without their flag mean nothing, wherever they point.
    assert_eq!(of(CHECKED, [0, 0, 0, 0, 0, 0, 0xff, 0xff, 6, 0]), RxChecksum::Unknown);
    assert_eq!(of(CHECKED, [2, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), RxChecksum::Valid);
    // Nor with a flag that makes them something else.
    assert_eq!(of(CHECKED, [5, 0, 0, 0, 0, 0, 0xff, 0xff, 6, 0]), RxChecksum::Unknown);
    // Flags that nobody knows are no reason for anything.
    assert_eq!(of(CHECKED, [0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0]), RxChecksum::Unknown);
    assert_eq!(of(CHECKED, [0xf9, 0, 0, 0, 0, 0, 34, 0, 6, 0]), partial);
    // Without the feature nothing is believed.
    for flags in 0..=255 {
        assert_eq!(of(Features::empty(), [flags, 0, 0, 0, 0, 0, 34, 0, 6, 0]), RxChecksum::Unknown);
    }
}

// shows: net.op.rx.6
#[test]
fn segments_say_what_they_were_and_their_headers_are_a_hint() {
    let large = CHECKED | abi::F_GUEST_TSO4 | abi::F_GUEST_TSO6 | abi::F_GUEST_ECN | abi::F_GUEST_USO4;
    let size = NonZeroU16::new(1448).unwrap();
    for (kind, gso, ecn) in [
        (1, Gso::TcpV4, false),
        (4, Gso::TcpV6, false),
        (5, Gso::Udp, false),
        (0x81, Gso::TcpV4, true),
        (0x84, Gso::TcpV6, true),
    ] {
        // No length of headers is too silly: nothing is done with it.
        for headers in [0_u16, 66, 200, u16::MAX] {
            let [low, high] = headers.to_le_bytes();
            let offload = said(large, [1, kind, low, high, 0xa8, 5, 34, 0, 16, 0]).unwrap();
            assert_eq!(offload.segments, Some(Segments { gso, size, headers, ecn }));
            assert_eq!(offload.checksum, RxChecksum::Partial(Partial { start: 34, offset: 16 }));
        }
    }
}

#[test]
fn interrupts_tell_of_frames() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let (mut receiver, _) = net.pair(0).unwrap();
    model.device.send(0, &incoming(1, 60));
    assert_eq!(model.device.interrupts(), 0, "nobody asked for one");
    assert!(receiver.enable_interrupts(), "one waits already");
    drop(receiver.receive().unwrap().unwrap());
    assert!(!receiver.enable_interrupts());
    model.device.send(0, &incoming(2, 60));
    assert_eq!(model.device.interrupts(), 1);
    drop(receiver.receive().unwrap().unwrap());
    receiver.disable_interrupts();
    model.device.send(0, &incoming(3, 60));
    assert_eq!(model.device.interrupts(), 1);
    drop(receiver.receive().unwrap().unwrap());
    assert!(!receiver.enable_interrupts_after(3));
    model.device.send(0, &incoming(3, 60));
    assert!(!receiver.needs_reset());
    model.device.needs_reset();
    assert!(receiver.needs_reset());
}

/// On each ring, and with what a device may ask of its queues.
#[test]
fn frames_come_in_on_every_ring() {
    let rings = [
        Features::empty(),
        Features::EVENT_IDX | Features::INDIRECT_DESC,
        Features::IN_ORDER,
        Features::RING_PACKED,
        Features::RING_PACKED | Features::EVENT_IDX | Features::IN_ORDER,
    ];
    for features in rings {
        if features.contains(Features::RING_PACKED) && cfg!(not(feature = "packed")) {
            continue;
        }
        let hal = TestHal::new();
        let model = offering(MODERN | features | abi::F_MRG_RXBUF, &hal);
        let mut net = drive(&model, &hal, &all(1));
        let (mut receiver, mut sender) = net.pair(0).unwrap();
        for round in 0..200_u16 {
            let [first, _] = round.to_le_bytes();
            assert!(model.device.send(0, &incoming(first, 60)), "{features:?} {round}");
            assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(first, 60));
            assert!(receiver.receive().unwrap().is_none());
            sender.send(&counting(first, 60)).unwrap();
            assert_eq!(model.sent.bytes(), [[header(0).as_slice(), &counting(first, 60)].concat()]);
            assert!(sender.poll().unwrap().unwrap().payload.is_none());
        }
    }
}
