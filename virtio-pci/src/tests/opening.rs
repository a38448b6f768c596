//! Taking a function into use: what is mapped, and every way it can be refused.

use alloc::string::ToString;

use virtio_core::{DeviceId, HalError, Incompatible, Transport};

use super::bench::{Read, Write};
use super::device::{DEVICE, Device, ISR, NOTIFY};
use super::machine::Machine;
use crate::caps::Structure;
use crate::{FunctionAddress, PciError, PciTransport, Window, Windows};

// shows: pci.caps.5
#[test]
fn only_what_is_needed_is_mapped() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    let device = Device::new(&[0, 1]);
    let transport = device.open(&machine, gpu, None).unwrap();
    assert_eq!(transport.device_id(), DeviceId::GPU);
    assert_eq!(transport.info().to_string(), "virtio-pci modern");
    assert!(!transport.is_legacy());
    assert_eq!(transport.function(), gpu);
    // Two doorbells, 4 bytes apart, lie in one page.
    assert_eq!(device.maps.take(), [(0, 0x40), (ISR, 4), (DEVICE, 0x1000), (NOTIFY, 0x1000)]);
    // The device itself was asked for its doorbells only.
    let asked = [Read(0x12, 2), Write(0x16, 2, 0), Read(0x1e, 2), Write(0x16, 2, 1), Read(0x1e, 2)];
    assert_eq!(device.take(), asked);
    // Memory decoding is on; bus mastering waits for the reset.
    assert_eq!(machine.get(gpu, 4) & 7, 2);
}

#[test]
fn an_absurd_number_of_queues_is_bounded() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    let device = Device::new(&[0; 0xffff]);
    device.open(&machine, gpu, None).unwrap();
    assert_eq!(device.take().len(), 1 + 2 * 4096);
}

/// What is asked for of an 8 GiB BAR whose last 4 GiB are doorbells, 64 KiB for each queue.
fn doorbells_asked_for(notify_offs: &[u16]) -> usize {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set_register(gpu, 0x20, 0xc, 0);
    machine.set_register(gpu, 0x24, 2, 0xffff_fffe);
    machine.set(gpu, 0x7c, u32::MAX - 0x3fff);
    machine.set(gpu, 0x80, 0x1_0000);
    let device = Device::new(notify_offs);
    let mut last = 0;
    let answer = PciTransport::with_mapper(&machine, gpu, None, |address, len| {
        last = len;
        device.map(0x2_0000_0000, address, len.min(0x1000)).map(|view| view.said_to_be(len))
    });
    answer.unwrap();
    last
}

#[test]
fn doorbells_are_mapped_as_far_as_they_go_within_bounds() {
    assert_eq!(doorbells_asked_for(&[0, 0]), 0x1000);
    assert_eq!(doorbells_asked_for(&[0, 1]), 0x1_0004); // in whole registers
    assert_eq!(doorbells_asked_for(&[0, 0xff]), 0xff_0004);
    // From 16 MiB on they are refused when the queue is enabled.
    assert_eq!(doorbells_asked_for(&[0, 1, 0x100]), 0x1_0004);
    assert_eq!(doorbells_asked_for(&[0, 0xfffe]), 0x1000);
}

#[test]
fn a_structure_shorter_than_a_page_is_mapped_whole() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set(gpu, 0x7c, 0x80);
    let device = Device::new(&[0, 1]);
    device.open(&machine, gpu, None).unwrap();
    assert_eq!(device.maps.take().last(), Some(&(NOTIFY, 0x80)));
}

// shows: pci.op.init.layout-detection.legacy.3, pci.op.init.layout-detection.legacy.4
#[test]
fn a_function_that_is_no_modern_virtio_device_is_named() {
    let machine = Machine::new();
    let device = Device::new(&[0]);
    let open = |function| device.open(&machine, function, None).unwrap_err();

    let nowhere = FunctionAddress::new(0, 9, 0).unwrap();
    assert_eq!(open(nowhere), PciError::NotPresent(nowhere));
    let other = machine.add(0, 2, 0);
    assert_eq!(open(other), PciError::NotVirtio { vendor: 0x8086, device: 0x1234 });

    let legacy = machine.add(0, 3, 0);
    machine.set(legacy, 0, 0x1005_1af4);
    assert_eq!(open(legacy), PciError::LegacyOnly);
    // A list without virtio capabilities is none: `disable-modern=on` in QEMU leaves MSI-X.
    machine.set(legacy, 4, 0x0010_0000);
    machine.set(legacy, 0x34, 0x40);
    machine.set(legacy, 0x40, 0x11);
    assert_eq!(open(legacy), PciError::LegacyOnly);
    assert_eq!(machine.take_writes(), []);

    let bare = machine.add(0, 4, 0);
    machine.set(bare, 0, 0x1050_1af4);
    assert_eq!(open(bare), PciError::MissingStructure(Structure::Common));
    assert_eq!(device.take(), []);
}

