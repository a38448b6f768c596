//! The two halves of a card: buffers that are handed over, many at a time, by two that know nothing of each other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use qemu_bench::{BenchHal, Device, Machine, PciMsix, Signal, Way};
use virtio::dma::Readable;
use virtio::net::{Net, Options, Receiver, Slot, TxOffload, abi};
use virtio::{Endpoint, QueueIndex, Transport};

use super::{OTHERS, down, frame, owning, seen};
use crate::case::SOON;
use crate::messages::with_messages;

/// Frames on the cable at a time. A datagram socket may hold no more than ten; what QEMU 7.2 cannot send at once it sends later,
/// and then, with packed rings and EVENT_IDX, asks to be told of a descriptor that it has already taken: nobody tells it of the
/// next. (`virtio_net_tx_complete` asks first and looks at the ring then, and only once.)
const BATCH: usize = 8;

type Half<'a, W> = Receiver<'a, Vec<u8>, <W as Way>::Transport, BenchHal>;

/// Waits for a frame; what is in it, and in how many buffers it lay.
fn take<T: Transport>(receiver: &mut Receiver<'_, Vec<u8>, T, BenchHal>) -> (Vec<u8>, usize) {
    let end = Instant::now() + SOON;
    loop {
        if let Some(frame) = receiver.receive().unwrap() {
            let pieces: Vec<_> = frame.pieces().map(<[u8]>::to_vec).collect();
            let whole = pieces.concat();
            assert_eq!(whole.len(), frame.len());
            assert_eq!(frame.bytes().is_some(), pieces.len() == 1);
            return (whole, pieces.len());
        }
        assert!(Instant::now() < end, "no frame");
        thread::yield_now();
    }
}

/// Frames are added, and shown with one kick; buffers are taken out and come back.
pub(crate) fn batches<W: Way>(machine: &Machine, device: &Device) {
    let mut net = owning::<W>(machine, device, &Options::default(), 64, None);
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    let (mut receiver, mut sender) = net.pair(0).unwrap();
    for lap in 0..8 {
        let frames: Vec<_> = (0..BATCH).map(|nth| frame(OTHERS, mac, 60 + nth * 70, lap)).collect();
        let before = machine.qtest().count();
        let mut tokens = Vec::new();
        for frame in &frames {
            tokens.push(sender.add(Readable(frame.clone()), TxOffload::NONE).unwrap());
        }
        assert_eq!(machine.qtest().count(), before, "adding touches no register");
        // While it is still at it from the last time, QEMU does not want to be told.
        let kicks = u64::from(sender.kick());
        let spent = machine.qtest().count().writes - before.writes;
        assert_eq!(spent, kicks * W::kick(machine), "one kick at the most for {BATCH} frames");
        assert!(kicks == 1 || lap > 0);
        for frame in &frames {
            assert!(seen(machine, device) == *frame, "lap {lap}");
        }
        let end = Instant::now() + SOON;
        while sender.in_flight() > 0 {
            while let Some(sent) = sender.poll().unwrap() {
                let nth = tokens.iter().position(|&token| token == sent.token).unwrap();
                assert!(sent.payload.unwrap().0 == frames[nth], "a payload comes back as it was");
            }
            assert!(Instant::now() < end, "{} in flight", sender.in_flight());
        }
        for nth in 0..BATCH {
            let back = frame(mac, OTHERS, 60 + nth * 70, lap);
            wire.send(&back).unwrap();
            if nth % 2 == 0 {
                assert!(take(&mut receiver).0 == back, "lap {lap}, frame {nth}");
                continue;
            }
            // Kept for a while, and posted again by hand.
            let end = Instant::now() + SOON;
            let mut received = loop {
                match receiver.receive().unwrap() {
                    Some(received) => break received,
                    None => assert!(Instant::now() < end, "no frame"),
                }
            };
            let piece = received.take().unwrap();
            assert!(piece.bytes() == back, "lap {lap}, frame {nth}");
            assert!(received.take().is_none());
            drop(received);
            let buffer = piece.into_buffer();
            receiver.post(buffer).unwrap();
            receiver.kick();
        }
        assert_eq!(receiver.posted(), 64);
    }
    assert_eq!(receiver.drops(), Default::default());
    down(net);
}

