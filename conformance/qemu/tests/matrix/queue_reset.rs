//! The reset of one queue (VIRTIO 1.4 §2.6.1): QEMU does it on PCI; its MMIO of version 7.2 only says so.

use qemu_bench::{Device, Machine, Way};
use virtio::dma::Writable;
use virtio::queue::Request;
use virtio::{Error, Features, Incompatible, Misuse, QueueIndex};

use crate::case::{down, up};
use crate::rng::{looks_random, spec, take};

type Bytes = Writable<Vec<u8>>;

/// What is not taken yet comes back; the queue works again, empty.
pub(crate) fn in_mid_flight<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, spec());
    assert!(live.features().contains(Features::RING_RESET));
    for round in 0..3 {
        let mut port = live.port::<Bytes>(0).unwrap();
        // One is done, one is used and not taken, two were shown and not kicked.
        port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
        assert!(looks_random(&take(&mut port)));
        let shown: Vec<_> =
            (0..2).map(|_| port.add(Request::new(Writable(vec![0; 64]))).unwrap()).collect();
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
pub(crate) fn ignored<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, spec());
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
