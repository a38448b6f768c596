//! Messages that a device does not take, and tables that cannot be: what is fallen back on, and what is an error.

use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::{Error, HalError, Incompatible, QueueIndex, Status, Transport};

use super::bench::{Acquire, Read, Write};
use super::device::{CONFIG_VECTOR, Device, ISR, QUEUE_VECTOR};
use super::machine::Machine;
use super::msix::{MSIX, enabled, endpoint, gpu, messages, open, switches};
use super::queues::{QUEUE, RINGS};
use crate::{MsixMessage, PciError, Window, Windows};

#[test]
fn a_queue_whose_vector_is_refused_shares_the_first() {
    let (machine, device) = (Machine::new(), Device::new(&[0; 4]));
    device.takes.set(|register, queue, vector| !(register == QUEUE_VECTOR && queue == 1 && vector != 0));
    let mut transport = enabled(&machine, &device, 3, 3);
    for queue in 0..4 {
        transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
        let trace = device.take();
        let vectors: alloc::vec::Vec<_> =
            trace.iter().filter(|access| matches!(access, Write(QUEUE_VECTOR, ..))).copied().collect();
        let expected: &[u32] = [&[1][..], &[2, 0], &[1], &[2]][usize::from(queue)];
        assert!(vectors.iter().copied().eq(expected.iter().map(|&vector| Write(QUEUE_VECTOR, 2, vector))));
    }
    let answers = [0, 1, 2].map(|vector| endpoint(&transport, vector));
    assert_eq!(answers.each_ref().map(|(meaning, _)| meaning.bits()), [3, 1, 1]);
    assert_eq!(answers.map(|(_, served)| served), [&[1][..], &[0, 2], &[3]]);
    // Asked again after a reset, and not before: the queue by itself stays where it is.
    device.lets_go(QUEUE.get());
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert!(!device.take().contains(&Write(QUEUE_VECTOR, 2, 2)));
    device.takes.set(|_, _, _| true);
    transport.set_status(Status::empty());
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(endpoint(&transport, 2).1, [1, 3]);
    assert_eq!(endpoint(&transport, 0).0.bits(), 2);
}

#[test]
fn nothing_changes_under_the_endpoints_of_a_live_device() {
    let (machine, device) = (Machine::new(), Device::new(&[0; 4]));
    device.takes.set(|register, queue, vector| register == CONFIG_VECTOR || queue != 2 || vector == 0);
    let mut transport = enabled(&machine, &device, 3, 3);
    for queue in [0, 2] {
        transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
    }
    transport.set_status(Status::DRIVER_OK);
    let before = [0, 1, 2].map(|vector| endpoint(&transport, vector));
    let refused = Err(Error::Incompatible(Incompatible::InterruptRefused));
    // A queue that comes back gets what it had: a vector of its own, or the first.
    for queue in [0, 2] {
        device.lets_go(queue);
        transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
        device.lets_go(queue);
    }
    device.takes.set(|_, _, _| false);
    device.take();
    for queue in [0, 2] {
        assert_eq!(transport.enable_queue(QueueIndex::new(queue), &RINGS), refused);
    }
    assert!(!device.take().contains(&Write(0x1c, 2, 1)));
    assert_eq!([0, 1, 2].map(|vector| endpoint(&transport, vector)), before);
    assert_eq!((transport.vectors(), switches(&machine)), (3, 0x8000_0000));
    // After a reset everything is open again, the line too.
    transport.set_status(Status::empty());
    device.takes.set(|register, _, _| register == CONFIG_VECTOR);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(transport.vectors(), 1);
}

/// The device is on its line now, for good.
fn assert_on_the_line(machine: &Machine, device: &Device, transport: &mut super::msix::Opened<'_>) {
    assert_eq!(switches(machine), 0);
    assert_eq!(machine.get(gpu(), 4) & 0x407, 6);
    assert_eq!(transport.vectors(), 1);
    device.take();
    // The handler reads the ISR status again, and so does the driver.
    let endpoint = transport.endpoint(0).unwrap();
    assert!(endpoint.serves(QueueIndex::new(9)));
    device.bench.put(ISR, &[1]);
    assert_eq!(endpoint.ack().bits(), 1);
    assert_eq!(transport.ack_interrupt().bits(), 0);
    assert_eq!(device.take(), [Read(ISR, 1), Acquire, Read(ISR, 1), Acquire]);
    // No vector is mapped from here on.
    transport.set_status(Status::empty());
    device.take();
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    transport.set_status(Status::DRIVER_OK);
    let trace = device.take();
    assert!(trace.contains(&Write(QUEUE_VECTOR, 2, 0xffff)));
    assert!(!trace.iter().any(|access| matches!(access, Write(CONFIG_VECTOR, ..) | Read(QUEUE_VECTOR, _))));
}

