//! The cable: pulled and plugged, announced, and how fast it is said to be.

use qemu_bench::{Cause, Device, Machine, Way};
use serde_json::json;
use virtio::Endpoint;
use virtio::net::{Duplex, NetEvent, Options, TxOffload};

use super::frames::take;
use super::{OTHERS, down, frame, seen, up};
use crate::case::SOON;

/// Pulled: an interrupt, an event, and no frame passes. Plugged: all is well again.
pub(crate) fn link<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    let signal = W::signal(machine, device, Cause::Config);
    let endpoint = net.device().endpoint(W::vector(Cause::Config)).unwrap();
    assert!(net.link().unwrap().up);
    let set = |up: bool| machine.run("set_link", &json!({ "name": device.id, "up": up })).unwrap();
    for lap in 0..3 {
        for up in [false, true] {
            set(up);
            assert!(signal.wait(SOON), "no interrupt");
            let status = endpoint.ack();
            assert!(signal.settles(SOON), "the line stays up");
            match net.attend(status).unwrap() {
                Some(NetEvent::Changed(link)) => assert_eq!((link.up, link.announce), (up, false)),
                other => panic!("{other:?}"),
            }
            assert_eq!(net.link().unwrap().up, up);
            if !up {
                // It is taken from the queue all the same, and arrives nowhere. (With packed rings: see `deaf`.)
                if !device.rings.packed {
                    net.send(&frame(OTHERS, mac, 70, lap)).unwrap();
                }
                wire.send(&frame(mac, OTHERS, 70, lap)).unwrap();
            }
        }
        let out = frame(OTHERS, mac, 80, lap);
        net.send(&out).unwrap();
        assert!(seen(machine, device) == out, "lap {lap}");
        let back = frame(mac, OTHERS, 80, lap);
        wire.send(&back).unwrap();
        assert!(take(&mut net) == back, "lap {lap}");
    }
    down(net);
}

/// A frame that is sent while the cable is pulled. QEMU 7.2 drops it, and with packed rings wants to be told of no other frame
/// from then on, cable or not. Bringing the device up again helps, and nothing less.
pub(crate) fn deaf<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let set = |up: bool| machine.run("set_link", &json!({ "name": device.id, "up": up })).unwrap();
    let out = frame(OTHERS, device.mac(), 90, 1);
    net.send(&out).unwrap();
    assert!(seen(machine, device) == out);
    set(false);
    net.send(&out).unwrap();
    set(true);
    let (_, mut sender) = net.pair(0).unwrap();
    sender.add_copied(&out, TxOffload::NONE).unwrap();
    let told = sender.kick();
    assert_eq!(told, machine.version().unwrap().0 > 7, "QEMU 7 does not want to be told");
    let mut net = net.recover().unwrap();
    if told {
        machine.wire(&device.id).clear().unwrap();
    }
    let out = frame(OTHERS, device.mac(), 91, 2);
    net.send(&out).unwrap();
    assert!(seen(machine, device) == out);
    down(net);
}

/// The host asks for an announcement, and is told that it has been seen to.
pub(crate) fn announce<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let signal = W::signal(machine, device, Cause::Config);
    let endpoint = net.device().endpoint(W::vector(Cause::Config)).unwrap();
    for lap in 0..2 {
        let once = json!({
            "initial": 50, "max": 50, "rounds": 1, "step": 0, "interfaces": [device.id], "id": device.id,
        });
        machine.run("announce-self", &once).unwrap();
        assert!(signal.wait(SOON), "no interrupt");
        let status = endpoint.ack();
        assert!(signal.settles(SOON), "the line stays up");
        match net.attend(status).unwrap() {
            Some(NetEvent::Changed(link)) => assert!(link.up && link.announce, "lap {lap}: {link:?}"),
            other => panic!("{other:?}"),
        }
        // It was acknowledged on the control queue, so it stands there no more.
        assert!(!net.link().unwrap().announce, "lap {lap}");
    }
    down(net);
    machine.wire(&device.id).clear().unwrap();
}

/// Brought up again on the same transport, with everything in its queues.
pub(crate) fn recovered<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    net.send(&frame(OTHERS, mac, 60, 1)).unwrap();
    assert!(seen(machine, device) == frame(OTHERS, mac, 60, 1));
    let mut net = net.recover().unwrap();
    let out = frame(OTHERS, mac, 1514, 2);
    net.send(&out).unwrap();
    assert!(seen(machine, device) == out);
    let back = frame(mac, OTHERS, 1514, 2);
    wire.send(&back).unwrap();
    assert!(take(&mut net) == back);
    down(net);
}

/// Speed and duplex, as QEMU was told. The legacy interface has no bit for them.
pub(crate) fn speed<W: Way>(machine: &Machine, device: &Device) {
    let net = up::<W>(machine, device, &Options::default());
    let link = net.link().unwrap();
    let told = if W::LEGACY { (None, None) } else { (Some(2500), Some(Duplex::Full)) };
    assert_eq!((link.speed, link.duplex), told);
    down(net);
}
