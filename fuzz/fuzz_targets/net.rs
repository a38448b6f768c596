//! A network card that says and sends what libFuzzer likes: headers of any content, frames in any number of buffers, lengths that
//! are not true, commands answered with anything, a configuration that changes, the ring's rules broken. What comes out is a frame
//! that is in order, or nothing, counted by name; and a device whose rings are in order is still a card in the end.
#![no_main]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use virtio_core::dma::{Part, Readable};
use virtio_core::queue::Bell;
use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Features};
use virtio_net::{
    Command, Frame, MacAddress, Net, NetError, NetQueue, Options, Partial, RxChecksum, RxMode, Switch,
    TxOffload, abi,
};
use virtio_testkit::{FakeDevice, FakeTransport, Lie, Reply, TestHal};

type Card = Net<FakeTransport, TestHal, Vec<u8>, Readable<Part<Vec<u8>>>>;

/// What a buffer holds before the device gets it. (This Hal's bounces hold rubbish of their own, which a device may claim.)
const STALE: u8 = 0xee;
/// What the device writes behind its headers.
const MARK: u8 = 0x5a;
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// The bytes of the script; zeros when there are no more.
#[derive(Clone)]
struct Script(Arc<Mutex<(Vec<u8>, usize)>>);

impl Script {
    fn next(&self) -> u8 {
        let (bytes, at) = &mut *self.0.lock().unwrap();
        *at += 1;
        bytes.get(*at - 1).copied().unwrap_or(0)
    }

    fn number(&self) -> u16 {
        u16::from_le_bytes([self.next(), self.next()])
    }

    fn is_over(&self) -> bool {
        let (bytes, at) = &*self.0.lock().unwrap();
        *at >= bytes.len()
    }
}

/// A subset of what a device may offer.
fn offered(script: &Script) -> Features {
    let own = [script.next(), script.next(), script.next(), script.next(), script.next()];
    let [a, b, c, d, e] = own;
    let low = Features::from_window(0, u32::from_le_bytes([a, b, c, 0]));
    let high = Features::from_window(1, u32::from(d) << 18 | u32::from(e) << 24);
    let rings = [Features::EVENT_IDX, Features::RING_PACKED, Features::INDIRECT_DESC];
    let rings = rings.into_iter().zip([1, 2, 4]).filter(|(_, bit)| e & bit != 0);
    rings.fold(low | high | Features::VERSION_1, |all, (ring, _)| all | ring)
}