// shows: pci.op.init.msix.5
#[test]
fn a_device_that_takes_no_vector_goes_back_to_its_line() {
    type Takes = fn(usize, u16, u16) -> bool;
    let refusals: [Takes; 3] = [
        |_, _, _| false,
        |register, _, _| register == QUEUE_VECTOR, // the configuration vector
        |register, queue, _| register == CONFIG_VECTOR || queue == 0, // the second queue's, and its second choice
    ];
    for takes in refusals {
        let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
        device.takes.set(takes);
        let mut transport = enabled(&machine, &device, 3, 3);
        machine.set_register(gpu(), 4, 0x0010_0402, 0x407);
        transport.set_status(Status::empty());
        transport.enable_queue(QueueIndex::new(0), &RINGS).unwrap();
        transport.enable_queue(QUEUE, &RINGS).unwrap();
        assert_eq!(device.bench.get(CONFIG_VECTOR) & 0xffff, 0xffff);
        assert_eq!(device.bench.get(QUEUE_VECTOR & !3) >> 16, 0xffff);
        assert_on_the_line(&machine, &device, &mut transport);
    }
}

#[test]
fn one_without_queues_goes_back_with_driver_ok() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    device.takes.set(|_, _, _| false);
    let mut transport = enabled(&machine, &device, 1, 1);
    transport.set_status(Status::DRIVER_OK);
    assert_on_the_line(&machine, &device, &mut transport);
}

#[test]
fn without_a_line_to_go_back_to_it_is_an_error() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let function = machine.add_gpu_with_msix(0, 1, 3);
    machine.set(function, 0x3c, 0);
    let open = || {
        let mut transport = device.open(&machine, function, None).unwrap();
        transport.enable_msix_with(&messages(3), |address, len| device.map_table(address, len)).unwrap();
        transport
    };
    // One that takes its vectors needs none.
    let mut transport = open();
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(transport.vectors(), 3);
    drop(transport);

    device.takes.set(|_, _, _| false);
    let mut transport = open();
    transport.set_status(Status::empty());
    device.take();
    let refused = Err(Error::Incompatible(Incompatible::InterruptRefused));
    assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
    // It was given no ring, and has no way to interrupt.
    assert!(!device.take().iter().any(|access| matches!(access, Write(0x1c..=0x37, ..))));
    assert_eq!((transport.vectors(), switches(&machine)), (0, 0));
    assert!(transport.endpoint(0).is_err());
    // Who polls goes on from here.
    transport.enable_queue(QUEUE, &RINGS).unwrap();
}

#[test]
fn a_device_that_stays_mute_goes_back_to_its_line() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = enabled(&machine, &device, 3, 3);
    machine.set_register(gpu(), MSIX, 0xc002_4011, 0x8000_0000);
    transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(transport.vectors(), 1);
}

#[test]
fn one_that_neither_takes_vectors_nor_switches_off_is_an_error() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    device.takes.set(|_, _, _| false);
    let mut transport = enabled(&machine, &device, 3, 3);
    machine.set_register(gpu(), MSIX, 0xc002_4011, 0);
    let refused = Err(Error::Incompatible(Incompatible::InterruptRefused));
    assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
}

/// What enabling answers after a change to the function; the device keeps its line in any case.
fn changed(change: impl Fn(&Machine, &Device)) -> Result<u16, PciError> {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    machine.add_gpu_with_msix(0, 1, 64);
    change(&machine, &device);
    let mut transport = device.open(&machine, gpu(), None).unwrap();
    let bar = virtio_core::PhysAddr::new(super::device::MSIX_BAR);
    let answer = transport.enable_msix_with(&messages(2), |_, len| device.map_table(bar, len));
    if answer.is_err() {
        assert_eq!((transport.vectors(), switches(&machine)), (1, 0));
        transport.enable_queue(QUEUE, &RINGS).unwrap();
    }
    answer
}

