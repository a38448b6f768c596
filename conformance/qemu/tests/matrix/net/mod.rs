//! Network cards (VIRTIO 1.4 §5.1), by their driver: every frame that is sent arrives at the other end of the cable, byte for
//! byte, and the other way round.

mod awaited;
mod control;
mod frames;
mod halves;
mod link;
mod offers;
mod stack;
#[cfg(target_os = "linux")]
pub(crate) mod tap;

use qemu_bench::{BenchHal, Device, Kind, Machine, Rings, Way};
use virtio::dma::Readable;
use virtio::net::{MacAddress, Net, Options, Slot};

use crate::case::{Group, SOON};
use crate::fronts::Special;

pub(crate) const SPECIALS: &[Special] = &[
    Special::new("net-unmerged", Kind::Net, ",mrg_rxbuf=off"),
    Special::new("net-jumbo", Kind::Net, ",host_mtu=9000"),
    Special::new("net-uncontrolled", Kind::Net, ",ctrl_vq=off"),
    Special::new("net-pairs", Kind::Net, ",mq=on"),
    Special::new(
        "net-bare",
        Kind::Net,
        ",mrg_rxbuf=off,ctrl_vq=off,status=off,guest_announce=off,ctrl_guest_offloads=off,ctrl_rx=off,\
         ctrl_rx_extra=off,ctrl_vlan=off,ctrl_mac_addr=off",
    ),
    Special::new("net-fast", Kind::Net, ",speed=2500,duplex=full"),
];

/// A card whose buffers are the driver's own.
type Plain<W> = Net<<W as Way>::Transport, BenchHal>;
/// One whose buffers are vectors, and what is sent, too.
type Owning<W> = Net<<W as Way>::Transport, BenchHal, Vec<u8>, Readable<Vec<u8>>>;

/// What is to be checked of a card.
pub(crate) fn cases<W: Way>(group: &mut Group, device: &Device) {
    type Check = fn(&Machine, &Device);
    let checks: &[(&str, Check)] = match device.id.as_str() {
        "net-unmerged" => &[
            ("net unmerged", frames::both_ways::<W>),
            ("net unmerged halves", halves::batches::<W>),
            ("net unmerged flood", frames::flood::<W>),
        ],
        "net-jumbo" => &[("net jumbo frames", frames::jumbo::<W>)],
        "net-uncontrolled" => &[("net uncontrolled", offers::uncontrolled::<W>)],
        "net-pairs" => &[("net pairs", offers::pairs::<W>)],
        "net-bare" => {
            &[("net without extras", offers::bare::<W>), ("net bare frames", frames::both_ways::<W>)]
        }
        "net-fast" => &[("net speed", link::speed::<W>)],
        _ => &[
            ("net", frames::both_ways::<W>),
            ("net flood", frames::flood::<W>),
            ("net merged", halves::merged::<W>),
            ("net halves", halves::batches::<W>),
            ("net threads", halves::threads::<W>),
            ("net awaited", awaited::echo::<W>),
            ("net modes", control::modes::<W>),
            ("net addresses", control::addresses::<W>),
            ("net vlans", control::vlans::<W>),
            ("net link", link::link::<W>),
            ("net announce", link::announce::<W>),
            ("net recovered", link::recovered::<W>),
            ("net stack", stack::ping::<W>),
            ("net offers", offers::all::<W>),
        ],
    };
    for (what, check) in checks {
        group.case(what, &device.id, *check);
    }
    if W::VECTORS > 1 && device.id.starts_with("net-split") | device.id.starts_with("net-packed") {
        group.case("net messages", &device.id, halves::messages);
    }
    if device.rings.packed && device.id.starts_with("net-packed") {
        group.case("net deaf", &device.id, link::deaf::<W>);
    }
}

/// Brings a card up, which has the rings that it was made with. Nothing is on its cable.
fn up<W: Way>(machine: &Machine, device: &Device, options: &Options) -> Plain<W> {
    machine.wire(&device.id).clear().unwrap();
    let net = Net::new(W::open(machine, device), machine.hal(), options).unwrap();
    assert_eq!(Rings::of(net.features()), device.rings.features());
    let info = net.transport_info().unwrap();
    assert_eq!((info.name, info.version), W::INFO);
    assert_eq!(net.mac().unwrap(), Some(MacAddress(device.mac())));
    net
}

/// The same over so many buffers of vectors, each of `len` bytes, or of as many as a frame takes.
fn owning<W: Way>(
    machine: &Machine,
    device: &Device,
    options: &Options,
    count: u16,
    len: Option<usize>,
) -> Owning<W> {
    machine.wire(&device.id).clear().unwrap();
    let buffer = |slot: Slot| (slot.nth < count).then(|| vec![0; len.unwrap_or(slot.good_len)]);
    let net = Net::with_buffers(W::open(machine, device), machine.hal(), options, buffer).unwrap();
    assert_eq!(Rings::of(net.features()), device.rings.features());
    net
}

/// Takes it down; it has to read as reset then.
fn down<T: virtio::Transport, B: virtio::net::Buffer, X: virtio::net::Payload>(net: Net<T, BenchHal, B, X>) {
    let transport = net.dismantle().expect("a reset that is confirmed");
    assert!(transport.status().is_empty());
}

const OTHERS: [u8; 6] = [0x52, 0x54, 0x00, 0x99, 0x88, 0x77];
const BROADCAST: [u8; 6] = [0xff; 6];

/// A frame of `len` bytes, of an EtherType for experiments.
fn frame(to: [u8; 6], from: [u8; 6], len: usize, salt: usize) -> Vec<u8> {
    let body = (0..len - 14).map(|at| (at * 5 + at / 256 + salt * 37 + len) as u8);
    to.into_iter().chain(from).chain([0x88, 0xb5]).chain(body).collect()
}

/// What comes next at the other end.
fn seen(machine: &Machine, device: &Device) -> Vec<u8> {
    machine.wire(&device.id).receive(SOON).unwrap().expect("a frame from the card")
}