/// Mergeable buffers: a frame takes as many as it needs.
pub(crate) fn merged<W: Way>(machine: &Machine, device: &Device) {
    let options = Options { offloads: abi::F_MRG_RXBUF, ..Options::default() };
    let mut net = owning::<W>(machine, device, &options, 64, Some(200));
    assert!(net.features().contains(abi::F_MRG_RXBUF));
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    let (mut receiver, _) = net.pair(0).unwrap();
    for lap in 0..10 {
        for size in [60, 187, 188, 189, 400, 1000, 1514] {
            let sent = frame(mac, OTHERS, size, lap);
            wire.send(&sent).unwrap();
            let (whole, pieces) = take::<W::Transport>(&mut receiver as &mut Half<'_, W>);
            assert!(whole == sent, "lap {lap}: {size} bytes");
            // The header, of 12 bytes, comes first.
            assert_eq!(pieces, (size + 12).div_ceil(200), "{size} bytes in buffers of 200");
        }
    }
    assert_eq!(receiver.drops(), Default::default());
    down(net);
}

/// One thread receives and another sends; the test sends back whatever it sees.
pub(crate) fn threads<W: Way>(machine: &Machine, device: &Device) {
    const COUNT: usize = 200;
    let mut net = owning::<W>(machine, device, &Options::default(), 64, None);
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    let (mut receiver, mut sender) = net.pair(0).unwrap();
    let made = |number: usize| frame(OTHERS, mac, 60 + number * 7, number);
    let received = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..COUNT {
                wire.send(&seen(machine, device)).unwrap();
            }
        });
        scope.spawn(|| {
            let end = Instant::now() + SOON;
            for number in 0..COUNT {
                while number >= received.load(Ordering::Acquire) + BATCH {
                    thread::yield_now();
                    assert!(Instant::now() < end, "frame {number}");
                }
                let mut payload = Some(Readable(made(number)));
                while let Some(what) = payload.take() {
                    if let Err(rejected) = sender.submit(what, TxOffload::NONE) {
                        payload = rejected.payload;
                        thread::yield_now();
                    }
                    sender.drain(usize::MAX, drop).unwrap();
                    assert!(Instant::now() < end, "frame {number}");
                }
            }
            while sender.in_flight() > 0 {
                sender.drain(usize::MAX, drop).unwrap();
                assert!(Instant::now() < end, "{} in flight", sender.in_flight());
            }
        });
        for number in 0..COUNT {
            assert!(take(&mut receiver).0 == made(number), "frame {number}");
            received.fetch_add(1, Ordering::Release);
        }
    });
    down(net);
}

/// A message for each queue, and each queue's own only: received, sent, and the control queue's, which asks for none.
pub(crate) fn messages(machine: &Machine, device: &Device) {
    const VECTORS: u16 = 4;
    let wire = machine.wire(&device.id);
    wire.clear().unwrap();
    let (transport, taken) = with_messages(machine, device, VECTORS);
    assert_eq!(taken, VECTORS);
    let buffer = |slot: Slot| (slot.nth < 16).then(|| vec![0; slot.good_len]);
    let mut net: Net<<PciMsix as Way>::Transport, _, _, Readable<Vec<u8>>> =
        Net::with_buffers(transport, machine.hal(), &Options::default(), buffer).unwrap();
    for vector in 1..VECTORS {
        let endpoint = net.device().endpoint(vector).unwrap();
        let served = [0, 1, 2].map(|queue| endpoint.serves(QueueIndex::new(queue)));
        assert_eq!(served, [1, 2, 3].map(|own| own == vector));
    }
    let (mut receiver, mut sender) = net.pair(0).unwrap();
    assert!(!receiver.enable_interrupts());
    assert!(!sender.enable_interrupts());
    let clear = || (0..VECTORS).for_each(|vector| machine.hal().set_word(vector, 0));
    let alone = |own: u16| {
        assert!(Signal::Word(machine, own).wait(SOON), "vector {own}");
        let others = (0..VECTORS).filter(|&other| other != own);
        assert!(others.map(|other| machine.hal().word(other)).all(|word| word == 0), "beside vector {own}");
    };
    let (mac, back) = (device.mac(), frame(device.mac(), OTHERS, 100, 1));
    clear();
    wire.send(&back).unwrap();
    alone(1);
    assert!(take(&mut receiver).0 == back);
    receiver.disable_interrupts();
    clear();
    let out = frame(OTHERS, mac, 100, 2);
    sender.submit(Readable(out.clone()), TxOffload::NONE).unwrap();
    alone(2);
    assert!(seen(machine, device) == out);
    assert_eq!(sender.drain(usize::MAX, drop).unwrap(), 1);
    down(net);
}
