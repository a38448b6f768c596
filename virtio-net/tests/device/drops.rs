//! Frames that are not in order: dropped by name, their buffers back with the device.

use crate::bench::{HEADER, MODERN, all, counting, drive, drive_heap, header, incoming, offering};

use virtio_core::{Error, Features, Misbehaved, QueueIndex};
use virtio_net::{Drops, Fault, NetError, Options, Partial, abi};
use virtio_testkit::{Lie, TestHal};

/// Bytes of a buffer: enough for a share of the longest frame.
const ROOM: usize = 4096;

/// What a driver with 4 buffers does about what `send` sends; then a good frame comes.
fn dropped(features: Features, send: impl FnOnce(&virtio_testkit::FakeDevice)) -> Drops {
    let hal = TestHal::new();
    let model = offering(MODERN | features, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 4, ROOM);
    let (mut receiver, _) = net.pair(0).unwrap();
    send(&model.device);
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(model.device.held(0), 4, "all buffers are the device's again");
    let drops = receiver.drops();
    assert_eq!(drops.buffers, 0);
    // The device is as good as before.
    for _ in 0..10 {
        model.device.send(0, &incoming(1, 60));
        assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(1, 60));
        assert!(receiver.receive().unwrap().is_none());
    }
    assert_eq!(receiver.drops(), drops);
    drops
}

fn one(fault: Fault) -> Drops {
    Drops { frames: 1, last: Some(fault), buffers: 0 }
}

#[test]
fn frames_shorter_than_their_headers() {
    for merges in [Features::empty(), abi::F_MRG_RXBUF] {
        for len in [0, 1, 11, 12, 13, 25] {
            let written = u32::try_from(len).unwrap();
            let drops = dropped(merges, |device| assert!(device.send(0, &incoming(1, 60)[..len])));
            assert_eq!(drops, one(Fault::Short { written }), "{len} bytes");
        }
    }
    // 14 bytes of Ethernet are a frame.
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    model.device.send(0, &incoming(1, 14));
    assert_eq!(net.pair(0).unwrap().0.receive().unwrap().unwrap().len(), 14);
}

#[test]
fn frames_longer_than_their_buffer() {
    for merges in [Features::empty(), abi::F_MRG_RXBUF] {
        for claimed in [4097, 65_601, u32::MAX] {
            let drops = dropped(merges, |device| {
                device.complete_claiming(0, 0, &incoming(1, ROOM - HEADER), claimed)
            });
            assert_eq!(drops, one(Fault::Long { claimed, room: ROOM }));
        }
    }
}

#[test]
fn frames_in_no_buffer_or_in_more_than_there_are() {
    let stating = |stated: u16| {
        let frame = [header(stated).as_slice(), &counting(1, 100)].concat();
        dropped(abi::F_MRG_RXBUF, move |device| assert!(device.send(0, &frame)))
    };
    assert_eq!(stating(0), one(Fault::NoBuffers));
    for stated in [2, 3, 4, 64, 65, 1000, u16::MAX] {
        assert_eq!(stating(stated), one(Fault::MissingBuffers { stated, found: 1 }), "{stated}");
    }
    // More than there ever were: what follows is no part of it.
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let (mut receiver, _) = net.pair(0).unwrap();
    model.device.send(0, &[header(65).as_slice(), &counting(1, 100)].concat());
    model.device.send(0, &incoming(2, 60));
    assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(2, 60));
    assert_eq!(receiver.drops(), one(Fault::MissingBuffers { stated: 65, found: 1 }));
    // One short of what it says.
    let drops = dropped(abi::F_MRG_RXBUF, |device| {
        device.send(0, &[header(4).as_slice(), &counting(1, ROOM - HEADER)].concat());
        device.send(0, &[7; ROOM]);
        device.send(0, &[8; ROOM]);
    });
    assert_eq!(drops, one(Fault::MissingBuffers { stated: 4, found: 3 }));
    // Without merging the number means nothing.
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    for stated in [0, 1, 2, u16::MAX] {
        model.device.send(0, &[header(stated).as_slice(), &counting(1, 60)].concat());
        assert_eq!(net.pair(0).unwrap().0.receive().unwrap().unwrap().bytes().unwrap(), counting(1, 60));
    }
}

#[test]
fn a_later_buffer_that_is_overfull() {
    let drops = dropped(abi::F_MRG_RXBUF, |device| {
        device.send(0, &[header(3).as_slice(), &counting(1, ROOM - HEADER)].concat());
        device.complete_claiming(0, 0, &[7; ROOM], 4097);
        device.send(0, &[8; 30]);
    });
    assert_eq!(drops, one(Fault::Long { claimed: 4097, room: ROOM }));
}

