//! What QEMU's card offers on a cable that knows frames and nothing else, and what it does not: cases that fail on the day
//! that it does, for they are to be written then.

use qemu_bench::{Device, Machine, Way};
use virtio::Transport;
use virtio::net::{MacAddress, NetError, Options, Partial, RxMode, Switch, TxOffload};

use super::{OTHERS, down, frame, up};

/// Numbers of VIRTIO 1.4 §5.1.3, below 32.
const BITS: [(&str, u32); 22] = [
    ("CSUM", 0),
    ("GUEST_CSUM", 1),
    ("CTRL_GUEST_OFFLOADS", 2),
    ("MTU", 3),
    ("MAC", 5),
    ("GUEST_TSO4", 7),
    ("GUEST_TSO6", 8),
    ("GUEST_ECN", 9),
    ("GUEST_UFO", 10),
    ("HOST_TSO4", 11),
    ("HOST_TSO6", 12),
    ("HOST_ECN", 13),
    ("HOST_UFO", 14),
    ("MRG_RXBUF", 15),
    ("STATUS", 16),
    ("CTRL_VQ", 17),
    ("CTRL_RX", 18),
    ("CTRL_VLAN", 19),
    ("CTRL_RX_EXTRA", 20),
    ("GUEST_ANNOUNCE", 21),
    ("MQ", 22),
    ("CTRL_MAC_ADDR", 23),
];

fn offered<W: Way>(machine: &Machine, device: &Device) -> Vec<&'static str> {
    let mut transport = W::open(machine, device);
    let features = transport.device_features(0);
    BITS.iter().filter(|(_, number)| features >> number & 1 == 1).map(|(name, _)| *name).collect()
}

/// No checksum and no segmentation is taken over: such a cable has nobody who would.
pub(crate) fn all<W: Way>(machine: &Machine, device: &Device) {
    let all = [
        "CTRL_GUEST_OFFLOADS",
        "MAC",
        "MRG_RXBUF",
        "STATUS",
        "CTRL_VQ",
        "CTRL_RX",
        "CTRL_VLAN",
        "CTRL_RX_EXTRA",
        "GUEST_ANNOUNCE",
        "CTRL_MAC_ADDR",
    ];
    assert_eq!(offered::<W>(machine, device), all);
    let mut net = up::<W>(machine, device, &Options::default());
    let packet = frame(OTHERS, device.mac(), 100, 0);
    let refused = net.send_with(&packet, TxOffload::checksum(Partial { start: 34, offset: 16 })).unwrap_err();
    assert!(matches!(refused, NetError::NotNegotiated(_)), "{refused}");
    assert_eq!((net.pairs(), net.mtu()), (1, None));
    let link = net.link().unwrap();
    assert_eq!((link.speed, link.duplex), (None, None));
    down(net);
}

/// Without a control queue, nothing of it.
pub(crate) fn uncontrolled<W: Way>(machine: &Machine, device: &Device) {
    assert!(!offered::<W>(machine, device).contains(&"CTRL_VQ"));
    let mut net = up::<W>(machine, device, &Options::default());
    match net.control() {
        Err(NetError::NotNegotiated(_)) => {}
        Err(other) => panic!("{other}"),
        Ok(mut control) => {
            let refused = control.set_mode(RxMode::Promiscuous, Switch::Off).unwrap_err();
            assert!(matches!(refused, NetError::NotNegotiated(_)), "{refused}");
        }
    }
    down(net);
}

/// With `mq=on`, and a cable that has one queue: one pair, and a command that takes no other number.
pub(crate) fn pairs<W: Way>(machine: &Machine, device: &Device) {
    assert!(offered::<W>(machine, device).contains(&"MQ"));
    let mut net = up::<W>(machine, device, &Options { pairs: 4, ..Options::default() });
    assert_eq!(net.pairs(), 1);
    net.set_pairs(1).unwrap();
    assert!(net.set_pairs(2).is_err());
    assert!(net.set_pairs(0).is_err());
    assert_eq!(net.pairs(), 1);
    down(net);
}

/// A card with nothing but an address.
pub(crate) fn bare<W: Way>(machine: &Machine, device: &Device) {
    assert_eq!(offered::<W>(machine, device), ["MAC"]);
    let net = up::<W>(machine, device, &Options::default());
    assert_eq!(net.mac().unwrap(), Some(MacAddress(device.mac())));
    // VIRTIO 1.4 §5.1.5: without STATUS the link is to be taken for up.
    assert!(net.link().unwrap().up);
    down(net);
}
