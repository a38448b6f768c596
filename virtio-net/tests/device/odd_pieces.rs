//! Frames whose buffers are not what a fair device, or a careful caller, makes of them: nothing is lost, mixed up, or without end.

use crate::bench::{HEADER, HeapCard, MODERN, all, counting, drive_heap, header, offering};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use virtio_core::{DeviceId, Features};
use virtio_net::{Net, Receiver, abi};
use virtio_testkit::{FakeDevice, FakeTransport, Reply, TestHal};

const MERGES: Features = abi::F_MRG_RXBUF.union(MODERN);

/// A frame of 100 bytes that says that it lies in `empty` buffers more, which have nothing of it.
fn send_with_empty_ones(device: &FakeDevice, first: u8, empty: u16) {
    assert!(device.send(0, &[header(1 + empty).as_slice(), &counting(first, 100)].concat()));
    for _ in 0..empty {
        assert!(device.send(0, &[]));
    }
}

/// The next frame has these bytes, and nothing but them.
fn expect<B: virtio_net::Buffer>(receiver: &mut Receiver<'_, B, FakeTransport, TestHal>, bytes: &[u8]) {
    let frame = receiver.receive().unwrap().unwrap();
    assert_eq!((frame.len(), frame.pieces().collect::<Vec<_>>().concat().as_slice()), (bytes.len(), bytes));
}

#[test]
fn buffers_that_have_nothing_of_a_frame_go_back_too() {
    let hal = TestHal::new();
    let model = offering(MERGES, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 16, 512);
    let (mut receiver, _) = net.pair(0).unwrap();
    for first in 0..20 {
        send_with_empty_ones(&model.device, first, 3);
        expect(&mut receiver, &counting(first, 100));
        // Which would take their places.
        send_with_empty_ones(&model.device, first, 1);
        let mut frame = receiver.receive().unwrap().unwrap();
        let pieces: Vec<_> = frame.take_all().collect();
        assert_eq!(pieces.iter().map(|piece| piece.bytes().len()).collect::<Vec<_>>(), [100, 0]);
        for piece in pieces {
            frame.post(piece.into_buffer()).unwrap();
        }
        drop(frame);
        assert!(receiver.receive().unwrap().is_none());
        assert_eq!(model.device.held(0), 16, "round {first}");
    }
    assert_eq!(receiver.drops().buffers, 0);
}

/// A frame that its user forgets keeps its first buffer, and leaves nothing to the next one.
#[test]
fn a_forgotten_frame_is_no_part_of_the_next() {
    let hal = TestHal::new();
    let model = offering(MERGES, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 16, 512);
    let (mut receiver, _) = net.pair(0).unwrap();
    let send = |first: u8, len: usize| {
        let buffers = u16::try_from((HEADER + len).div_ceil(512)).unwrap();
        let bytes = [header(buffers).as_slice(), &counting(first, len)].concat();
        bytes.chunks(512).for_each(|piece| assert!(model.device.send(0, piece)));
    };
    send(1, 1514);
    let mut frame = receiver.receive().unwrap().unwrap();
    let first = frame.take().unwrap();
    core::mem::forget(frame);
    send(2, 60);
    expect(&mut receiver, &counting(2, 60));
    send(3, 900);
    expect(&mut receiver, &counting(3, 900));
    assert!(receiver.receive().unwrap().is_none());
    receiver.post(first.into_buffer()).unwrap();
    receiver.kick();
    assert_eq!((model.device.held(0), receiver.drops().buffers), (16, 0));
}

/// A device that fills every buffer as soon as it has it, with frames in more buffers than a frame may have: a call looks at no
/// more than the queue has, a few times over.
#[test]
fn a_flood_of_long_rubbish_does_not_take_the_cpu() {
    const SIZE: u16 = 64;
    let hal = TestHal::new();
    let (used, place) = (Arc::new(AtomicUsize::new(0)), AtomicU16::new(0));
    let count = used.clone();
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MERGES)
        .config(crate::bench::Space::default().bytes())
        .queue(0, SIZE, move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let first = place.fetch_add(1, Ordering::Relaxed) % SIZE == 0;
            Reply::Write(if first { [header(SIZE).as_slice(), &[1; 20]].concat() } else { vec![2; 10] })
        })
        .event_queue(1, 64)
        .build(&hal);
    let mut net: HeapCard =
        Net::with_buffers(device.transport(), hal.clone(), &all(1), |slot| Some(vec![0; slot.good_len]))
            .unwrap();
    let (mut receiver, _) = net.pair(0).unwrap();
    for _ in 0..5 {
        used.store(0, Ordering::Relaxed);
        assert!(receiver.receive().unwrap().is_none());
        let used = used.load(Ordering::Relaxed);
        assert!(used <= 3 * usize::from(SIZE), "{used} buffers in one call");
    }
    assert!(receiver.drops().frames > 0);
    assert_eq!(receiver.drops().buffers, 0);
}
