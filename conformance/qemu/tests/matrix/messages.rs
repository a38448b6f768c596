//! MSI-X: messages into RAM, each vector its own.

use qemu_bench::{Cause, Device, Machine, PciModern, PciMsix, QtestRegs, Signal, Space, Way};
use serde_json::json;
use virtio::dma::Writable;
use virtio::pci::{BarKind, Function, MsixMessage, bars};
use virtio::queue::Request;
use virtio::regs::Registers;
use virtio::transport::InterruptStatus;
use virtio::{AnyTransport, Endpoint, QueueIndex};

use crate::case::{SOON, bring_up, down, up, wanted};
use crate::rng::{spec, take};

type Bytes = Writable<Vec<u8>>;

/// More vectors than any device here has.
const MANY: u16 = 40;

/// The word of the other cause stays empty.
pub(crate) fn each_its_own(machine: &Machine, device: &Device) {
    let [queue, config] = [Cause::Queue, Cause::Config].map(|cause| PciMsix::signal(machine, device, cause));
    let hal = machine.hal();
    let mut live = up::<PciMsix>(machine, device, crate::blk::spec::<()>());
    let endpoints = [0, 1].map(|vector| live.endpoint(vector).unwrap());
    assert_eq!(endpoints.each_ref().map(|one| one.serves(QueueIndex::new(0))), [false, true]);
    let before = machine.qtest().count();
    assert_eq!(endpoints.each_ref().map(Endpoint::ack), [InterruptStatus::CONFIG, InterruptStatus::QUEUE]);
    assert_eq!(machine.qtest().count(), before, "a message needs no register");

    let bytes = live.config(virtio::config::ByteOrder::Little).unwrap().u64(0).unwrap() * 512 + (1 << 20);
    machine.run("block_resize", &json!({ "device": format!("{}-disk", device.id), "size": bytes })).unwrap();
    assert!(config.wait(SOON));
    assert_eq!(hal.word(Cause::Queue.vector()), 0);
    assert!(config.settles(SOON));

    let mut port = live.port::<()>(0).unwrap();
    assert!(!port.enable_interrupts());
    let mut header = [0; 16];
    header[0] = 4;
    let token = port.submit(Request::new(()).header(&header).response(1)).unwrap();
    assert!(queue.wait(SOON));
    assert_eq!(hal.word(Cause::Config.vector()), 0);
    let done = port.wait(token, SOON).unwrap();
    assert_eq!(done.response::<u8>(), Ok(0));
    drop(done);
    down(live);
}

/// A transport with so many messages; how many of them the device has taken.
pub(crate) fn with_messages(
    machine: &Machine,
    device: &Device,
    count: u16,
) -> (<PciModern as Way>::Transport, u16) {
    let hal = machine.hal();
    (0..MANY).for_each(|vector| hal.set_word(vector, 0));
    let message = |vector| MsixMessage { address: hal.word_address(vector), data: Signal::data(vector) };
    let messages: Vec<_> = (0..count).map(message).collect();
    let AnyTransport::Pci(mut transport) = PciModern::open(machine, device) else {
        panic!("a PCI transport")
    };
    let taken = transport
        .enable_msix_with(&messages, |address, len| {
            Ok(QtestRegs::new(machine.qtest().clone(), Space::Memory, address.get(), len))
        })
        .unwrap();
    (transport.into(), taken)
}

/// One message is for everything; more than the device has vectors are left out.
pub(crate) fn few_and_many(machine: &Machine, device: &Device) {
    for (given, taken, vector, meaning) in [
        (1, 1, 0, InterruptStatus::QUEUE | InterruptStatus::CONFIG),
        (2, 2, 1, InterruptStatus::QUEUE),
        (MANY, 2, 1, InterruptStatus::QUEUE),
    ] {
        let (transport, count) = with_messages(machine, device, given);
        assert_eq!(count, taken, "of {given}");
        let mut live = bring_up(transport, machine.hal(), device, &wanted(), spec()).unwrap();
        assert_eq!(live.vectors().unwrap(), taken);
        let endpoint = live.endpoint(vector).unwrap();
        let mut port = live.port::<Bytes>(0).unwrap();
        assert!(!port.enable_interrupts());
        port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
        let signal = Signal::Word(machine, vector);
        assert!(signal.wait(SOON), "of {given}");
        assert_eq!(endpoint.ack(), meaning);
        take(&mut port);
        for other in (0..MANY).filter(|&other| other != vector) {
            assert_eq!(machine.hal().word(other), 0, "vector {other} of {given}");
        }
        down(live);
        assert!(signal.settles(SOON));
    }
}

/// A device without MSI-X keeps its line.
pub(crate) fn none_at_all(machine: &Machine, device: &Device) {
    let (transport, count) = with_messages(machine, device, 2);
    assert_eq!(count, 0);
    let mut live = bring_up(transport, machine.hal(), device, &wanted(), spec()).unwrap();
    assert_eq!(live.vectors().unwrap(), 1);
    let endpoint = live.endpoint(0).unwrap();
    let mut port = live.port::<Bytes>(0).unwrap();
    assert!(!port.enable_interrupts());
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    let line = PciModern::signal(machine, device, Cause::Queue);
    assert!(line.wait(SOON));
    assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
    assert!(line.settles(SOON));
    assert_eq!(machine.hal().word(0), 0);
    down(live);
}

/// What our read-back of vectors is for: QEMU answers NO_VECTOR for one that it does not have.
pub(crate) fn refused_vectors(machine: &Machine, device: &Device) {
    const CONFIG_VECTOR: usize = 0x10;
    const QUEUE_VECTOR: usize = 0x1a;
    let (transport, count) = with_messages(machine, device, 2);
    assert_eq!(count, 2);
    // QEMU has the common structure at the start of BAR 4.
    let function = Function::read(machine.config(), device.place.function()).unwrap();
    let bar = bars(machine.config(), &function).unwrap()[4].unwrap();
    assert_eq!(bar.kind, BarKind::Memory64);
    let common = QtestRegs::new(machine.qtest().clone(), Space::Memory, bar.address, 0x38);
    // Sizing has switched memory off for a moment, and nothing else.
    for (vector, kept) in [(0, 0), (1, 1), (2, 0xffff), (0x7777, 0xffff), (0xffff, 0xffff)] {
        for register in [CONFIG_VECTOR, QUEUE_VECTOR] {
            common.write16(register, vector);
            assert_eq!(common.read16(register), kept, "vector {vector}");
        }
    }
    drop(transport);
    // A driver after that is none the worse.
    crate::rng::polled::<PciMsix>(machine, device);
}
