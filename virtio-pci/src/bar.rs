//! Base address registers: decoding and sizing (PCI Local Bus 3.0 §6.2.5.1).

use crate::header::{BAR0, COMMAND_DECODE, command, set_command, undecoded};
use crate::{ConfigAccess, Function, FunctionAddress, Header, PciError};

/// Base address registers of a device.
pub const BARS: usize = 6;

/// What a BAR describes: one range of addresses that the function answers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BarInfo {
    /// Which BAR, 0 to 5. A 64-bit BAR takes this register and the next.
    pub index: u8,
    /// What kind of addresses.
    pub kind: BarKind,
    /// Whether reads have no side effects, so that a bridge may read ahead.
    pub prefetchable: bool,
    /// Address on the bus; 0 if none has been assigned.
    pub address: u64,
    /// Size in bytes: a power of two.
    pub size: u64,
}

/// Address space of a BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere.
    Memory64,
}

impl BarInfo {
    /// Whether firmware or an allocator has given it an address.
    #[must_use]
    pub const fn is_assigned(&self) -> bool {
        self.address != 0
    }

    /// Whether this is memory, not I/O ports.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.kind != BarKind::Io
    }
}

/// The BARs of a function, by index; `None` for one that is not implemented or is the upper half of the one before.
pub type Bars = [Option<BarInfo>; BARS];

/// Decodes and sizes the BARs of a function.
///
/// Sizing writes to the BARs. Decoding is switched off meanwhile, so the function's registers cannot be reached, and
/// everything is put back as it was. Do not use it on a function that a driver is using.
///
/// # Errors
/// [`PciError::MalformedBar`].
pub fn bars<A: ConfigAccess>(access: &A, function: &Function) -> Result<Bars, PciError> {
    match bars_and_error(access, function) {
        (bars, None) => Ok(bars),
        (_, Some(error)) => Err(error),
    }
}

/// As [`bars`], with what is in order beside the first error: one malformed BAR does not make the others' addresses free.
pub(crate) fn bars_and_error<A: ConfigAccess>(access: &A, function: &Function) -> (Bars, Option<PciError>) {
    let count = match function.header {
        Header::Device => 6,
        Header::Bridge => 2,
        Header::Other(_) => 0,
    };
    undecoded(access, function.address, || all(access, function.address, count))
}

