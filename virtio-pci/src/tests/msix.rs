//! Messages instead of a line: what is written where and when, and who serves what.

use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Incompatible, Misuse, QueueIndex, Status, Transport};

use super::bench::{Access, Publish, Read, Write, r, w};
use super::device::{CONFIG_VECTOR, Device, QUEUE_VECTOR, TABLE, View};
use super::machine::Machine;
use super::queues::{QUEUE, RINGS};
use crate::{FunctionAddress, MsixMessage, PciTransport};

pub(super) type Opened<'a> = PciTransport<View<'a>, &'a Machine>;

/// Where the capability is.
pub(super) const MSIX: u16 = 0x98;
pub(super) const ON: u32 = 0x8000_0000;
pub(super) const MUTE: u32 = 0x4000_0000;

/// As many messages: each to its own page, with its own data.
pub(super) fn messages(count: u16) -> alloc::vec::Vec<MsixMessage> {
    let message = |number: u16| MsixMessage {
        address: 0x1_fee0_0000 + u64::from(number) * 0x1000,
        data: 0x40 + u32::from(number),
    };
    (0..count).map(message).collect()
}

/// Opens the only function of a machine that has so many vectors.
pub(super) fn open<'a>(machine: &'a Machine, device: &'a Device, vectors: u16) -> Opened<'a> {
    let gpu = machine.add_gpu_with_msix(0, 1, vectors);
    device.open(machine, gpu, None).unwrap()
}

/// Opens it and enables as many messages.
pub(super) fn enabled<'a>(machine: &'a Machine, device: &'a Device, vectors: u16, count: u16) -> Opened<'a> {
    let mut transport = open(machine, device, vectors);
    let answer = transport.enable_msix_with(&messages(count), |address, len| device.map_table(address, len));
    assert_eq!(answer, Ok(vectors.min(count)));
    device.take();
    machine.take_writes();
    transport
}

pub(super) fn gpu() -> FunctionAddress {
    FunctionAddress::new(0, 1, 0).unwrap()
}

/// The two switches.
pub(super) fn switches(machine: &Machine) -> u32 {
    machine.get(gpu(), MSIX) & (ON | MUTE)
}

/// What of a trace concerns vectors and the enable register.
fn vector_accesses(trace: &[Access]) -> alloc::vec::Vec<Access> {
    let of_interest = |at: usize| [CONFIG_VECTOR, QUEUE_VECTOR, 0x1c, 0x14].contains(&at);
    let keep = |access: &&Access| matches!(access, Read(at, _) | Write(at, ..) if of_interest(*at));
    trace.iter().filter(keep).copied().collect()
}

#[test]
fn the_table_is_written_while_mute_and_stays_so_until_the_device_comes_up() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = open(&machine, &device, 3);
    assert_eq!(transport.msix_vectors(), 3);
    device.take();
    machine.take_writes();
    // Reserved bits of the vector control are kept.
    device.bench.set(TABLE + 28, 0xabcd_0001);
    let mut mapped = None;
    let answer = transport.enable_msix_with(&messages(2), |address, len| {
        mapped = Some((address.get(), len));
        device.map_table(address, len)
    });
    assert_eq!((answer, mapped), (Ok(2), Some((0x4100_0000, 32))));
    let first: alloc::vec::Vec<_> = device.take().into_iter().take(10).collect();
    assert_eq!(
        first,
        [
            r(TABLE + 12),
            w(TABLE + 12, 1),
            w(TABLE, 0xfee0_0000),
            w(TABLE + 4, 1),
            w(TABLE + 8, 0x40),
            w(TABLE + 12, 0),
            r(TABLE),
            r(TABLE + 4),
            r(TABLE + 8),
            r(TABLE + 12),
        ]
    );
    assert_eq!(device.entry(0), [0xfee0_0000, 1, 0x40, 0]);
    assert_eq!(device.entry(1), [0xfee0_1000, 1, 0x41, 0xabcd_0000]);
    // An entry that is not in use is not touched.
    assert_eq!(device.entry(2), [0; 4]);
    assert_eq!(machine.take_writes(), [(gpu(), MSIX, 0xc002_4011)]);
    // Neither a message nor an access to memory before the reset.
    assert_eq!(machine.get(gpu(), 4) & 7, 2);
    transport.set_status(Status::empty());
    assert_eq!(switches(&machine), ON | MUTE);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(switches(&machine), ON);
}