#[test]
fn a_transitional_device_is_driven_by_its_modern_interface() {
    let machine = Machine::new();
    let function = machine.add_gpu(0, 1);
    machine.set(function, 0, 0x1005_1af4);
    machine.set_register(function, 0x10, 1, 0xffff_ffe0); // the legacy I/O BAR, without an address
    let device = Device::new(&[0]);
    assert_eq!(device.open(&machine, function, None).unwrap().device_id(), DeviceId::ENTROPY);
}

/// Opens the GPU after a change to its configuration space.
fn changed(change: impl Fn(&Machine, FunctionAddress)) -> Result<(), PciError> {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    change(&machine, gpu);
    let device = Device::new(&[0, 1]);
    let answer = device.open(&machine, gpu, None).map(drop);
    if answer.is_err() {
        // Refused before anything was mapped or switched on.
        assert_eq!(device.maps.take(), []);
        assert_eq!(device.take(), []);
        assert_eq!(machine.get(gpu, 4) & 7, 0);
    }
    answer
}

#[test]
fn each_missing_structure_is_named() {
    for (at, structure) in [(0x40, Structure::Common), (0x50, Structure::Isr), (0x70, Structure::Notify)] {
        let missing = Err(PciError::MissingStructure(structure));
        // Of an unknown type.
        assert_eq!(changed(|machine, gpu| machine.set(gpu, at, machine.get(gpu, at) | 0xff00_0000)), missing);
        // In a BAR that is not implemented, in the upper half of one, in a reserved one.
        for bar in [0, 5, 6, 255] {
            assert_eq!(changed(|machine, gpu| machine.set(gpu, at + 4, bar)), missing);
        }
        // In I/O ports.
        let ports = changed(|machine, gpu| {
            machine.set_register(gpu, 0x10, 0xc001, 0xffff_ffc0);
            machine.set(gpu, at + 4, 0);
        });
        assert_eq!(ports, missing);
    }
}

#[test]
fn structures_outside_their_bar_are_named() {
    for (at, structure) in [
        (0x40, Structure::Common),
        (0x50, Structure::Isr),
        (0x60, Structure::Device),
        (0x70, Structure::Notify),
    ] {
        for offset in [0x4000, 0x8000_0000, 0xffff_fffc] {
            let outside = PciError::RegionOutsideBar { structure, bar: 4, offset: offset.into() };
            assert_eq!(changed(|machine, gpu| machine.set(gpu, at + 8, offset)), Err(outside));
        }
    }
    // It begins inside and what is needed runs out.
    let outside = PciError::RegionOutsideBar { structure: Structure::Common, bar: 4, offset: 0x3fcc };
    assert_eq!(changed(|machine, gpu| machine.set(gpu, 0x48, 0x3fcc)), Err(outside));
    assert_eq!(changed(|machine, gpu| machine.set(gpu, 0x48, 0x3fc8)), Ok(()));
}

// shows: pci.caps.6
#[test]
fn a_huge_length_is_cut_to_the_bar_and_a_short_one_named() {
    for at in [0x40, 0x50, 0x60, 0x70] {
        assert_eq!(changed(|machine, gpu| machine.set(gpu, at + 12, u32::MAX)), Ok(()));
    }
    for (at, structure, len) in
        [(0x40, Structure::Common, 0x37), (0x50, Structure::Isr, 0), (0x70, Structure::Notify, 1)]
    {
        let short = PciError::RegionTooShort { structure, len: len.into() };
        assert_eq!(changed(|machine, gpu| machine.set(gpu, at + 12, len)), Err(short));
    }
}

#[test]
fn alignment_is_asked_for_where_fields_need_it() {
    for (at, structure) in [(0x40, Structure::Common), (0x60, Structure::Device)] {
        assert_eq!(
            changed(|machine, gpu| machine.set(gpu, at + 8, 0x102)),
            Err(PciError::RegionMisaligned(structure))
        );
    }
    // One byte may be anywhere; a doorbell on an even address.
    assert_eq!(changed(|machine, gpu| machine.set(gpu, 0x58, 0x1003)), Ok(()));
    assert_eq!(changed(|machine, gpu| machine.set(gpu, 0x78, 0x3002)), Ok(()));
}

