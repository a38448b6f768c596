//! Checksums and segmentation that the device takes over, both ways, and several pairs of queues: the other end is the kernel of
//! the host, which keeps a frame's header as it is. Only where the test may make a tap: see `--tap`.

use std::num::NonZeroU16;
use std::thread;
use std::time::{Duration, Instant};

use qemu_bench::{
    BenchHal, Board, Cable, Device, Kind, Machine, MmioV1, MmioV2, Options as Parts, PciLegacy, PciModern,
    PciMsix, PciWindow, Place, Rings, TAP_HEADER, Way,
};
use virtio::dma::Readable;
use virtio::net::{Gso, Net, Options, Partial, RxChecksum, Slot, TxOffload, abi};

use super::{OTHERS, down};
use crate::case::{Group, SOON};

/// Bytes of all headers of a TCP segment over IPv4.
const HEADERS: usize = 54;
/// Where the checksum of such a segment is.
const TCP: Partial = Partial { start: 34, offset: 16 };
/// What the kernel's header says: a checksum is to be completed; TCP over IPv4 is to be cut.
const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;

type Owning<W> = Net<<W as Way>::Transport, BenchHal, Vec<u8>, Readable<Vec<u8>>>;

/// Machines with one card each, on a tap with two queues.
pub(crate) fn all() -> Vec<Group> {
    let (arm, pc) = (Board::AARCH64, Board::X86_64);
    let (split, packed) = (Rings::all(false), Rings::all(true));
    vec![
        group::<MmioV1>(arm, split[0], Place::Slot(0), ""),
        group::<MmioV2>(arm, split[3], Place::Slot(0), ""),
        group::<MmioV2>(arm, packed[3], Place::Slot(0), ""),
        group::<PciModern>(pc, packed[1], Place::Function(1, 0), ",disable-legacy=on"),
        group::<PciMsix>(pc, split[2], Place::Function(1, 0), ",disable-legacy=on"),
        group::<PciWindow>(arm, packed[2], Place::Function(1, 0), ",disable-legacy=on"),
        group::<PciLegacy>(pc, split[1], Place::Function(1, 0), ",disable-legacy=off,disable-modern=off"),
    ]
}

fn group<W: Way>(board: Board, rings: Rings, place: Place, bus: &str) -> Group {
    let device = Device::new(Kind::Net, rings, place).with("net-tap", bus).with("net-tap", ",mq=on");
    let devices = vec![device.on(Cable::Tap(2))];
    let options = Parts { board, mmio_legacy: W::LEGACY, devices };
    let mut group = Group { way: W::NAME, options, cases: Vec::new() };
    group.case("tap transmit", "net-tap", transmit::<W>);
    group.case("tap receive", "net-tap", receive::<W>);
    group.case("tap pairs", "net-tap", pairs::<W>);
    group
}

fn up<W: Way>(machine: &Machine, device: &Device, options: &Options) -> Owning<W> {
    let buffer = |slot: Slot| (slot.nth < 64).then(|| vec![0; slot.least_len.max(2048)]);
    let net = Net::with_buffers(W::open(machine, device), machine.hal(), options, buffer).unwrap();
    assert_eq!(Rings::of(net.features()), device.rings.features());
    net
}

/// A TCP segment over IPv4 with so many bytes, between ports that end in `flow`. The checksum is right.
fn segment(to: [u8; 6], from: [u8; 6], flow: u8, len: usize) -> Vec<u8> {
    let total = (HEADERS - 14 + len) as u16;
    let [one, two] = total.to_be_bytes();
    let mut frame = [&to[..], &from, &[8, 0, 0x45, 0, one, two, 0, 1, 0x40, 0, 64, 6, 0, 0]].concat();
    frame.extend([192, 0, 2, 1, 192, 0, 2, flow, 0x10, flow, 0x20, 0x01, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10]);
    frame.extend([0xff, 0xff, 0, 0, 0, 0]);
    frame.extend((0..len).map(|at| (at * 7 + at / 255) as u8));
    let ip = checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&ip.to_be_bytes());
    let tcp = tcp_checksum(&frame);
    frame[50..52].copy_from_slice(&tcp.to_be_bytes());
    frame
}

fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What the checksum of the segment has to be, if the field is zero; 0, if it is right.
fn tcp_checksum(frame: &[u8]) -> u16 {
    let len = (frame.len() - 34) as u16;
    checksum(&[&frame[26..34], &[0, 6], &len.to_be_bytes()[..], &frame[34..]].concat())
}

/// The kernel's header: flags, kind, bytes of headers, of a segment, start and place of the checksum.
fn header(flags: u8, gso: u8, numbers: [u16; 4]) -> [u8; TAP_HEADER] {
    let mut header = [flags, gso, 0, 0, 0, 0, 0, 0, 0, 0];
    for (place, number) in header[2..].chunks_mut(2).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    header
}

/// What is left to the device comes out so on the other side.
fn transmit<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let offloads = abi::F_CSUM | abi::F_HOST_TSO4;
    assert!(net.features().contains(offloads), "{:?}", net.features());
    let (tap, mac) = (machine.tap(&device.id), device.mac());
    // All of it by ourselves.
    let whole = segment(OTHERS, mac, 1, 600);
    net.send(&whole).unwrap();
    let (seen, frame) = tap.receive(SOON).unwrap().expect("a frame");
    assert_eq!((seen[0] & NEEDS_CSUM, seen[1]), (0, 0));
    assert!(frame == whole);
    // The checksum is left to the device.
    let mut partial = segment(OTHERS, mac, 1, 600);
    let offload = TxOffload::for_frame(&mut partial);
    net.send_with(&partial, offload).unwrap();
    let (seen, frame) = tap.receive(SOON).unwrap().expect("a frame");
    assert_eq!(seen[0] & NEEDS_CSUM, NEEDS_CSUM);
    assert_eq!(seen[6..], header(0, 0, [0, 0, 34, 16])[6..]);
    assert!(frame == partial);
    // And the cutting, of more than goes into a frame.
    let mut long = segment(OTHERS, mac, 1, 20_000);
    let _ = TxOffload::for_frame(&mut long);
    let size = NonZeroU16::new(1000).unwrap();
    let offload = TxOffload::segments(Gso::TcpV4, size, HEADERS as u16, TCP);
    net.send_with(&long, offload).unwrap();
    let (seen, frame) = tap.receive(SOON).unwrap().expect("a frame");
    assert_eq!((seen[0] & NEEDS_CSUM, seen[1]), (NEEDS_CSUM, GSO_TCPV4));
    assert_eq!(seen[2..], header(0, 0, [HEADERS as u16, 1000, 34, 16])[2..]);
    assert!(frame == long);
    down(net);
}

