//! The reset of one queue (VIRTIO 1.4 §2.6.1): QEMU does it on PCI; its MMIO of version 7.2 only says so.

use std::time::{Duration, Instant};

use qemu_bench::{Device, Machine, Way};
use virtio::dma::Writable;
use virtio::queue::Request;
use virtio::{Error, Features, Incompatible, Misuse, QueueIndex};

use crate::case::{SOON, down, up};
use crate::rng::{looks_random, spec, take};

type Bytes = Writable<Vec<u8>>;

/// What is not taken yet comes back; the queue works again, empty.
pub(crate) fn in_mid_flight<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, spec().drains_on_reset());
    assert!(live.features().contains(Features::RING_RESET));
    for round in 0..3 {
        let mut port = live.port::<Bytes>(0).unwrap();
        // One is done, one is used and not taken, two were shown and not kicked.
        port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
        assert!(looks_random(&take(&mut port)));
        let shown: Vec<_> = (0..2).map(|_| port.add(Request::new(Writable(vec![0; 64]))).unwrap()).collect();
        port.publish();
        let mut back = Vec::new();
        live.stop_queue::<Bytes>(0, |token, payload| back.push((token, payload.0.len()))).unwrap();
        back.sort_by_key(|(token, _)| shown.iter().position(|known| known == token));
        assert_eq!(back, shown.iter().map(|&token| (token, 64)).collect::<Vec<_>>(), "round {round}");
        let mut port = live.port::<Bytes>(0).unwrap();
        let refused = port.submit(Request::new(Writable(vec![0; 64]))).unwrap_err();
        assert_eq!(refused.error, Error::Caller(Misuse::QueueStopped));
        live.start_queue(0).unwrap();
        let mut port = live.port::<Bytes>(0).unwrap();
        assert_eq!(port.free(), 8);
        for _ in 0..3 {
            port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
        }
        for _ in 0..3 {
            assert!(looks_random(&take(&mut port)));
        }
    }
    down(live);
}

/// An offer that is not kept is a named error, and the queue goes on. A newer QEMU may keep it.
// shows: basic.virtqueues.vq-reset.1
pub(crate) fn ignored<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, spec().drains_on_reset());
    let (major, _) = machine.version().unwrap();
    if !live.features().contains(Features::RING_RESET) {
        assert!(major > 7, "QEMU 7 offers it");
        let refused = live.stop_queue::<Bytes>(0, |_, _| ());
        assert_eq!(refused, Err(Incompatible::MissingFeatures(Features::RING_RESET).into()));
    } else if major <= 7 {
        let mut port = live.port::<Bytes>(0).unwrap();
        port.add(Request::new(Writable(vec![0; 64]))).unwrap();
        port.publish();
        let mut back = 0;
        let answer = live.stop_queue::<Bytes>(0, |_, _| back += 1);
        assert_eq!(answer, Err(Incompatible::QueueResetIgnored(QueueIndex::new(0)).into()));
        assert_eq!(back, 0, "what is in flight stays so");
        let mut port = live.port::<Bytes>(0).unwrap();
        assert_eq!(port.in_flight(), 1);
        assert!(port.kick());
        assert!(looks_random(&take(&mut port)));
    } else {
        down(live);
        return in_mid_flight::<W>(machine, device);
    }
    down(live);
}

/// A read that QEMU is at while its queue is reset. The queue reads as reset, so the payload comes back, but QEMU 7.2 does not
/// wait for the read: it writes to memory that is not the device's any more. Nothing in the registers tells a driver: this is
/// why a queue with requests in flight is reset only for devices that are declared to drain.
pub(crate) fn while_at_work<W: Way>(machine: &Machine, device: &Device) {
    let printed = machine.log().len();
    // Who does not say that the device ends what it has begun is kept from this.
    let mut live = up::<W>(machine, device, crate::blk::spec::<Bytes>());
    let mut port = live.port::<Bytes>(0).unwrap();
    port.submit(Request::new(Writable(vec![0; 512])).header(&[0; 16]).response(1)).unwrap();
    assert_eq!(live.stop_queue::<Bytes>(0, |_, _| ()), Err(Misuse::RequestsInFlight.into()));
    down(live);
    let mut live = up::<W>(machine, device, crate::blk::spec::<Bytes>().drains_on_reset());
    let held = machine.hold(&device.id).unwrap();
    let mut port = live.port::<Bytes>(0).unwrap();
    port.submit(Request::new(Writable(vec![0; 512])).header(&[0; 16]).response(1)).unwrap();
    assert!(eventually(|| machine.log()[printed..].contains("Suspended")), "the disk has not begun");
    let mut back = 0;
    live.stop_queue::<Bytes>(0, |_, _| back += 1).unwrap();
    assert_eq!(back, 1);
    assert_eq!(machine.hal().faults(), [""; 0]);
    drop(held);
    if machine.version().unwrap().0 <= 7 {
        assert!(eventually(|| !machine.hal().faults().is_empty()), "QEMU 7 writes to what it has given back");
    }
    live.start_queue(0).unwrap();
    down(live);
}

fn eventually(mut is: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + SOON;
    loop {
        if is() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
