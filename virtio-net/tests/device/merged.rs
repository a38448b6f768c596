//! Frames in several buffers (VIRTIO 1.4 §5.1.9.4.1).

use crate::bench::{HEADER, MODERN, all, counting, drive, drive_heap, header, offering};

use virtio_core::Features;
use virtio_net::{Fault, Options, abi};
use virtio_testkit::TestHal;

const MERGES: Features = abi::F_MRG_RXBUF.union(MODERN);

/// Sends a frame of `len` bytes in buffers of `room` bytes; answers how many it took.
fn send(device: &virtio_testkit::FakeDevice, first: u8, len: usize, room: usize) -> u16 {
    let buffers = u16::try_from((HEADER + len).div_ceil(room)).unwrap();
    let frame = [header(buffers).as_slice(), &counting(first, len)].concat();
    for piece in frame.chunks(room) {
        assert!(device.send(0, piece));
    }
    buffers
}

#[test]
fn a_frame_is_put_together_whatever_it_lies_in() {
    for room in [85, 100, 128, 512, 1526, 4096] {
        let hal = TestHal::new();
        let model = offering(MERGES, &hal);
        let mut net = drive_heap(&model, &hal, &all(1), 64, room);
        let (mut receiver, _) = net.pair(0).unwrap();
        for len in [14, 60, room - HEADER - 1, room - HEADER, room - HEADER + 1, 2 * room, 1514] {
            if !(14..=1514).contains(&len) {
                continue;
            }
            let buffers = send(&model.device, 3, len, room);
            let mut frame = receiver.receive().unwrap().unwrap();
            assert_eq!((frame.len(), frame.pieces().count()), (len, usize::from(buffers)));
            assert_eq!(frame.pieces().collect::<Vec<_>>().concat(), counting(3, len));
            assert_eq!(frame.bytes().is_some(), buffers == 1);
            assert_eq!(frame.bytes_mut().is_some(), buffers == 1);
            let mut copy = vec![0; 1514];
            assert_eq!(frame.copy_to(&mut copy), len);
            assert_eq!(copy[..len], counting(3, len));
            drop(frame);
            assert!(receiver.receive().unwrap().is_none());
            assert_eq!(model.device.held(0), 64, "all of them are back");
        }
        assert_eq!(receiver.drops().frames, 0);
    }
}

#[test]
fn its_buffers_can_be_taken_all_or_in_part() {
    let hal = TestHal::new();
    let model = offering(MERGES, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 12, 512);
    let (mut receiver, _) = net.pair(0).unwrap();
    send(&model.device, 1, 1400, 512);
    let mut frame = receiver.receive().unwrap().unwrap();
    let pieces: Vec<_> = frame.take_all().collect();
    assert_eq!(frame.pieces().count(), 0);
    drop(frame);
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes().to_vec()).collect();
    assert_eq!(bytes, counting(1, 1400));
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(model.device.held(0), 9, "three were taken");
    for piece in pieces {
        receiver.post(piece.into_buffer()).unwrap();
    }
    receiver.kick();
    assert_eq!(model.device.held(0), 12);

    // One for another, while the frame is looked at.
    send(&model.device, 1, 1400, 512);
    let mut frame = receiver.receive().unwrap().unwrap();
    let first = frame.take().unwrap();
    assert!(frame.post(vec![0; 84]).is_err());
    frame.post(vec![0; 512]).unwrap();
    drop(frame);
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!((model.device.held(0), first.bytes().len()), (12, 500));

    // The first one only: the others go back.
    send(&model.device, 2, 1400, 512);
    let mut frame = receiver.receive().unwrap().unwrap();
    let first = frame.take().unwrap();
    assert_eq!(first.bytes(), &counting(2, 1400)[..500]);
    assert_eq!(frame.pieces().collect::<Vec<_>>().concat(), counting(2, 1400)[500..]);
    drop(frame);
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(model.device.held(0), 11);
    // Nothing of a frame is left to the next.
    send(&model.device, 5, 60, 512);
    let frame = receiver.receive().unwrap().unwrap();
    assert_eq!(frame.pieces().collect::<Vec<_>>(), [counting(5, 60)]);
}

#[test]
fn frames_of_several_buffers_follow_each_other() {
    let hal = TestHal::new();
    let model = offering(MERGES, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 64, 128);
    let (mut receiver, _) = net.pair(0).unwrap();
    for first in 0..12 {
        send(&model.device, first, 60 + usize::from(first) * 40, 128);
    }
    for first in 0..12 {
        let frame = receiver.receive().unwrap().unwrap();
        assert_eq!(
            frame.pieces().collect::<Vec<_>>().concat(),
            counting(first, 60 + usize::from(first) * 40)
        );
    }
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(model.device.held(0), 64);
}

/// The longest frame of all, in buffers of a page.
#[test]
fn sixty_four_kilobytes_take_seventeen_pages() {
    let hal = TestHal::new();
    let model = offering(MERGES | abi::F_GUEST_CSUM | abi::F_GUEST_TSO4, &hal);
    let mut net = drive(&model, &hal, &Options { buffer_len: 4096, ..all(1) });
    let (mut receiver, _) = net.pair(0).unwrap();
    assert!(receiver.needed_len() <= 4096);
    assert_eq!(send(&model.device, 9, 65_589, 4096), 17);
    let frame = receiver.receive().unwrap().unwrap();
    assert_eq!(frame.pieces().collect::<Vec<_>>().concat(), counting(9, 65_589));
    drop(frame);
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!((receiver.drops().frames, model.device.held(0)), (0, 64));
}

/// Buffers that are not filled, which no device should do: then a frame may lie in too many.
#[test]
fn more_buffers_than_a_frame_may_have() {
    let hal = TestHal::new();
    let model = offering(MERGES, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 64, 128);
    let (mut receiver, _) = net.pair(0).unwrap();
    for buffers in [18_u16, 19, 40, 64] {
        model.device.send(0, &[header(buffers).as_slice(), &[1; 20]].concat());
        for _ in 1..buffers {
            model.device.send(0, &[2; 10]);
        }
        let len = receiver.receive().unwrap().map(|frame| frame.len());
        if buffers == 18 {
            assert_eq!(len, Some(20 + 17 * 10));
        } else {
            assert_eq!(len, None);
            assert_eq!(receiver.drops().last, Some(Fault::TooManyBuffers { stated: buffers }));
        }
        assert!(receiver.receive().unwrap().is_none());
        assert_eq!(model.device.held(0), 64, "all of them are back");
    }
}

// shows: net.op.rx-buffers.3
#[test]
fn no_buffer_is_shorter_than_a_header_or_than_its_share_of_a_frame() {
    let hal = TestHal::new();
    let model = offering(MERGES, &hal);
    for (size, least) in [(64, 85), (16, 96), (4, 382), (1, 1526)] {
        let options = Options { receive_queue: size, ..all(1) };
        let mut net = drive_heap(&model, &hal, &options, 0, 0);
        let (mut receiver, _) = net.pair(0).unwrap();
        assert_eq!(receiver.needed_len(), least);
        assert!(receiver.post(vec![0; least - 1]).is_err());
        for _ in 0..size {
            receiver.post(vec![0; least]).unwrap();
        }
        receiver.kick();
        // As short as they are, the longest frame fits.
        send(&model.device, 1, 1514, least);
        assert_eq!(receiver.receive().unwrap().unwrap().len(), 1514);
    }
}
