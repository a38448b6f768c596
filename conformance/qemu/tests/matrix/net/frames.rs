//! Frames of all lengths, copied.

use std::thread;
use std::time::Instant;

use qemu_bench::{BenchHal, Device, Machine, Way};
use virtio::net::{Net, NetError, Options};
use virtio::{Interrupts, Transport};

use super::{OTHERS, down, frame, seen, up};
use crate::case::SOON;

/// Waits for a frame.
pub(super) fn take<T: Transport>(net: &mut Net<T, BenchHal>) -> Vec<u8> {
    let mut room = vec![0; 70_000];
    let end = Instant::now() + SOON;
    loop {
        if let Some(len) = net.receive(&mut room).unwrap() {
            room.truncate(len);
            return room;
        }
        assert!(Instant::now() < end, "no frame");
        thread::yield_now();
    }
}

/// Nothing is there, a moment after something would have been.
pub(super) fn nothing<T: Interrupts>(net: &mut Net<T, BenchHal>) {
    let mut room = vec![0; 70_000];
    assert_eq!(net.receive(&mut room).unwrap(), None);
}

/// Of many lengths, from the shortest to the longest; several laps of both queues.
pub(crate) fn both_ways<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    // Without an MTU, what everybody takes.
    let longest = 1514;
    let lengths = [14, 15, 42, 60, 61, 127, 128, 500, 1000, 1513, longest];
    for lap in 0..20 {
        for len in lengths {
            let out = frame(OTHERS, mac, len, lap);
            net.send(&out).unwrap();
            assert!(seen(machine, device) == out, "lap {lap}: {len} bytes out");
            let back = frame(mac, OTHERS, len, lap);
            wire.send(&back).unwrap();
            assert!(take(&mut net) == back, "lap {lap}: {len} bytes in");
        }
    }
    nothing(&mut net);
    // Too short: named, and not sent.
    assert!(net.send(&[0; 13]).is_err());
    assert!(net.send(&[]).is_err());
    net.send(&frame(OTHERS, mac, 60, 1)).unwrap();
    assert!(seen(machine, device) == frame(OTHERS, mac, 60, 1), "and nothing before it");
    down(net);
}

/// More frames than there are buffers, faster than they are taken: none is lost, for QEMU waits.
pub(crate) fn flood<W: Way>(machine: &Machine, device: &Device) {
    const COUNT: usize = 400;
    let mut net = up::<W>(machine, device, &Options { receive_queue: 16, ..Options::default() });
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    let made = |number: usize| {
        let mut made = frame(mac, OTHERS, 60 + number * 3, number);
        made[14..16].copy_from_slice(&(number as u16).to_be_bytes());
        made
    };
    thread::scope(|scope| {
        scope.spawn(|| (0..COUNT).for_each(|number| wire.send(&made(number)).unwrap()));
        for number in 0..COUNT {
            assert!(take(&mut net) == made(number), "frame {number}");
        }
    });
    nothing(&mut net);
    down(net);
}

/// An MTU that QEMU was told: the driver reads it, and frames may be as long.
pub(crate) fn jumbo<W: Way>(machine: &Machine, device: &Device) {
    let mut net = up::<W>(machine, device, &Options::default());
    assert_eq!(net.mtu(), Some(9000));
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    for len in [60, 1514, 1515, 4096, 9013, 9014] {
        let out = frame(OTHERS, mac, len, 3);
        net.send(&out).unwrap();
        assert!(seen(machine, device) == out, "{len} bytes out");
        let back = frame(mac, OTHERS, len, 4);
        wire.send(&back).unwrap();
        assert!(take(&mut net) == back, "{len} bytes in");
    }
    let refused: NetError = net.send(&frame(OTHERS, mac, 9015, 0)).unwrap_err();
    assert!(!matches!(refused, NetError::Core(virtio::Error::Down)), "{refused}");
    down(net);
}
