//! A transitional device as QEMU 7.2 shows it, and its ports.

use crate::tests::bench::Bench;
use crate::tests::machine::Machine;
use crate::{FunctionAddress, LegacyTransport};

pub(super) const PORT: u32 = 0xc040;
pub(super) const LEN: usize = 0x40;

/// An entropy source with an I/O BAR of 64 bytes and, for the modern interface, a 64-bit memory BAR.
pub(super) fn add(machine: &Machine) -> FunctionAddress {
    let rng = machine.add(0, 2, 0);
    machine.set(rng, 0x00, 0x1005_1af4);
    machine.set(rng, 0x08, 0x00ff_0000);
    machine.set(rng, 0x2c, 0x0004_1af4);
    machine.set_register(rng, 0x10, PORT | 1, 0xffff_ffc0);
    machine.set_register(rng, 0x20, 0x4000_000c, 0xffff_c000);
    machine.set_register(rng, 0x24, 0, u32::MAX);
    rng
}

/// Gives a function the common capability of the modern interface.
pub(super) fn make_modern(machine: &Machine, function: FunctionAddress) {
    machine.set_register(function, 0x04, 0x0010_0000, 0x407);
    machine.set(function, 0x34, 0x40);
    for (at, value) in [(0x40, 0x0110_0009), (0x44, 4), (0x48, 0), (0x4c, 0x1000)] {
        machine.set(function, at, value);
    }
}

/// Gives a function an MSI-X capability, switched on or not, and nothing else on the list.
pub(super) fn give_msix(machine: &Machine, function: FunctionAddress, enable: u32, writable: u32) {
    machine.set_register(function, 0x04, 0x0010_0000, 0x407);
    machine.set(function, 0x34, 0x98);
    machine.set_register(function, 0x98, enable | 0x0001_0011, writable);
}

pub(super) fn ports() -> Bench {
    Bench::sized(LEN)
}

/// Runs a test on the device, whose registers are `ports`.
pub(super) fn with<T>(
    ports: &Bench,
    test: impl FnOnce(&mut LegacyTransport<&Bench, &Machine>, &Machine, FunctionAddress) -> T,
) -> T {
    let machine = Machine::new();
    let rng = add(&machine);
    let mut transport = LegacyTransport::with_mapper(&machine, rng, None, |_| Ok(ports)).unwrap();
    assert_eq!(ports.take(), [], "nothing is touched before the driver starts");
    machine.take_writes();
    test(&mut transport, &machine, rng)
}
