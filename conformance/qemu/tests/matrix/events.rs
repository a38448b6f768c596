//! What a device has to tell: its configuration changed, or it needs a reset.

use std::time::Instant;

use qemu_bench::{BenchHal, Cause, Device, Machine, Way};
use serde_json::json;
use virtio::config::ByteOrder;
use virtio::device::DeviceEvent;
use virtio::dma::{Lend, Writable};
use virtio::queue::{Cookie, QueueSpec, RawBuffer, Request};
use virtio::transport::InterruptStatus;
use virtio::{DeviceAddr, Dma, Endpoint, Error, Misuse, Transport};

use crate::case::{SOON, Up, bring_up, down, up, wanted};
use crate::rng::{looks_random, spec, take};

type Bytes = Writable<Vec<u8>>;

/// A disk grows: an interrupt, an event, and the new size, read consistently.
pub(crate) fn config_changes<W: Way>(machine: &Machine, device: &Device) {
    let signal = W::signal(machine, device, Cause::Config);
    let mut live = up::<W>(machine, device, crate::blk::spec::<()>());
    let endpoint = live.endpoint(W::vector(Cause::Config)).unwrap();
    let capacity = |live: &Up<W>| live.config(ByteOrder::Native).unwrap().u64(0).unwrap();
    let before = capacity(&live);
    let bytes = before * 512 + (1 << 20);
    machine.run("block_resize", &json!({ "device": format!("{}-disk", device.id), "size": bytes })).unwrap();
    assert!(signal.wait(SOON), "no interrupt");
    let status = endpoint.ack();
    // QEMU sets both bits for a change of the configuration.
    assert!(status.contains(InterruptStatus::CONFIG), "{status:?}");
    assert_eq!(live.attend(status).unwrap(), Some(DeviceEvent::ConfigChanged));
    assert_eq!(capacity(&live) * 512, bytes);
    assert!(signal.settles(SOON), "the line stays up");
    down(live);
}

/// A request that a device cannot make sense of: it asks for a reset, and one call brings it back.
pub(crate) fn needs_reset<W: Way>(machine: &Machine, device: &Device) {
    let signal = W::signal(machine, device, Cause::Config);
    let page: Dma<[u8], _> = Dma::zeroed_slice(machine.hal(), 4096).unwrap();
    let mut live = up::<W>(machine, device, QueueSpec::new::<Cookie>(0, 8));
    let endpoint = live.endpoint(W::vector(Cause::Config)).unwrap();
    let mut port = live.port::<Cookie>(0).unwrap();
    // A chain that only reads: a disk has nowhere to put its status.
    let header = RawBuffer { device: page.paddr(), len: 16 };
    // SAFETY: the page outlives the device and is not touched.
    let token = unsafe { port.add_raw(&[header], &[], Cookie(1)) }.unwrap();
    port.publish();
    port.kick();
    assert!(signal.wait(SOON), "no interrupt");
    let status = endpoint.ack();
    assert!(status.contains(InterruptStatus::CONFIG), "{status:?}");
    assert!(port.poll_for(token).unwrap().is_none());
    assert_eq!(live.attend(status).unwrap(), Some(DeviceEvent::NeedsReset));
    assert!(matches!(live.attend(status), Err(Error::Down)), "it was taken down");

    let mut live = live
        .rebuild(|transport, hal| bring_up(transport, hal, device, &wanted(), crate::blk::spec::<()>()))
        .expect("one call brings it back");
    assert!(signal.settles(SOON), "the line stays up");
    crate::blk::answers(&mut live);
    down(live);
}

/// Addresses at which there is no memory, seen by a kernel that polls. One such buffer QEMU can make do with, two it cannot.
/// (With packed rings, QEMU 7.2 hangs here: for split ones only.)
pub(crate) fn no_memory_there<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, QueueSpec::new::<Cookie>(0, 8));
    let mut port = live.port::<Cookie>(0).unwrap();
    let nowhere =
        |page: u64| RawBuffer { device: DeviceAddr::new(0x7fff_0000_0000 + (page << 12)), len: 4096 };
    // SAFETY: no memory is there at all.
    unsafe { port.add_raw(&[], &[nowhere(0), nowhere(1)], Cookie(1)) }.unwrap();
    port.publish();
    port.kick();
    assert!(matches!(settled::<Cookie, _>(&mut live, 1), Settled::NeedsReset));
    assert!(matches!(live.port::<Cookie>(0), Err(Error::Down)));
    let mut live =
        live.rebuild(|transport, hal| bring_up(transport, hal, device, &wanted(), spec())).unwrap();
    let mut port = live.port::<Bytes>(0).unwrap();
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    assert!(looks_random(&take(&mut port)));
    down(live);
}

/// A chain that begins in the ring and ends in a table (VIRTIO 1.4 §2.7.5.3.2): ours keep to devices that are known to read
/// them, for QEMU 7.2 does not. This is that knowledge.
pub(crate) fn mixed_chain<W: Way>(machine: &Machine, device: &Device) {
    type Three = (Bytes, (Bytes, Bytes));
    let three = || -> Request<'static, Three> {
        let bytes = || Writable(vec![0; 64]);
        Request::new((bytes(), (bytes(), bytes())))
    };
    // Tables of two, and requests of three buffers: two such leave two of eight descriptors, which is one for a buffer and one
    // for a table of the rest.
    let narrow = QueueSpec::new::<Three>(0, 8).indirect(2);
    let mut live = up::<W>(machine, device, narrow);
    let mut port = live.port::<Three>(0).unwrap();
    for _ in 0..2 {
        port.add(three()).unwrap();
    }
    assert_eq!(port.add(three()).unwrap_err().error, Error::Caller(Misuse::QueueFull));
    down(live);

    let mut live = up::<W>(machine, device, narrow.mixed_chains());
    let mut port = live.port::<Three>(0).unwrap();
    for _ in 0..3 {
        port.add(three()).unwrap();
    }
    port.publish();
    port.kick();
    match settled::<Three, _>(&mut live, 3) {
        Settled::NeedsReset => assert!(matches!(live.port::<Three>(0), Err(Error::Down))),
        Settled::Used => {
            assert!(machine.version().unwrap().0 > 7, "QEMU 7 asks for a reset");
            down(live);
        }
    }
}

/// What becomes of requests in flight.
enum Settled {
    Used,
    NeedsReset,
}

fn settled<P: Lend, T: Transport>(
    live: &mut virtio::device::Device<T, BenchHal>,
    mut count: usize,
) -> Settled {
    let end = Instant::now() + SOON;
    loop {
        count -= usize::from(live.port::<P>(0).unwrap().poll().unwrap().is_some());
        if count == 0 {
            return Settled::Used;
        }
        match live.attend(InterruptStatus::CONFIG).unwrap() {
            Some(DeviceEvent::NeedsReset) => return Settled::NeedsReset,
            _ => assert!(Instant::now() < end, "neither an answer nor a reset"),
        }
    }
}
