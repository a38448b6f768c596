//! The expansion ROM's base address register (PCI Local Bus 3.0 §6.2.5.2): nothing here uses it, but what firmware left
//! on takes addresses.

use crate::bar::size;
use crate::header::{BRIDGE_ROM, ROM, undecoded};
use crate::{ConfigAccess, Function, Header};

/// The ROM answers at its address, as far as the function decodes memory.
const ENABLE: u32 = 1;
/// The writable bits of the address are among these.
const ADDRESS: u32 = !0x7ff;

/// The addresses of a ROM that is switched on: the first, and one past the last.
///
/// The register is sized, with decoding off meanwhile, and put back as it was.
pub(crate) fn rom<A: ConfigAccess>(access: &A, function: &Function) -> Option<(u64, u64)> {
    let at = match function.header {
        Header::Device => ROM,
        Header::Bridge => BRIDGE_ROM,
        Header::Other(_) => return None,
    };
    if access.read32(function.address, at) & ENABLE == 0 {
        return None;
    }
    let (value, mask) = undecoded(access, function.address, || size(access, function.address, at, ADDRESS));
    let (start, mask) = (u64::from(value & ADDRESS), mask & ADDRESS);
    let len = u64::from(mask.wrapping_neg());
    (len != 0).then(|| (start, start.saturating_add(len)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FunctionAddress;
    use crate::tests::machine::Machine;

    fn found(machine: &Machine, address: FunctionAddress) -> Option<(u64, u64)> {
        let function = Function::read(machine, address).unwrap();
        rom(machine, &function)
    }

    #[test]
    fn only_one_that_is_switched_on_counts() {
        let machine = Machine::new();
        let device = machine.add(0, 1, 0);
        machine.set(device, 4, 3);
        for (value, writable, range) in [
            (0x4000_0001, 0xfff0_0001, Some((0x4000_0000, 0x4010_0000))),
            (0xffff_f801, 0xffff_f801, Some((0xffff_f800, 0x1_0000_0000))),
            (0x4000_0000, 0xfff0_0001, None),
            (0x0000_0001, 0x0000_0001, None), // no address at all
        ] {
            machine.set_register(device, 0x30, value, writable);
            assert_eq!(found(&machine, device), range);
            assert_eq!((machine.get(device, 0x30), machine.get(device, 4)), (value, 3));
        }
    }

    #[test]
    fn a_bridge_has_it_elsewhere() {
        let machine = Machine::new();
        let node = machine.add_bridge(0, 1, [0, 1, 1]);
        machine.set_node(node, 0x30, 0x0001_0001, u32::MAX);
        assert_eq!(found(&machine, machine.address(node)), None);
        machine.set_node(node, 0x38, 0x5000_0001, 0xffff_0001);
        assert_eq!(found(&machine, machine.address(node)), Some((0x5000_0000, 0x5001_0000)));
    }
}