/// The header of a frame of 200 bytes.
fn saying(features: Features, bytes: [u8; 10]) -> Drops {
    let mut frame = incoming(1, 200);
    frame[..10].copy_from_slice(&bytes);
    dropped(features | abi::F_GUEST_CSUM | abi::F_MRG_RXBUF, move |device| assert!(device.send(0, &frame)))
}

#[test]
fn checksums_outside_of_the_frame() {
    for (start, offset) in [(199, 0), (0, 199), (100, 99), (0xffff, 0xffff), (200, 0)] {
        let ([a, b], [c, d]) = (u16::to_le_bytes(start), u16::to_le_bytes(offset));
        let fault = Fault::ChecksumOutside { partial: Partial { start, offset }, len: 200 };
        assert_eq!(saying(Features::empty(), [1, 0, 0, 0, 0, 0, a, b, c, d]), one(fault));
    }
}

// shows: net.op.rx.8, net.op.rx.10
#[test]
fn segments_that_nobody_asked_for_or_knows() {
    let tcp = abi::F_GUEST_TSO4;
    for (features, kind, size) in [
        (Features::empty(), 1, 1448),
        (Features::empty(), 5, 1448),
        (tcp, 4, 1448),
        (tcp, 3, 1448),
        (tcp, 2, 1448),
        (tcp, 0x7f, 1448),
        // Congestion of nothing; segments of nothing.
        (tcp, 0x80, 1448),
        (tcp, 1, 0),
        // In a tunnel over IPv4, over IPv6, over both.
        (tcp, 0x21, 1448),
        (tcp, 0x41, 1448),
        (tcp, 0x61, 1448),
        (tcp, 0x60, 1448),
        (tcp, 0x20, 1448),
        (tcp, 0xe1, 1448),
    ] {
        let [low, high] = u16::to_le_bytes(size);
        for flags in [0, 1, 2, 3, 9] {
            let drops = saying(features, [flags, kind, 66, 0, low, high, 34, 0, 16, 0]);
            assert_eq!(drops, one(Fault::BadSegments { kind }), "{kind:#x} {flags}");
        }
    }
    // The flag of a tunnel's outer checksum, without a tunnel: one of those that are not known, and that are ignored.
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_GUEST_CSUM, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let mut frame = incoming(1, 200);
    frame[0] = 8;
    model.device.send(0, &frame);
    assert_eq!(net.pair(0).unwrap().0.receive().unwrap().unwrap().len(), 200);
}

/// Bad and good frames mixed: each good one is seen, in order, and no call takes for ever.
#[test]
fn bad_frames_do_not_hide_good_ones() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let (mut receiver, _) = net.pair(0).unwrap();
    for first in 0..60 {
        let good = first % 3 == 0;
        model.device.send(0, &incoming(first, 60)[..if good { HEADER + 60 } else { 5 }]);
    }
    for first in (0..60).step_by(3) {
        assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(first, 60));
    }
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!((receiver.drops().frames, model.device.held(0)), (40, 64));
}

#[test]
fn a_broken_ring_is_an_error_and_the_device_comes_back() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let broken: Error = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 64 }.into();
    {
        let (mut receiver, mut sender) = net.pair(0).unwrap();
        // In the middle of a frame of three buffers.
        model.device.send(0, &[header(3).as_slice(), &counting(1, 100)].concat());
        model.device.send(0, &[5; 100]);
        model.device.lie(0, Lie::UsedId { id: 64, len: 8 });
        assert_eq!(receiver.receive().unwrap_err(), NetError::Core(broken));
        assert_eq!(receiver.receive().unwrap_err(), NetError::Core(broken));
        assert_eq!(receiver.drops().buffers, 2, "they had left the queue");
        sender.send(&[0; 60]).unwrap();
        assert!(sender.poll().unwrap().is_some(), "the other queue goes on");
    }
    let mut net = net.recover().unwrap();
    model.device.send(0, &incoming(1, 60));
    assert_eq!(net.pair(0).unwrap().0.receive().unwrap().unwrap().bytes().unwrap(), counting(1, 60));
}

/// A platform that fails for a moment costs a buffer, not the queue.
#[test]
fn a_buffer_that_cannot_be_shared_again_is_counted() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive_heap(&model, &hal, &Options::DEFAULT, 4, ROOM);
    let (mut receiver, _) = net.pair(0).unwrap();
    model.device.send(0, &incoming(1, 60));
    let frame = receiver.receive().unwrap().unwrap();
    hal.fail_nth(1);
    drop(frame);
    assert!(hal.has_failed());
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!((receiver.drops().buffers, model.device.held(0)), (1, 3));
    receiver.post(vec![0; ROOM]).unwrap();
    receiver.kick();
    assert_eq!(model.device.held(0), 4);
}
