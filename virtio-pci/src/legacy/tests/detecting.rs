//! Which interfaces a function has, and what type of device it is.

use virtio_core::{DeviceId, Transport};

use super::device::{add, give_msix, make_modern, ports};
use crate::tests::machine::Machine;
use crate::{Function, Interfaces, LegacyTransport, PciError};

fn interfaces(machine: &Machine, address: crate::FunctionAddress) -> Option<Interfaces> {
    let found = Interfaces::of(machine, &Function::read(machine, address).unwrap());
    assert_eq!(machine.take_writes(), []);
    found
}

// shows: pci.op.init.layout-detection.legacy.1, pci.op.init.layout-detection.legacy.2
#[test]
fn virtio_capabilities_tell_a_transitional_device_from_a_legacy_one() {
    let machine = Machine::new();
    let rng = add(&machine);
    assert_eq!(interfaces(&machine, rng), Some(Interfaces::Legacy));
    // A list without a virtio capability: QEMU's `disable-modern=on`.
    give_msix(&machine, rng, 0, 0);
    assert_eq!(interfaces(&machine, rng), Some(Interfaces::Legacy));
    make_modern(&machine, rng);
    assert_eq!(interfaces(&machine, rng), Some(Interfaces::Both));
    // A later revision has no legacy interface.
    machine.set(rng, 0x08, 0x00ff_0001);
    assert_eq!(interfaces(&machine, rng), Some(Interfaces::Modern));
    let refused = LegacyTransport::with_mapper(&machine, rng, None, |_| Ok(ports())).map(drop);
    assert_eq!(refused, Err(PciError::ModernOnly { device: 0x1005, revision: 1 }));
}

#[test]
fn modern_only_devices_are_refused_by_name() {
    let machine = Machine::new();
    let gpu = machine.add_gpu(0, 1);
    assert_eq!(interfaces(&machine, gpu), Some(Interfaces::Modern));
    let refused = LegacyTransport::with_mapper(&machine, gpu, None, |_| Ok(ports())).map(drop);
    assert_eq!(refused, Err(PciError::ModernOnly { device: 0x1050, revision: 1 }));
    assert_eq!(machine.take_writes(), []);
}

#[test]
fn others_are_no_virtio_devices() {
    for ids in [0x1040_1af4, 0x1080_1af4, 0x0fff_1af4, 0x1005_1af5, 0x1110_1af4] {
        let machine = Machine::new();
        let other = add(&machine);
        machine.set(other, 0, ids);
        assert_eq!(interfaces(&machine, other), None);
        let refused = LegacyTransport::with_mapper(&machine, other, None, |_| Ok(ports())).map(drop);
        let [a, b, c, d] = ids.to_le_bytes();
        let (vendor, device) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        assert_eq!(refused, Err(PciError::NotVirtio { vendor, device }));
    }
    let machine = Machine::new();
    let nobody = crate::FunctionAddress::new(0, 9, 0).unwrap();
    let refused = LegacyTransport::with_mapper(&machine, nobody, None, |_| Ok(ports())).map(drop);
    assert_eq!(refused, Err(PciError::NotPresent(nobody)));
}

#[test]
fn the_subsystem_names_types_that_have_no_transitional_id() {
    for (ids, subsystem, expected) in [
        (0x1005_1af4, 0x0004_1af4, Some(DeviceId::ENTROPY)),
        (0x1000_1af4, 0xffff_1af4, Some(DeviceId::NET)), // the list has the first word
        (0x1012_1af4, 0x0013_1af4, Some(DeviceId::new(19))),
        (0x1012_1af4, 0x0000_1af4, None),
        (0x1012_1af4, 0xffff_ffff, None),
    ] {
        let machine = Machine::new();
        let device = add(&machine);
        machine.set(device, 0, ids);
        machine.set(device, 0x2c, subsystem);
        let found = LegacyTransport::with_mapper(&machine, device, None, |_| Ok(ports()));
        assert_eq!(found.ok().map(|transport| transport.device_id()), expected, "{ids:#x} {subsystem:#x}");
        assert_eq!(interfaces_are_known(&machine, device), expected.is_some());
    }
}

fn interfaces_are_known(machine: &Machine, address: crate::FunctionAddress) -> bool {
    machine.take_writes();
    interfaces(machine, address).is_some()
}
