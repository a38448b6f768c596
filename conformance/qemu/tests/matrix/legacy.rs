//! Which interface a PCI function has: the legacy one, the modern one, or both.

use std::sync::Arc;

use qemu_bench::{Device, Machine, PciLegacy, PciModern, QtestRegs, Space, Way};
use virtio::Transport;
use virtio::pci::{Function, Interfaces, LegacyTransport, PciError, PciTransport};

/// What the function says it has.
fn interfaces(machine: &Machine, device: &Device) -> Interfaces {
    let function = Function::read(machine.config(), device.place.function()).unwrap();
    Interfaces::of(machine.config(), &function).unwrap()
}

fn open_modern(machine: &Machine, device: &Device) -> Result<(), PciError> {
    let windows = &machine.options().board.pci.windows;
    PciTransport::with_mapper(machine.config(), device.place.function(), Some(windows), |address, len| {
        Ok(QtestRegs::new(Arc::clone(machine.qtest()), Space::Memory, address.get(), len))
    })
    .map(drop)
}

fn open_legacy(machine: &Machine, device: &Device) -> Result<(), PciError> {
    let windows = &machine.options().board.pci.windows;
    LegacyTransport::with_mapper(machine.config(), device.place.function(), Some(windows), |range| {
        Ok(QtestRegs::new(Arc::clone(machine.qtest()), Space::Ports, range.port.into(), range.len))
    })
    .map(drop)
}

/// A transitional device has both, and is driven as either, one after the other.
pub(crate) fn transitional(machine: &Machine, device: &Device) {
    assert_eq!(interfaces(machine, device), Interfaces::Both);
    crate::rng::polled::<PciModern>(machine, device);
    crate::rng::polled::<PciLegacy>(machine, device);
    crate::rng::polled::<PciModern>(machine, device);
}

/// A device with the legacy interface alone is refused as a modern one, by name.
pub(crate) fn legacy_alone(machine: &Machine, device: &Device) {
    assert_eq!(interfaces(machine, device), Interfaces::Legacy);
    assert!(matches!(open_modern(machine, device), Err(PciError::LegacyOnly)));
    crate::rng::polled::<PciLegacy>(machine, device);
}

/// And the other way round.
pub(crate) fn modern_alone(machine: &Machine, device: &Device) {
    assert_eq!(interfaces(machine, device), Interfaces::Modern);
    assert!(matches!(open_legacy(machine, device), Err(PciError::ModernOnly { .. })));
    crate::rng::polled::<PciModern>(machine, device);
}

/// The size of a queue is the device's: QEMU has 8 for entropy, 256 for a disk.
pub(crate) fn dictated_sizes(machine: &Machine, device: &Device) {
    let mut transport = PciLegacy::open(machine, device);
    assert!(transport.dictates_queue_size());
    let size = transport.queue_max_size(virtio::QueueIndex::new(0));
    assert_eq!(size, if device.kind == qemu_bench::Kind::Blk { 256 } else { 8 });
}