/// What the other side leaves to us is told; once that is switched off, it does it by itself.
fn receive<W: Way>(machine: &Machine, device: &Device) {
    let guest = abi::F_GUEST_CSUM | abi::F_GUEST_TSO4 | abi::F_MRG_RXBUF;
    let mut net = up::<W>(machine, device, &Options { offloads: guest, ..Options::default() });
    assert!(net.features().contains(guest), "{:?}", net.features());
    let (tap, mac) = (machine.tap(&device.id), device.mac());
    let take = |net: &mut Owning<W>| {
        let (mut receiver, _) = net.pair(0).unwrap();
        let end = Instant::now() + SOON;
        loop {
            if let Some(frame) = receiver.receive().unwrap() {
                let bytes: Vec<u8> = frame.pieces().flatten().copied().collect();
                return (frame.offload(), bytes);
            }
            assert!(Instant::now() < end, "no frame");
            thread::yield_now();
        }
    };
    let mut partial = segment(mac, OTHERS, 1, 700);
    let whole = partial.clone();
    let _ = TxOffload::for_frame(&mut partial);
    let unfinished = header(NEEDS_CSUM, 0, [0, 0, 34, 16]);
    tap.send(&unfinished, &partial).unwrap();
    let (offload, bytes) = take(&mut net);
    match offload.checksum {
        RxChecksum::Partial(partial) => assert_eq!(partial, TCP),
        other => panic!("{other:?}"),
    }
    assert!(bytes == partial && offload.segments.is_none());

    let mut long = segment(mac, OTHERS, 1, 20_000);
    let _ = TxOffload::for_frame(&mut long);
    let uncut = header(NEEDS_CSUM, GSO_TCPV4, [HEADERS as u16, 1000, 34, 16]);
    tap.send(&uncut, &long).unwrap();
    let (offload, bytes) = take(&mut net);
    let segments = offload.segments.expect("a frame that stands for several");
    assert_eq!((segments.gso, segments.size.get()), (Gso::TcpV4, 1000));
    assert!(bytes == long, "{} bytes", bytes.len());

    net.control().unwrap().set_guest_offloads(virtio::Features::empty()).unwrap();
    tap.send(&unfinished, &partial).unwrap();
    let (offload, bytes) = take(&mut net);
    assert!(!matches!(offload.checksum, RxChecksum::Partial(_)));
    assert!(bytes == whole, "the host has completed the checksum");
    tap.send(&uncut, &long).unwrap();
    let mut data = Vec::new();
    for number in 0..20 {
        let (offload, bytes) = take(&mut net);
        assert!(offload.segments.is_none());
        assert_eq!((bytes.len(), tcp_checksum(&bytes)), (HEADERS + 1000, 0), "segment {number}");
        data.extend_from_slice(&bytes[HEADERS..]);
    }
    assert!(data == long[HEADERS..]);
    down(net);
}

/// Two pairs: frames leave by either, and the answer to a flow comes where the flow went out.
fn pairs<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options { pairs: 2, ..Options::default() });
    net.set_pairs(2).unwrap();
    assert_eq!(net.pairs(), 2);
    let (tap, mac) = (machine.tap(&device.id), device.mac());
    let mut split = net.split().unwrap();
    let mut pairs: Vec<_> = std::iter::from_fn(|| split.next_pair().unwrap()).collect();
    assert_eq!(pairs.len(), 2);
    for lap in 0..10 {
        for number in [0, 1] {
            let flow = 10 + number as u8 * 100 + lap;
            let out = segment(OTHERS, mac, flow, 300);
            pairs[number].1.submit(Readable(out.clone()), TxOffload::NONE).unwrap();
            assert!(tap.receive(SOON).unwrap().expect("a frame").1 == out);
            // The same flow, the other way round.
            let mut back = segment(mac, OTHERS, flow, 200);
            let (ours, theirs) = (back[26..30].to_vec(), back[30..34].to_vec());
            back[26..30].copy_from_slice(&theirs);
            back[30..34].copy_from_slice(&ours);
            let (ours, theirs) = (back[34..36].to_vec(), back[36..38].to_vec());
            back[34..36].copy_from_slice(&theirs);
            back[36..38].copy_from_slice(&ours);
            tap.send(&[0; TAP_HEADER], &back).unwrap();
            let end = Instant::now() + SOON;
            loop {
                let other = pairs[1 - number].0.receive().unwrap().is_some();
                assert!(!other, "lap {lap}: the answer came to the other pair");
                if let Some(frame) = pairs[number].0.receive().unwrap() {
                    assert!(frame.bytes() == Some(&back[..]));
                    break;
                }
                assert!(Instant::now() < end, "lap {lap}: no answer");
                thread::sleep(Duration::from_micros(100));
            }
            pairs[number].1.drain(usize::MAX, drop).unwrap();
        }
    }
    drop(pairs);
    net.set_pairs(1).unwrap();
    down(net);
}
