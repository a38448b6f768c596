//! The control queue: which frames a card lets pass, seen from both sides.

use qemu_bench::{BenchHal, Device, Machine, Way};
use serde_json::json;
use virtio::Interrupts;
use virtio::net::{MacAddress, Net, Options, RxMode, Switch};

use super::frames::{nothing, take};
use super::{BROADCAST, OTHERS, down, frame, up};

/// Addresses that are nobody's, for one and for many.
const STRANGER: [u8; 6] = [0x52, 0x54, 0x00, 0x01, 0x02, 0x03];
const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x55];
const OTHER_GROUP: [u8; 6] = [0x33, 0x33, 0x00, 0x00, 0x00, 0x07];

/// Sends a frame to each of these; answers which of them pass. `last` has to.
fn passing<T: Interrupts>(
    machine: &Machine,
    device: &Device,
    net: &mut Net<T, BenchHal>,
    to: &[[u8; 6]],
    last: [u8; 6],
) -> Vec<bool> {
    let wire = machine.wire(&device.id);
    let frames: Vec<_> = to.iter().enumerate().map(|(nth, &to)| frame(to, OTHERS, 80 + nth, 9)).collect();
    frames.iter().for_each(|frame| wire.send(frame).unwrap());
    let end = frame(last, OTHERS, 200, 9);
    wire.send(&end).unwrap();
    let mut passed = vec![false; to.len()];
    loop {
        let seen = take(net);
        if seen == end {
            nothing(net);
            return passed;
        }
        let nth = frames.iter().position(|frame| *frame == seen).expect("a frame that was sent");
        assert!(!passed[nth], "frame {nth} came twice");
        passed[nth] = true;
    }
}

/// Each mode by itself.
pub(crate) fn modes<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let mac = device.mac();
    let to = [mac, STRANGER, GROUP, BROADCAST];
    // QEMU's card starts by letting everything pass.
    assert_eq!(passing(machine, device, &mut net, &to, mac), [true; 4]);
    let steps = [
        (RxMode::Promiscuous, Switch::Off, [true, false, false, true]),
        (RxMode::AllMulticast, Switch::On, [true, false, true, true]),
        (RxMode::AllMulticast, Switch::Off, [true, false, false, true]),
        (RxMode::AllUnicast, Switch::On, [true, true, false, true]),
        (RxMode::AllUnicast, Switch::Off, [true, false, false, true]),
        (RxMode::NoBroadcast, Switch::On, [true, false, false, false]),
        (RxMode::NoBroadcast, Switch::Off, [true, false, false, true]),
        (RxMode::AllMulticast, Switch::On, [true, false, true, true]),
        (RxMode::NoMulticast, Switch::On, [true, false, false, true]),
        (RxMode::NoMulticast, Switch::Off, [true, false, true, true]),
    ];
    for (mode, switch, expected) in steps {
        net.control().unwrap().set_mode(mode, switch).unwrap();
        let passed = passing(machine, device, &mut net, &to, mac);
        assert_eq!(passed, expected, "{mode:?} {switch:?}");
    }
    // With none for one, only what is for many can be the last.
    net.control().unwrap().set_mode(RxMode::NoUnicast, Switch::On).unwrap();
    let passed = passing(machine, device, &mut net, &[mac, STRANGER, GROUP], BROADCAST);
    assert_eq!(passed, [false, false, true]);
    let known = machine.filters(&device.id).unwrap();
    assert_eq!(known["promiscuous"], json!(false));
    assert_eq!(known["unicast"], json!("none"));
    down(net);
}

/// The table of addresses, and the card's own.
pub(crate) fn addresses<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let mac = device.mac();
    net.control().unwrap().set_mode(RxMode::Promiscuous, Switch::Off).unwrap();
    let to = [mac, STRANGER, GROUP, OTHER_GROUP];
    assert_eq!(passing(machine, device, &mut net, &to, mac), [true, false, false, false]);
    let mut control = net.control().unwrap();
    control.set_mac_table(&[MacAddress(STRANGER)], &[MacAddress(GROUP)]).unwrap();
    assert_eq!(passing(machine, device, &mut net, &to, mac), [true, true, true, false]);
    let known = machine.filters(&device.id).unwrap();
    assert_eq!(known["unicast-table"], json!(["52:54:00:01:02:03"]));
    assert_eq!(known["multicast-table"], json!(["01:00:5e:00:00:55"]));
    net.control().unwrap().set_mac_table(&[], &[]).unwrap();
    assert_eq!(passing(machine, device, &mut net, &to, mac), [true, false, false, false]);

    net.control().unwrap().set_mac(MacAddress(STRANGER)).unwrap();
    assert_eq!(machine.filters(&device.id).unwrap()["main-mac"], json!("52:54:00:01:02:03"));
    assert_eq!(passing(machine, device, &mut net, &to, STRANGER), [false, true, false, false]);
    assert_eq!(net.mac().unwrap(), Some(MacAddress(STRANGER)));
    net.control().unwrap().set_mac(MacAddress(mac)).unwrap();
    assert_eq!(passing(machine, device, &mut net, &to, mac), [true, false, false, false]);
    down(net);
}

/// Frames of a VLAN pass if it was named.
pub(crate) fn vlans<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    net.control().unwrap().set_mode(RxMode::Promiscuous, Switch::Off).unwrap();
    let tagged = |vlan: u16| {
        let plain = frame(mac, OTHERS, 100, usize::from(vlan));
        [&plain[..12], &[0x81, 0x00], &vlan.to_be_bytes(), &plain[12..]].concat()
    };
    let passes = |net: &mut Net<_, _>, vlan: u16| {
        wire.send(&tagged(vlan)).unwrap();
        let end = frame(mac, OTHERS, 90, usize::from(vlan));
        wire.send(&end).unwrap();
        let first = take(net);
        if first == end {
            return false;
        }
        assert!(first == tagged(vlan), "a tag stays as it is");
        assert!(take(net) == end);
        true
    };
    let all = [1, 77, 4094];
    assert_eq!(all.map(|vlan| passes(&mut net, vlan)), [false; 3]);
    net.control().unwrap().add_vlan(77).unwrap();
    net.control().unwrap().add_vlan(4094).unwrap();
    assert_eq!(all.map(|vlan| passes(&mut net, vlan)), [false, true, true]);
    // QEMU has them in no order that it promises.
    let known = machine.filters(&device.id).unwrap();
    let mut known: Vec<_> =
        known["vlan-table"].as_array().unwrap().iter().map(|vlan| vlan.as_u64()).collect();
    known.sort_unstable();
    assert_eq!(known, [Some(77), Some(4094)]);
    net.control().unwrap().remove_vlan(77).unwrap();
    assert_eq!(all.map(|vlan| passes(&mut net, vlan)), [false, false, true]);
    down(net);
}