// shows: pci.op.init.msix.5
#[test]
fn vectors_are_mapped_and_read_back_before_the_queue_is_enabled() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 0, 0]));
    let mut transport = enabled(&machine, &device, 3, 9);
    for _ in 0..2 {
        transport.set_status(Status::empty());
        device.take();
        for (queue, vector) in [(0, 1), (1, 2), (2, 1)] {
            transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
            let config = [Write(CONFIG_VECTOR, 2, 0), Read(CONFIG_VECTOR, 2)];
            let own =
                [Write(QUEUE_VECTOR, 2, vector), Read(QUEUE_VECTOR, 2), Write(0x1c, 2, 1), Read(0x1c, 2)];
            let mut expected = alloc::vec![Read(0x1c, 2)];
            // Once after each reset, which makes the device forget.
            expected.extend(if queue == 0 { &config[..] } else { &[] });
            expected.extend(own);
            let trace = device.take();
            assert_eq!(vector_accesses(&trace), expected);
            assert_eq!(trace[trace.len() - 3..], [Publish, Write(0x1c, 2, 1), Read(0x1c, 2)]);
        }
        transport.set_status(Status::DRIVER_OK);
        assert_eq!(device.take(), [Write(0x14, 1, 4)]);
    }
    // A queue that was reset by itself has forgotten its vector, the device has not.
    device.lets_go(QUEUE.get());
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(vector_accesses(&device.take())[1..3], [Write(QUEUE_VECTOR, 2, 2), Read(QUEUE_VECTOR, 2)]);
    // On the bus, and the line as it was found.
    assert_eq!(machine.get(gpu(), 4) & 0xffff, 6);
}

#[test]
fn a_device_without_queues_gets_its_vector_with_driver_ok() {
    let (machine, device) = (Machine::new(), Device::new(&[]));
    let mut transport = enabled(&machine, &device, 3, 3);
    transport.set_status(Status::empty());
    transport.set_status(Status::DRIVER);
    device.take();
    transport.set_status(Status::DRIVER | Status::DRIVER_OK);
    assert_eq!(device.take(), [Write(CONFIG_VECTOR, 2, 0), Read(CONFIG_VECTOR, 2), Write(0x14, 1, 6)]);
    assert_eq!((switches(&machine), machine.get(gpu(), 4) & 7), (ON, 6));
}

#[test]
fn the_line_is_left_alone_with_messages() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = enabled(&machine, &device, 3, 3);
    machine.set_register(gpu(), 4, 0x0010_0402, 0x407);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(machine.get(gpu(), 4) & 0x407, 0x406);
}

// shows: pci.layout.isr-cap.1, pci.op.config-change.1
#[test]
fn each_vector_has_its_endpoint_and_none_touches_a_register() {
    let (machine, device) = (Machine::new(), Device::new(&[0; 4]));
    for (count, meanings, served) in [
        (1, &[3][..], &[&[0, 1, 2, 3][..]][..]),
        (2, &[2, 1], &[&[], &[0, 1, 2, 3]]),
        (3, &[2, 1, 1], &[&[], &[0, 2], &[1, 3]]),
    ] {
        let mut transport = enabled(&machine, &device, 3, count);
        transport.set_status(Status::empty());
        for queue in 0..4 {
            transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
        }
        device.take();
        assert_eq!(transport.vectors(), count);
        for (vector, (&meaning, &serves)) in (0..count).zip(meanings.iter().zip(served)) {
            let expected = (InterruptStatus::from_bits_retain(meaning), serves.into());
            assert_eq!(endpoint(&transport, vector), expected);
        }
        // The driver that asks by itself is told that it may be either.
        assert_eq!(transport.ack_interrupt(), InterruptStatus::all());
        assert_eq!(device.take(), []);
        drop(transport);
        machine.clear();
    }
}

#[test]
fn vectors_beyond_the_last_have_no_endpoint() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let transport = enabled(&machine, &device, 3, 2);
    let none = Error::Caller(Misuse::NoSuchVector);
    assert_eq!(transport.endpoint(2).map(drop), Err(none));
    assert_eq!(transport.endpoint(u16::MAX).map(drop), Err(none));
}