fuzz_target!(|input: &[u8]| {
    let [how, input @ ..] = input else { return };
    let script = Script(Arc::new(Mutex::new((input.to_vec(), 0))));
    let hal = TestHal::new();
    // The clock does not run away from those who wait in vain.
    hal.set_tick(Duration::from_millis(5));
    let legacy = how & 1 != 0;
    let features = offered(&script) | if legacy { Features::ANY_LAYOUT } else { Features::empty() };
    let config: Vec<u8> = (0..28).map(|_| script.next()).collect();
    let holds = how & 2 != 0;
    let mut builder = FakeDevice::builder(DeviceId::NET).features(features).config(config);
    for pair in 0..2 {
        builder = builder.event_queue(2 * pair, 16);
        builder =
            builder.queue(2 * pair + 1, 16, move |_| if holds { Reply::Hold } else { Reply::Write(vec![]) });
    }
    let answers = script.clone();
    for controlq in 4..=64 {
        let answers = answers.clone();
        builder = builder.queue(controlq, 16, move |_| answer(&answers));
    }
    let device = if legacy { builder.legacy() } else { builder }.build(&hal);
    let options = Options {
        offloads: abi::OFFLOADS,
        pairs: 1 + u16::from(how & 4 != 0),
        receive_queue: 16,
        transmit_queue: 16,
        copied: 200,
        ..Options::DEFAULT
    };
    let extra = usize::from(how >> 4);
    let supply = |slot: virtio_net::Slot| Some(vec![STALE; slot.least_len.max(64) + extra]);
    let Ok(mut net) = Card::with_buffers(device.transport(), hal.clone(), &options, supply) else { return };
    let mut whole = true;
    for _ in 0..64 {
        if script.is_over() {
            break;
        }
        match script.next() % 12 {
            0..=4 => send(&device, &script),
            5 => whole &= take(&mut net, how & 8 != 0),
            6 => whole &= transmit(&mut net, &device, &script),
            7 => whole &= command(&mut net, &script),
            8 => {
                let _ = (net.link(), net.mac(), net.attend(InterruptStatus::CONFIG));
                device.unsettle_config(u32::from(script.next() % 4));
            }
            9 => {
                // Nothing that the device keeps: it would not know it again.
                let packed = net.features().contains(Features::RING_PACKED);
                let lie = match script.next() % 4 {
                    0 => Lie::UsedId { id: 16 + u32::from(script.next()), len: u32::from(script.number()) },
                    1 if !packed => Lie::UsedIndex(17 | script.number()),
                    2 => Lie::Unannounced { id: u32::from(script.next()), len: 7 },
                    _ => Lie::Suppression { event: script.number(), flags: script.number() },
                };
                let queue = u16::from(script.next()) % 2;
                device.lie(queue, lie);
                whole = false;
            }
            10 => {
                for _ in 0..device.held(TRANSMIT) {
                    device.complete_claiming(TRANSMIT, 0, &[], u32::from(script.number()));
                }
            }
            _ => {
                let _ = net.set_pairs(u16::from(script.next() % 4));
            }
        }
    }
    // All is taken that is left of it; then a frame that is in order comes out, whatever was before.
    whole &= take(&mut net, false);
    if whole && net.pair(0).is_ok() {
        good(&mut net, &device);
    }
});

/// What a device says to a command.
fn answer(script: &Script) -> Reply {
    match script.next() % 6 {
        0..=2 => Reply::Write(vec![0, 1, 2, 3, 4, 5, 6, 7, 8]),
        3 => Reply::Write(vec![script.next()]),
        4 => Reply::Claim { bytes: vec![], len: u32::from(script.next()) },
        _ => Reply::Write(vec![]),
    }
}

/// Uses buffers for a frame, or for what is none.
fn send(device: &FakeDevice, script: &Script) {
    let how = script.next();
    let mut frame: Vec<u8> = (0..12).map(|_| if how & 1 != 0 { script.next() } else { 0 }).collect();
    let pieces = usize::from(how >> 5) + 1;
    if how & 2 != 0 {
        frame[10..].copy_from_slice(&u16::try_from(pieces).unwrap().to_le_bytes());
    }
    frame.resize(usize::from(script.number() % 3000), MARK);
    for piece in frame.chunks(frame.len().div_ceil(pieces).max(1)) {
        if device.held(RECEIVE) == 0 {
            return;
        }
        // Any of them, in any order.
        let nth = usize::from(script.next()) % device.held(RECEIVE);
        match how >> 2 & 7 {
            0 => device.complete_claiming(RECEIVE, nth, piece, u32::from(script.number())),
            1 => device.complete_claiming(RECEIVE, nth, piece, u32::MAX - u32::from(how)),
            _ => device.complete(RECEIVE, nth, piece),
        }
    }
}

/// What is a frame has the length it says, and says nothing that cannot be.
fn check(frame: &Frame<'_, Vec<u8>>) {
    let len = frame.len();
    assert!((14..=18 * 70_000).contains(&len));
    assert_eq!(frame.pieces().map(<[u8]>::len).sum::<usize>(), len);
    assert!(frame.pieces().count() <= 18);
    assert_eq!(frame.bytes().is_some(), frame.pieces().count() == 1);
    if let RxChecksum::Partial(Partial { start, offset }) = frame.offload().checksum {
        assert!(usize::from(start) + usize::from(offset) + 2 <= len);
    }
    let mut copy = vec![0; len];
    assert_eq!(frame.copy_to(&mut copy), len);
}