#[test]
fn a_table_that_cannot_be_is_named() {
    let misplaced = |bar, offset| Err(PciError::MsixMisplaced { bar, offset });
    let table = |value| changed(|machine, _| machine.set(gpu(), MSIX + 4, value));
    let pending = |value| changed(|machine, _| machine.set(gpu(), MSIX + 8, value));
    // In no BAR, in the upper half of one, in reserved ones.
    for bar in [0, 2, 5, 6, 7] {
        assert_eq!(table(u32::from(bar)), misplaced(bar, 0));
        assert_eq!(pending(0x100 | u32::from(bar)), misplaced(bar, 0x100));
    }
    // In ports.
    let ports = |machine: &Machine, _: &Device| {
        machine.set_register(gpu(), 0x10, 0xc001, 0xffff_ff00);
        machine.set(gpu(), MSIX + 8, 0);
    };
    assert_eq!(changed(ports), misplaced(0, 0));
    // Past the end of 64 KiB: 64 entries take 1 KiB, their bits 8 bytes.
    assert_eq!(table(0xfc01), Ok(2));
    assert_eq!(table(0xfc09), misplaced(1, 0xfc08));
    assert_eq!(table(0xffff_fff9), misplaced(1, 0xffff_fff8));
    assert_eq!(pending(0xfff9), Ok(2));
    assert_eq!(pending(0x1_0001), misplaced(1, 0x1_0000));
    // Over each other; in different BARs nothing is over anything.
    assert_eq!(pending(0x401), Ok(2));
    assert_eq!(pending(0x3f9), misplaced(1, 0));
    assert_eq!(pending(0x001), misplaced(1, 0));
    assert_eq!(pending(0x004), Ok(2));
    assert_eq!(changed(|machine, _| machine.set(gpu(), MSIX + 4, 0x8001 - 0x400)), Ok(2));
    assert_eq!(changed(|machine, _| machine.set(gpu(), MSIX + 4, 0x8001 - 0x3f8)), misplaced(1, 0x7c08));
}

#[test]
fn a_large_table_has_many_pending_bits() {
    // 2048 entries take 32 KiB, their bits 256 bytes.
    let large = |table, pending| {
        changed(|machine, _| {
            machine.set_register(gpu(), MSIX, 0x07ff_4011, 0xc000_0000);
            machine.set(gpu(), MSIX + 4, table);
            machine.set(gpu(), MSIX + 8, pending);
        })
    };
    let misplaced = |offset| Err(PciError::MsixMisplaced { bar: 1, offset });
    assert_eq!(large(0x0001, 0xff01), Ok(2));
    assert_eq!(large(0x0001, 0xff09), misplaced(0xff08));
    assert_eq!(large(0x0101, 0x0001), Ok(2));
    assert_eq!(large(0x00f9, 0x0001), misplaced(0xf8));
    assert_eq!(large(0x0101, 0x80f9), misplaced(0x100));
    assert_eq!(large(0x0101, 0x8101), Ok(2));
}

#[test]
fn a_table_that_no_32_bit_access_reaches_is_named() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let function = machine.add_gpu_with_msix(0, 1, 2);
    for (odd, there) in [(0, true), (2, false)] {
        let cpu = virtio_core::PhysAddr::new(super::device::MSIX_BAR + odd);
        let windows = Windows {
            mem32: Some(Window::identity(0x4000_0000, 0x10_0000)),
            mem64: Some(Window { bus: super::device::MSIX_BAR, cpu, len: 0x10_0000 }),
            ..Windows::default()
        };
        let mut transport = device.open(&machine, function, Some(&windows)).unwrap();
        let answer = transport.enable_msix_with(&messages(1), |address, len| device.map_table(address, len));
        let misplaced = Err(PciError::MsixMisplaced { bar: 1, offset: 0 });
        assert_eq!(answer, if there { Ok(1) } else { misplaced });
    }
}