#[test]
fn without_messages_there_is_the_line_if_there_is_one() {
    for (pin, lines) in [(0x0000, 0), (0x0100, 1), (0x0400, 1), (0x0500, 0), (u32::MAX, 0)] {
        let (machine, device) = (Machine::new(), Device::new(&[0]));
        let function = machine.add_gpu(0, 1);
        machine.set(function, 0x3c, pin);
        let mut transport = device.open(&machine, function, None).unwrap();
        assert_eq!(transport.msix_vectors(), 0);
        let unmapped = |_, _| panic!("there is no table");
        assert_eq!(transport.enable_msix_with(&messages(1), unmapped), Ok(0));
        assert_eq!(transport.vectors(), lines);
        assert_eq!(transport.endpoint(0).is_ok(), lines == 1);
        assert!(transport.endpoint(1).is_err());
    }
}

#[test]
fn no_message_leaves_the_line() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let mut transport = enabled(&machine, &device, 3, 3);
    assert_eq!(transport.enable_msix_with(&[], |_, _| panic!("nothing to write")), Ok(0));
    assert_eq!((transport.vectors(), switches(&machine)), (1, 0));
}

#[test]
fn messages_can_be_given_anew() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = enabled(&machine, &device, 4, 4);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    let fewer = transport.enable_msix_with(&messages(1), |address, len| device.map_table(address, len));
    assert_eq!((fewer, transport.vectors()), (Ok(1), 1));
    // Mute again until the device comes up.
    assert_eq!(switches(&machine), ON | MUTE);
}

#[test]
fn the_largest_table_is_used_as_far_as_there_are_messages() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let mut transport = open(&machine, &device, 2048);
    assert_eq!(transport.msix_vectors(), 2048);
    let all = transport.enable_msix_with(&messages(3000), |address, len| {
        assert_eq!(len, 2048 * 16);
        device.map_table(address, len)
    });
    assert_eq!((all, transport.vectors()), (Ok(2048), 2048));
    assert_eq!(device.entry(2047), [0xff5f_f000, 1, 0x83f, 0]);
}

#[test]
fn a_dropped_transport_sends_no_message() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let transport = enabled(&machine, &device, 3, 3);
    drop(transport);
    assert_eq!(switches(&machine), 0);
    assert_eq!(machine.take_writes(), [(gpu(), MSIX, 0x0002_4011)]);
    machine.clear();
    // One that has switched nothing on switches nothing off.
    let transport = open(&machine, &device, 3);
    machine.take_writes();
    drop(transport);
    assert_eq!(machine.take_writes(), []);
}

/// What an endpoint answers, and which of four queues it serves.
pub(super) fn endpoint(transport: &Opened<'_>, vector: u16) -> (InterruptStatus, alloc::vec::Vec<u16>) {
    let endpoint = transport.endpoint(vector).unwrap();
    let served = (0..4).filter(|&queue| endpoint.serves(QueueIndex::new(queue))).collect();
    (endpoint.ack(), served)
}

#[test]
fn a_kernel_can_tell_messages_from_the_line() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    for count in [1, 3] {
        let mut transport = enabled(&machine, &device, 3, count);
        assert!(transport.signals_by_message());
        device.takes.set(|_, _, _| false);
        transport.set_status(Status::empty());
        transport.enable_queue(QUEUE, &RINGS).unwrap();
        assert_eq!((transport.vectors(), transport.signals_by_message()), (1, false));
        device.takes.set(|_, _, _| true);
        drop(transport);
        machine.clear();
    }
}

#[test]
fn a_line_that_is_to_be_quiet_stays_so() {
    const DISABLE: u32 = 1 << 10;
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = enabled(&machine, &device, 3, 3);
    machine.set_register(gpu(), 4, 0x0010_0002, 0x407);
    assert_eq!(transport.interrupt_pin(), Some(1));
    transport.keep_line_quiet();
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    // Messages are not affected ...
    assert_eq!((transport.vectors(), machine.get(gpu(), 4) & 0x406), (3, DISABLE | 6));
    // ... and there is no line to go back to.
    device.takes.set(|_, _, _| false);
    transport.set_status(Status::empty());
    let refused = Err(Incompatible::InterruptRefused.into());
    assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!((transport.vectors(), machine.get(gpu(), 4) & 0x406), (0, DISABLE | 6));
}