#[test]
fn bars_without_an_address_or_malformed_are_named() {
    let function = FunctionAddress::new(0, 1, 0).unwrap();
    let unassigned = |bar| Err(PciError::BarUnassigned { function, bar });
    let none = changed(|machine, gpu| machine.set_register(gpu, 0x20, 0xc, 0xffff_c000));
    assert_eq!(none, unassigned(4));
    // One that is not used would answer at address 0.
    assert_eq!(changed(|machine, gpu| machine.set_register(gpu, 0x14, 0, 0xffff_f000)), unassigned(1));
    let odd = changed(|machine, gpu| machine.set_register(gpu, 0x10, 6, 0xffff_f000));
    assert_eq!(odd, Err(PciError::MalformedBar { function, bar: 0 }));
}

#[test]
fn windows_are_checked_and_translated() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    let device = Device::new(&[0]);
    let outside = Windows { mem32: Some(Window::identity(0x1000_0000, 0x2000_0000)), ..Windows::default() };
    assert_eq!(
        device.open(&machine, gpu, Some(&outside)).unwrap_err(),
        PciError::BarOutsideWindow { function: gpu, bar: 4, address: 0x4000_0000, size: 0x4000 }
    );

    let cpu = virtio_core::PhysAddr::new(0x90_0000_0000);
    let inside =
        Windows { mem32: Some(Window { bus: 0x3000_0000, cpu, len: 0x2000_0000 }), ..Windows::default() };
    PciTransport::with_mapper(&machine, gpu, Some(&inside), |address, len| {
        device.map(0x90_1000_0000, address, len)
    })
    .unwrap();
    assert_eq!(device.maps.take()[0], (0, 0x40));
}

#[test]
fn a_mapping_that_fails_keeps_the_platforms_error() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    let device = Device::new(&[0]);
    for failing in 0..4 {
        let mut left = failing;
        let answer = PciTransport::with_mapper(&machine, gpu, None, |address, len| {
            if left == 0 {
                return Err(HalError::Other(7));
            }
            left -= 1;
            device.map(super::device::BAR, address, len)
        });
        assert_eq!(answer.unwrap_err(), PciError::Platform(HalError::Other(7)));
    }
}

#[test]
fn a_block_shorter_than_asked_for_is_named() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    let device = Device::new(&[0]);
    for failing in 0..4 {
        let mut count = 0;
        let answer = PciTransport::with_mapper(&machine, gpu, None, |address, len| {
            let short = if count == failing { 4 } else { 0 };
            count += 1;
            device.map(super::device::BAR, address, len - short)
        });
        assert_eq!(answer.unwrap_err(), PciError::Incompatible(Incompatible::RegistersTooShort));
        assert_eq!(count, failing + 1);
    }
}

/// A GPU with MSI-X left on, in a register with these writable bits.
fn with_msix(machine: &Machine, writable: u32) -> FunctionAddress {
    let gpu = machine.add_gpu(0, 1);
    machine.set(gpu, 0x34, 0x98);
    machine.set_register(gpu, 0x98, 0x8002_4011, writable);
    gpu
}

#[test]
fn msix_that_someone_left_on_is_switched_off() {
    let machine = Machine::new();
    let gpu = with_msix(&machine, 0xc000_0000);
    let device = Device::new(&[0]);
    device.open(&machine, gpu, None).unwrap();
    assert_eq!(machine.get(gpu, 0x98), 0x0002_4011);
    assert_eq!(machine.take_writes().last(), Some(&(gpu, 0x98, 0x0002_4011)));
}

#[test]
fn msix_that_stays_on_is_named() {
    let machine = Machine::new();
    let gpu = with_msix(&machine, 0);
    let device = Device::new(&[0]);
    assert_eq!(device.open(&machine, gpu, None).unwrap_err(), PciError::MsixRefused);
}

#[test]
fn a_function_that_does_not_decode_is_named() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    machine.set_register(gpu, 4, 0x0010_0000, 0);
    let device = Device::new(&[0]);
    assert_eq!(device.open(&machine, gpu, None).unwrap_err(), PciError::DecodeRefused);
}
