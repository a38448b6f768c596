//! Frames whose buffers are not what a fair device, or a careful caller, makes of them: nothing is lost, mixed up, or without end.

use crate::bench::{HEADER, HeapCard, MODERN, all, counting, drive_heap, header, offering};
use alloc::sync::Arc;
use core::pin::pin;
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use virtio_core::queue::Bell;
use virtio_core::{DeviceId, Features};
use virtio_net::{Frame, Net, Receiver, abi};
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

/// Numbers that look random, the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }

    /// What a device may put into a buffer, and what it says about it.
    fn filling(&mut self) -> (Vec<u8>, u32) {
        let len = [0, 5, 12, 26, 60, 255, 256][self.below(7)];
        let mut bytes: Vec<u8> = (0..len).map(|_| self.byte()).collect();
        for (at, byte) in bytes.iter_mut().enumerate().take(HEADER) {
            match (at, self.below(4) > 0) {
                (10, true) => *byte = self.below(6).to_le_bytes()[0],
                (0, true) => *byte = self.below(4).to_le_bytes()[0],
                (_, true) => *byte = 0,
                (_, false) => {}
            }
        }
        let len = u32::try_from(len).unwrap();
        (bytes, if self.below(8) == 0 { [0, 1, 5000, u32::MAX][self.below(4)] } else { len })
    }
}

/// What a frame is, whatever it is.
fn check(frame: &mut Frame<'_, Vec<u8>>, room: usize, numbers: &mut Numbers) {
    let sum = frame.pieces().map(<[u8]>::len).sum::<usize>();
    assert!(frame.len() >= 14 && sum == frame.len());
    let mut copy = vec![0; sum];
    assert_eq!(frame.copy_to(&mut copy), sum);
    if let Some(bytes) = frame.bytes() {
        assert_eq!(bytes, copy);
    }
    // Some are taken, and others posted for them.
    for _ in 0..numbers.below(3) {
        if let Some(piece) = frame.take() {
            drop(piece);
            frame.post(vec![0; room]).unwrap();
        }
    }
}

/// Whatever a device says, awaited and asked for in turn: each frame is as long as its pieces, and no buffer is lost.
#[test]
fn no_buffer_is_lost_whatever_is_said() {
    const COUNT: u16 = 24;
    for (features, seed) in [(MODERN, 1), (MERGES, 2), (MERGES | abi::F_GUEST_CSUM | abi::F_GUEST_TSO4, 3)] {
        let (hal, mut numbers) = (TestHal::new(), Numbers(seed));
        let model = offering(features, &hal);
        let options = if features == MODERN { virtio_net::Options::DEFAULT } else { all(1) };
        let room = if features == MODERN { 1526 } else { 4096 };
        let mut net = drive_heap(&model, &hal, &options, COUNT, room);
        let bell = Bell::new();
        let (mut receiver, _) = net.pair(0).unwrap();
        let mut frames = 0;
        for _ in 0..300 {
            for _ in 0..numbers.below(usize::from(COUNT)) {
                if model.device.held(0) > 0 {
                    let (bytes, len) = numbers.filling();
                    model.device.complete_claiming(0, 0, &bytes, len);
                }
            }
            while let Some(mut frame) = receiver.receive().unwrap() {
                frames += 1;
                check(&mut frame, room, &mut numbers);
            }
            let mut awaited = receiver.into_async(&bell).unwrap();
            for _ in 0..numbers.below(4) {
                let (bytes, len) = numbers.filling();
                model.device.complete_claiming(0, 0, &bytes, len);
            }
            while let Poll::Ready(frame) =
                pin!(awaited.receive()).as_mut().poll(&mut Context::from_waker(Waker::noop()))
            {
                frames += 1;
                check(&mut frame.unwrap(), room, &mut numbers);
            }
            receiver = awaited.into_receiver();
            receiver.kick();
            assert_eq!((receiver.posted(), model.device.held(0)), (COUNT, usize::from(COUNT)));
        }
        let drops = receiver.drops();
        assert!(frames > 100 && drops.frames > 100 && drops.buffers == 0, "{frames} {drops:?}");
    }
}
