//! The MSI-X capability: where table and pending bits are, and the two switches (PCI Local Bus 3.0 §6.8.2.1 to 5).

use crate::caps::{Region, find_id};
use crate::{ConfigAccess, FunctionAddress};

/// PCI's id for the MSI-X capability.
const MSIX: u8 = 0x11;
/// MSI-X Enable, in the first register of the capability.
const ENABLE: u32 = 1 << 31;
/// Function Mask: nothing is signalled, whatever the entries say.
const MASK: u32 = 1 << 30;
/// Bytes of the capability.
const LEN: u16 = 12;
/// Bytes of a table entry; bits of the pending array have one for each entry, in units of 8 bytes.
const ENTRY: u64 = super::ENTRY;
const PENDING_WORD: u64 = 8;

/// A function's MSI-X capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Msix {
    /// Where it is in configuration space.
    at: u16,
    /// Entries of the table: 1 to 2048.
    pub(crate) size: u16,
}

impl Msix {
    /// The first MSI-X capability of the list, unless it is cut off.
    pub(crate) fn find<A: ConfigAccess>(access: &A, function: FunctionAddress) -> Option<Self> {
        let read = |offset| access.read32(function, offset);
        let at = find_id(read, MSIX).filter(|at| at.saturating_add(LEN) <= crate::caps::END)?;
        let [_, _, low, high] = read(at).to_le_bytes();
        let size = (u16::from_le_bytes([low, high]) & 0x7ff).saturating_add(1);
        Some(Self { at, size })
    }

    /// Where the table and its pending bits are said to be. Nothing is checked yet.
    pub(crate) fn regions<A: ConfigAccess>(&self, access: &A, function: FunctionAddress) -> [Region; 2] {
        let entries = u64::from(self.size);
        let pending = entries.div_ceil(64).saturating_mul(PENDING_WORD);
        [(4, entries.saturating_mul(ENTRY)), (8, pending)].map(|(offset, len)| {
            let word = access.read32(function, self.at.saturating_add(offset));
            let [bar, ..] = (word & 7).to_le_bytes();
            Region { bar, offset: u64::from(word & !7), len }
        })
    }

    /// Switches MSI-X on, mute or not; answers whether it is so.
    pub(crate) fn turn_on<A: ConfigAccess>(&self, access: &A, function: FunctionAddress, mute: bool) -> bool {
        let wanted = ENABLE | if mute { MASK } else { 0 };
        set(access, function, self.at, ENABLE | MASK, wanted) == wanted
    }

    /// Switches MSI-X off; answers whether it is off.
    pub(crate) fn turn_off<A: ConfigAccess>(&self, access: &A, function: FunctionAddress) -> bool {
        set(access, function, self.at, ENABLE | MASK, 0) & ENABLE == 0
    }
}

/// Switches MSI-X off that someone left on; answers whether it is off. A function without the capability is not written
/// to.
pub(crate) fn turn_off<A: ConfigAccess>(access: &A, function: FunctionAddress) -> bool {
    let at = find_id(|offset| access.read32(function, offset), MSIX);
    at.is_none_or(|at| set(access, function, at, ENABLE, 0) == 0)
}

/// Sets some bits to these values, where they are not; answers how they read then.
fn set<A: ConfigAccess>(access: &A, function: FunctionAddress, at: u16, bits: u32, wanted: u32) -> u32 {
    let value = access.read32(function, at);
    if value & bits == wanted {
        return wanted;
    }
    access.write32(function, at, value & !bits | wanted);
    access.read32(function, at) & bits
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
