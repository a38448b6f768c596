//! MSI-X (PCI Local Bus 3.0 §6.8.2): switched off where someone left it on.

use crate::caps::find_id;
use crate::{ConfigAccess, FunctionAddress};

/// PCI's id for the MSI-X capability.
const MSIX: u8 = 0x11;
/// MSI-X Enable, in the first register of the capability.
const ENABLE: u32 = 1 << 31;

/// Switches MSI-X off; answers whether it is off. A function without the capability is not written to.
pub(crate) fn turn_off<A: ConfigAccess>(access: &A, function: FunctionAddress) -> bool {
    let Some(at) = find_id(|offset| access.read32(function, offset), MSIX) else {
        return true;
    };
    let value = access.read32(function, at);
    if value & ENABLE == 0 {
        return true;
    }
    access.write32(function, at, value & !ENABLE);
    access.read32(function, at) & ENABLE == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::Machine;

    /// A GPU whose list begins with an MSI-X capability that holds this and has these writable bits.
    fn with_msix(value: u32, writable: u32) -> (Machine, FunctionAddress) {
        let machine = Machine::new();
        let gpu = machine.add_gpu(0, 1);
        machine.set(gpu, 0x34, 0x98);
        machine.set_register(gpu, 0x98, value, writable);
        (machine, gpu)
    }

    #[test]
    fn the_enable_bit_alone_is_cleared() {
        let (machine, gpu) = with_msix(0xc002_4011, 0xc000_0000);
        assert!(turn_off(&machine, gpu));
        assert_eq!(machine.take_writes(), [(gpu, 0x98, 0x4002_4011)]);
        assert_eq!(machine.get(gpu, 0x98), 0x4002_4011);
    }

    #[test]
    fn what_is_off_or_absent_is_not_written() {
        for head in [0x4002_4011, 0x8002_4005] {
            let (machine, gpu) = with_msix(head, 0xc000_0000);
            assert!(turn_off(&machine, gpu));
            assert_eq!(machine.take_writes(), []);
        }
    }

    #[test]
    fn one_that_stays_on_is_seen() {
        let (machine, gpu) = with_msix(0x8002_4011, 0);
        assert!(!turn_off(&machine, gpu));
    }
}
