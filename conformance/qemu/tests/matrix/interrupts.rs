//! Interrupts: one with a used buffer if it was asked for, none if not; told what it is about, and gone once acknowledged.

use std::time::Duration;

use qemu_bench::{Cause, Device, Machine, Way};
use virtio::dma::Writable;
use virtio::queue::Request;
use virtio::transport::InterruptStatus;
use virtio::{Endpoint, Error, Misuse, QueueIndex};

use crate::case::{SOON, down, up};
use crate::rng::{spec, take};

type Bytes = Writable<Vec<u8>>;

/// Long enough for an interrupt that should not come.
const MOMENT: Duration = Duration::from_millis(10);

/// One with each request that asks for it, and what acknowledging costs.
// shows: mmio.op.irq.1, mmio.op.irq.3
pub(crate) fn asked_for<W: Way>(machine: &Machine, device: &Device) {
    let (qtest, signal) = (machine.qtest(), W::signal(machine, device, Cause::Queue));
    let mut live = up::<W>(machine, device, spec());
    assert_eq!(live.vectors().unwrap(), W::VECTORS);
    assert_eq!(live.endpoint(W::VECTORS).err(), Some(Error::Caller(Misuse::NoSuchVector)));
    let endpoint = live.endpoint(W::vector(Cause::Queue)).unwrap();
    assert!(endpoint.serves(QueueIndex::new(0)));
    let mut port = live.port::<Bytes>(0).unwrap();

    // A queue starts without interrupts. With EVENT_IDX, QEMU sends one for the very first request all the same.
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    take(&mut port);
    assert!(device.rings.event_idx || !signal.wait(MOMENT), "nobody has asked for an interrupt");
    let _ = endpoint.ack();
    assert!(signal.settles(SOON), "the line stays up");
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    take(&mut port);
    assert!(!signal.wait(MOMENT), "nobody has asked for an interrupt");

    for round in 1..=3 {
        assert!(!port.enable_interrupts());
        port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
        assert!(signal.wait(SOON), "round {round}: no interrupt");
        let before = qtest.count();
        assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
        let after = qtest.count();
        let spent = (after.reads - before.reads, after.writes - before.writes);
        assert_eq!(spent, W::ack(machine), "reads and writes for an acknowledgement");
        assert!(signal.settles(SOON), "round {round}: the line stays up");
        take(&mut port);
    }
    port.disable_interrupts();
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    take(&mut port);
    assert!(!signal.wait(MOMENT), "interrupts were switched off");
    down(live);
}

/// Of a line, an acknowledgement is told once, and what was used meanwhile not twice; with nothing to say, nothing is said.
pub(crate) fn told_once<W: Way>(machine: &Machine, device: &Device) {
    let signal = W::signal(machine, device, Cause::Queue);
    let mut live = up::<W>(machine, device, spec());
    let endpoint = live.endpoint(0).unwrap();
    assert_eq!(endpoint.ack(), InterruptStatus::empty(), "nothing has happened yet");
    let mut port = live.port::<Bytes>(0).unwrap();
    assert!(!port.enable_interrupts());
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    assert!(signal.wait(SOON), "no interrupt");
    assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
    assert_eq!(endpoint.ack(), InterruptStatus::empty(), "reading clears");
    down(live);
    // It may outlive the driver.
    assert_eq!(endpoint.ack(), InterruptStatus::empty());
}

/// An interrupt that is not acknowledged is gone with the reset.
pub(crate) fn reset_lowers_it<W: Way>(machine: &Machine, device: &Device) {
    let signal = W::signal(machine, device, Cause::Queue);
    let mut live = up::<W>(machine, device, spec());
    let mut port = live.port::<Bytes>(0).unwrap();
    assert!(!port.enable_interrupts());
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    assert!(signal.wait(SOON), "no interrupt");
    down(live);
    assert!(signal.settles(SOON), "the line stays up");
}