fn all<A: ConfigAccess>(access: &A, function: FunctionAddress, count: u8) -> (Bars, Option<PciError>) {
    let mut bars = [None; BARS];
    let mut first_error = None;
    let mut upper_half = false;
    for (index, slot) in (0..count).zip(&mut bars) {
        if upper_half {
            upper_half = false;
            continue;
        }
        let found = one(access, function, index, count);
        upper_half = found.wide;
        match found.info {
            Ok(info) => *slot = info,
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    (bars, first_error)
}

/// One BAR, and whether it takes two registers (an unused or malformed one may, too).
struct Found {
    info: Result<Option<BarInfo>, PciError>,
    wide: bool,
}

fn one<A: ConfigAccess>(access: &A, function: FunctionAddress, index: u8, count: u8) -> Found {
    let malformed = PciError::MalformedBar { function, bar: index };
    let (low, low_mask) = size(access, function, register(index), u32::MAX);
    let wide = low & 7 == 4;
    let found = |info| Found { info, wide };
    if low_mask == 0 {
        return found(Ok(None));
    }
    let (kind, prefetchable, address, mask) = if low & 1 != 0 {
        // Devices may leave the upper half of an I/O BAR out: no machine needs it.
        let mask = low_mask & !3;
        if mask == 0 {
            return found(Ok(None));
        }
        let mask = if mask >> 16 == 0 { mask | 0xffff_0000 } else { mask };
        (BarKind::Io, false, u64::from(low & !3), ones_above(mask))
    } else {
        let (address, mask) = (u64::from(low & !0xf), low_mask & !0xf);
        match low >> 1 & 3 {
            // 1 is the former "below 1 MiB": as good as below 4 GiB.
            0 | 1 => (BarKind::Memory32, low & 8 != 0, address, ones_above(mask)),
            2 if index.saturating_add(1) < count => {
                let (high, high_mask) = size(access, function, register(index.saturating_add(1)), u32::MAX);
                let mask = u64::from(high_mask) << 32 | u64::from(mask);
                (BarKind::Memory64, low & 8 != 0, u64::from(high) << 32 | address, mask)
            }
            _ => return found(Err(malformed)),
        }
    };
    // All writable bits are the ones that the device does not decode itself: two's complement gives the size.
    let bytes = mask.wrapping_neg();
    let unused = mask == 0 || (!wide && bytes == 1 << 32);
    if unused {
        return found(Ok(None));
    }
    if !bytes.is_power_of_two() || address & bytes.wrapping_sub(1) != 0 {
        return found(Err(malformed));
    }
    found(Ok(Some(BarInfo { index, kind, prefetchable, address, size: bytes })))
}

/// A 32-bit mask as if the BAR had 64 bits.
fn ones_above(mask: u32) -> u64 {
    0xffff_ffff_0000_0000 | u64::from(mask)
}

/// What a register holds, and what it reads when `ones` are written.
pub(crate) fn size<A: ConfigAccess>(access: &A, function: FunctionAddress, at: u16, ones: u32) -> (u32, u32) {
    let value = access.read32(function, at);
    access.write32(function, at, ones);
    let mask = access.read32(function, at);
    access.write32(function, at, value);
    (value, mask)
}

fn register(index: u8) -> u16 {
    BAR0.saturating_add(u16::from(index).saturating_mul(4))
}

/// Gives a BAR its address, or takes it away again if the BAR does not keep it; answers which.
///
/// A device does not decode afterwards. A bridge does as before: whatever is behind it depends on that.
pub(crate) fn assign<A: ConfigAccess>(access: &A, function: &Function, bar: &BarInfo, address: u64) -> bool {
    let place = function.address;
    let before = command(access, place);
    set_command(access, place, before & !COMMAND_DECODE);
    let kept = put(access, place, bar, address);
    if !kept {
        put(access, place, bar, 0);
    }
    if function.header == Header::Bridge {
        set_command(access, place, before);
    }
    kept
}

/// Writes the address of a BAR; answers whether it reads back.
fn put<A: ConfigAccess>(access: &A, function: FunctionAddress, bar: &BarInfo, address: u64) -> bool {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let at = register(bar.index);
    access.write32(function, at, low);
    let flags = if bar.kind == BarKind::Io { 3 } else { 0xf };
    let low_kept = access.read32(function, at) & !flags == low;
    if bar.kind != BarKind::Memory64 {
        return low_kept;
    }
    let at = at.saturating_add(4);
    access.write32(function, at, high);
    low_kept && access.read32(function, at) == high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::Machine;

    /// Sizes one BAR whose registers hold these values and have these writable bits.
    fn sized(low: u32, low_mask: u32, high: u32, high_mask: u32) -> Result<Bars, PciError> {
        let machine = Machine::new();
        let address = machine.add(0, 1, 0);
        machine.set_register(address, 0x10, low, low_mask);
        machine.set_register(address, 0x14, high, high_mask);
        machine.set(address, 4, 0x0010_0007);
        let function = Function::read(&machine, address).unwrap();
        let answer = bars(&machine, &function);
        // Put back, with decoding off in between, and no status bit written with 1.
        assert_eq!((machine.get(address, 0x10), machine.get(address, 0x14)), (low, high));
        assert_eq!(machine.get(address, 4), 0x0010_0007);
        let writes = machine.take_writes();
        assert_eq!(writes.first(), Some(&(address, 4, 4)));
        assert_eq!(writes.last(), Some(&(address, 4, 7)));
        answer
    }

    fn info(kind: BarKind, prefetchable: bool, address: u64, size: u64) -> Option<BarInfo> {
        Some(BarInfo { index: 0, kind, prefetchable, address, size })
    }

    #[test]
    fn kinds_and_sizes() {
        let first = |low, low_mask, high, high_mask| sized(low, low_mask, high, high_mask).unwrap()[0];
        assert_eq!(first(0, 0, 0, 0), None);
        assert_eq!(
            first(0xfe00_0000, 0xffff_f000, 0, 0),
            info(BarKind::Memory32, false, 0xfe00_0000, 0x1000)
        );
        assert_eq!(first(8, 0xfff0_0000, 0, 0), info(BarKind::Memory32, true, 0, 0x10_0000));
        assert_eq!(first(2, 0xffff_fff0, 0, 0), info(BarKind::Memory32, false, 0, 16));
        assert_eq!(
            first(0x4000_000c, 0xffff_c000, 0x80, u32::MAX),
            info(BarKind::Memory64, true, 0x80_4000_0000, 0x4000)
        );
        assert_eq!(first(4, 0, 8, 0xffff_fff8), info(BarKind::Memory64, false, 8 << 32, 8 << 32));
        assert_eq!(first(0xc041, 0xffff_ffc0, 0, 0), info(BarKind::Io, false, 0xc040, 0x40));
        assert_eq!(first(0x1001, 0xff80, 0, 0), info(BarKind::Io, false, 0x1000, 0x80));
        // No bit of the address can be set: not implemented, whatever the low bits say.
        assert_eq!(first(1, 0, 0, 0), None);
        assert_eq!(first(3, 0, 0, 0), None);
        assert_eq!(first(8, 0, 0, 0), None);
    }

    #[test]
    fn the_upper_half_is_no_bar_of_its_own() {
        let all = sized(0xc, 0xffff_0000, 0x1000, 0xffff_f000);
        assert_eq!(
            all,
            Err(PciError::MalformedBar { function: FunctionAddress::new(0, 1, 0).unwrap(), bar: 0 })
        );
        let all = sized(0xc, 0xffff_0000, 0, u32::MAX).unwrap();
        assert!(all[0].is_some());
        assert!(all[1..].iter().all(Option::is_none));
    }

    #[test]
    fn formats_that_do_not_exist_are_named() {
        let malformed = PciError::MalformedBar { function: FunctionAddress::new(0, 1, 0).unwrap(), bar: 0 };
        assert_eq!(sized(6, 0xffff_f000, 0, 0), Err(malformed)); // reserved type
        assert_eq!(sized(0, 0xf0f0_f000, 0, 0), Err(malformed)); // size is no power of two
        assert_eq!(sized(4, 0xffff_f000, 0, 0), Err(malformed)); // upper half without bits
    }

    #[test]
    fn a_malformed_bar_hides_no_other() {
        let machine = Machine::new();
        let address = machine.add(0, 1, 0);
        machine.set_register(address, 0x10, 0xfe00_0000, 0xffff_f000);
        machine.set_register(address, 0x14, 6, 0xffff_f000);
        machine.set_register(address, 0x18, 4, 0xf0f0_f000); // 64 bits: 0x1c is its upper half
        machine.set_register(address, 0x1c, 0, u32::MAX);
        machine.set_register(address, 0x20, 0xfe10_0000, 0xffff_f000);
        let function = Function::read(&machine, address).unwrap();
        let (found, error) = bars_and_error(&machine, &function);
        assert_eq!(
            found.map(|bar| bar.map(|bar| bar.address)).map(Option::unwrap_or_default),
            [0xfe00_0000, 0, 0, 0, 0xfe10_0000, 0]
        );
        let malformed = PciError::MalformedBar { function: address, bar: 1 };
        assert_eq!(error, Some(malformed));
        assert_eq!(bars(&machine, &function), Err(malformed));
    }

    #[test]
    fn a_64_bit_bar_needs_two_registers() {
        let machine = Machine::new();
        let address = machine.add(0, 1, 0);
        machine.set_register(address, 0x24, 4, 0xffff_f000);
        let function = Function::read(&machine, address).unwrap();
        assert_eq!(bars(&machine, &function), Err(PciError::MalformedBar { function: address, bar: 5 }));
    }

    #[test]
    fn a_bridge_has_two() {
        let machine = Machine::new();
        machine.add_bridge(0, 1, [0, 1, 1]);
        let address = FunctionAddress::new(0, 1, 0).unwrap();
        machine.set_register(address, 0x14, 0, 0xffff_f000);
        let function = Function::read(&machine, address).unwrap();
        let found = bars(&machine, &function).unwrap();
        assert!(found.iter().enumerate().all(|(index, bar)| bar.is_some() == (index == 1)));
    }
}