#[test]
fn a_capability_that_is_cut_off_is_none() {
    for (at, there) in [(0xf4, true), (0xf8, false), (0xfc, false)] {
        let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
        let function = machine.add_gpu_with_msix(0, 1, 2);
        for word in [0, 4, 8] {
            let value = machine.get(function, MSIX + word);
            if at + word < 0x100 {
                machine.set_register(function, at + word, value, 0xc000_0000);
            }
        }
        machine.set(function, 0x34, at.into());
        let mut transport = device.open(&machine, function, None).unwrap();
        assert_eq!(transport.msix_vectors(), if there { 2 } else { 0 }, "{at:#x}");
        let answer = transport.enable_msix_with(&messages(2), |address, len| device.map_table(address, len));
        assert_eq!(answer, Ok(if there { 2 } else { 0 }));
    }
}

#[test]
fn a_table_outside_the_windows_is_named_and_one_inside_translated() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let function = machine.add_gpu_with_msix(0, 1, 2);
    let cpu = virtio_core::PhysAddr::new(0x90_0000_0000);
    for (len, outside) in [(0x100_0000, true), (0x200_0000, false)] {
        let window = Window { bus: 0x4000_0000, cpu, len };
        let windows = Windows { mem32: Some(window), ..Windows::default() };
        let mut transport =
            crate::PciTransport::with_mapper(&machine, function, Some(&windows), |address, len| {
                device.map(cpu.get(), address, len)
            })
            .unwrap();
        let mut at = None;
        let answer = transport.enable_msix_with(&messages(1), |address, len| {
            at = Some(address.get());
            device.map_table(virtio_core::PhysAddr::new(super::device::MSIX_BAR), len)
        });
        if outside {
            let size = 0x1_0000;
            let error =
                PciError::BarOutsideWindow { function, bar: 1, address: super::device::MSIX_BAR, size };
            assert_eq!((answer, at, transport.msix_vectors()), (Err(error), None, 0));
        } else {
            assert_eq!((answer, at), (Ok(1), Some(0x90_0100_0000)));
        }
    }
}

#[test]
fn a_function_that_does_not_keep_what_is_written_is_named() {
    let refused = Err(PciError::MsixRefused);
    type Keeps = fn(usize, u32) -> u32;
    let keeps: [Keeps; 5] = [
        |_, _| 0,
        |at, value| if at == 0 { value & 0xffff_0000 } else { value },
        |at, value| if at == 4 { 0 } else { value },
        |at, value| if at == 8 { value ^ 1 } else { value },
        |at, value| if at == 12 { value | 1 } else { value }, // it stays masked
    ];
    for keeps in keeps {
        assert_eq!(changed(|_, device| device.table_keeps.set(keeps)), refused);
    }
    // One that cannot be switched on, and one that cannot be kept mute meanwhile.
    for writable in [0x4000_0000, 0x8000_0000] {
        let stuck = |machine: &Machine, _: &Device| machine.set_register(gpu(), MSIX, 0x003f_4011, writable);
        assert_eq!(changed(stuck), refused);
    }
}

#[test]
fn a_message_to_an_odd_place_is_named() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let mut transport = open(&machine, &device, 3);
    machine.take_writes();
    for address in [1, 2, 3, u64::MAX] {
        let messages = [MsixMessage::default(), MsixMessage { address, data: 0 }];
        let unmapped = |_, _| panic!("refused before anything is mapped");
        let bad = Err(PciError::BadMessage { vector: 1, address });
        assert_eq!(transport.enable_msix_with(&messages, unmapped), bad);
    }
    assert_eq!(machine.take_writes(), []);
    // One beyond the table does not matter.
    let mut many = messages(4);
    many[3].address = 1;
    let answer = transport.enable_msix_with(&many, |address, len| device.map_table(address, len));
    assert_eq!(answer, Ok(3));
}

#[test]
fn a_table_that_cannot_be_mapped_keeps_the_platforms_error() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let mut transport = open(&machine, &device, 3);
    machine.take_writes();
    let answer = transport.enable_msix_with(&messages(1), |_, _| Err(HalError::Other(7)));
    assert_eq!(answer, Err(PciError::Platform(HalError::Other(7))));
    let answer = transport.enable_msix_with(&messages(2), |address, _| device.map_table(address, 28));
    assert_eq!(answer, Err(PciError::Incompatible(Incompatible::RegistersTooShort)));
    assert_eq!((machine.take_writes(), transport.vectors()), ([].into(), 1));
}
