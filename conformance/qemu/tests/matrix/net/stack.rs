//! A TCP/IP stack over the card: it answers who it is, and a ping.

use std::time::{Duration, Instant as Clock};

use qemu_bench::{Device, Machine, Way};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};
use virtio::dma::{Part, Readable};
use virtio::net::{Net, Options, Phy, Slot};

use super::{OTHERS, down};
use crate::case::SOON;

const OURS: [u8; 4] = [192, 0, 2, 7];
const THEIRS: [u8; 4] = [192, 0, 2, 1];

/// The sum that the Internet's protocols check.
fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn who_has() -> Vec<u8> {
    let head = [&[0xff; 6][..], &OTHERS, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    [&head[..], &OTHERS, &THEIRS, &[0; 6], &OURS].concat()
}

fn echo(to: [u8; 6], number: u16, data: &[u8]) -> Vec<u8> {
    let mut icmp = [&[8, 0, 0, 0, 0x12, 0x34][..], &number.to_be_bytes(), data].concat();
    let checked = sum(&icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&checked);
    let len = (20 + icmp.len() as u16).to_be_bytes();
    let mut ip = [&[0x45, 0][..], &len, &[0, number as u8, 0x40, 0, 64, 1, 0, 0], &THEIRS, &OURS].concat();
    let checked = sum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&checked);
    [&to[..], &OTHERS, &[8, 0], &ip, &icmp].concat()
}

pub(crate) fn ping<W: Way>(machine: &Machine, device: &Device) {
    let wire = machine.wire(&device.id);
    wire.clear().unwrap();
    let mac = device.mac();
    let buffer = |slot: Slot| (slot.nth < 32).then(|| vec![0; slot.good_len]);
    let mut net: Net<_, _, Vec<u8>, Readable<Part<Vec<u8>>>> =
        Net::with_buffers(W::open(machine, device), machine.hal(), &Options::default(), buffer).unwrap();
    let (receiver, sender) = net.pair(0).unwrap();
    let mut pool: Vec<_> = (0..8).map(|_| Some(vec![0; 1514])).collect();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    let start = Clock::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as i64);
    let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
    let mut interface = Interface::new(config, &mut phy, now());
    interface.update_ip_addrs(|list| {
        list.push(IpCidr::new(IpAddress::v4(OURS[0], OURS[1], OURS[2], OURS[3]), 24)).unwrap();
    });
    let mut sockets = SocketSet::new(Vec::new());
    let mut answer = |question: &[u8]| {
        wire.send(question).unwrap();
        let end = Clock::now() + SOON;
        loop {
            interface.poll(now(), &mut phy, &mut sockets);
            if let Some(frame) = wire.receive(Duration::from_millis(1)).unwrap() {
                return frame;
            }
            assert!(Clock::now() < end, "no answer");
        }
    };
    let here = answer(&who_has());
    assert_eq!(here[..14], *[&OTHERS[..], &mac, &[8, 6]].concat());
    assert_eq!(here[20..32], *[&[0, 2][..], &mac, &OURS].concat(), "an answer: it is here");
    for (number, len) in [(1, 0), (2, 1), (3, 56), (4, 1000), (5, 1472)] {
        let data: Vec<u8> = (0..len).map(|at| (at * 3) as u8).collect();
        let back = answer(&echo(mac, number, &data));
        assert_eq!(back[..14], *[&OTHERS[..], &mac, &[8, 0]].concat());
        assert_eq!(sum(&back[14..34]), 0, "the checksum of the header");
        assert_eq!(back[26..34], *[OURS, THEIRS].concat());
        let icmp = &back[34..42 + len];
        assert_eq!(sum(icmp), 0, "the checksum of the message");
        assert_eq!((icmp[0], &icmp[6..8]), (0, &number.to_be_bytes()[..]), "an echo");
        assert!(icmp[8..] == data, "{len} bytes");
    }
    drop(phy);
    down(net);
}