/// Takes all that came in. Answers whether the queue is in order.
fn take(net: &mut Card, awaited: bool) -> bool {
    let Ok((receiver, _)) = net.pair(0) else { return false };
    let bell = Bell::new();
    if awaited {
        let mut receiver = receiver.into_async(&bell).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..64 {
            match pin!(receiver.receive()).poll(&mut context) {
                Poll::Ready(Ok(frame)) => check(&frame),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => break,
            }
        }
        return true;
    }
    let mut receiver = receiver;
    for round in 0..64 {
        match receiver.receive() {
            Ok(Some(mut frame)) => {
                check(&frame);
                // Some are taken, and posted again.
                if round % 3 == 0 {
                    let pieces: Vec<_> = frame.take_all().collect();
                    for piece in pieces {
                        let _ = frame.post(piece.into_buffer());
                    }
                }
            }
            Ok(None) => break,
            Err(_) => return false,
        }
    }
    receiver.kick();
    receiver.drops().buffers == 0
}

/// Sends, and fetches what was sent. Answers whether the queue is in order.
fn transmit(net: &mut Card, device: &FakeDevice, script: &Script) -> bool {
    let Ok((_, mut sender)) = net.pair(0) else { return false };
    let len = usize::from(script.next());
    let partial = Partial { start: u16::from(script.next()), offset: u16::from(script.next()) };
    let offload = match script.next() % 3 {
        0 => TxOffload::NONE,
        1 => TxOffload::checksum(partial),
        _ => {
            let mut frame: Vec<u8> = (0..len).map(|_| script.next()).collect();
            TxOffload::for_frame(&mut frame)
        }
    };
    let before = sender.room();
    if let Err(rejected) = sender.submit(Readable(Part::new(vec![1; 300], 0..len).unwrap()), offload) {
        assert_eq!(rejected.payload.unwrap().0.bytes().len(), len);
        assert_eq!(sender.room(), before);
    }
    let _ = sender.add_copied(&vec![1; len], offload);
    sender.kick();
    while device.held(TRANSMIT) > 8 {
        device.complete(TRANSMIT, 0, &[]);
    }
    loop {
        match sender.poll() {
            Ok(Some(sent)) => assert!(sent.payload.is_none_or(|frame| frame.0.into_inner().len() == 300)),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Any command. Answers whether the device is up.
fn command(net: &mut Card, script: &Script) -> bool {
    let macs = [MacAddress([script.next(), 0, 0, 0, 0, 1]); 3];
    let command = match script.next() % 7 {
        0 => Command::Mode(RxMode::NoUnicast, Switch::On),
        1 => Command::MacTable { unicast: &macs, multicast: &[MacAddress::BROADCAST] },
        2 => Command::SetMac(macs[0]),
        3 => Command::AddVlan(script.number()),
        4 => Command::GuestOffloads(Features::from_window(0, u32::from(script.number()))),
        5 => Command::AcknowledgeAnnounce,
        _ => Command::Mode(RxMode::Promiscuous, Switch::Off),
    };
    match net.control() {
        Ok(mut control) => {
            let _ = control.command(command);
            let _ = control.coalescing(NetQueue::Receive(u16::from(script.next()) % 3));
            true
        }
        Err(NetError::NotNegotiated(_)) => true,
        Err(_) => false,
    }
}

/// A frame that is in order comes through.
fn good(net: &mut Card, device: &FakeDevice) {
    let short = !net.features().intersects(Features::VERSION_1 | abi::F_MRG_RXBUF);
    let mut frame = vec![0; if short { 10 } else { 12 }];
    if let Some(low) = frame.get_mut(10) {
        // As this machine has it on both interfaces.
        *low = 1;
    }
    let header = frame.len();
    frame.resize(header + 40, MARK);
    assert!(device.send(RECEIVE, &frame), "the device has buffers");
    let (mut receiver, _) = net.pair(0).unwrap();
    let got = receiver.receive().unwrap().expect("a frame that is in order");
    assert_eq!(got.pieces().collect::<Vec<_>>().concat(), [MARK; 40]);
}
