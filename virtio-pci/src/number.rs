//! Bus numbers for bridges, on machines without firmware.

use crate::header::{bus_numbers, set_bus_numbers};
use crate::walk::BusSet;
use crate::{ConfigAccess, FunctionAddress, Header, PciError, functions_on, walk};

/// How deep bridges may be nested.
pub(crate) const MAX_DEPTH: u8 = 16;

/// Gives every bridge below bus `root` its bus numbers, depth first, up to `last`; answers the highest bus in use.
///
/// Where firmware has numbered all bridges already, nothing is written. Otherwise all are numbered anew: call this before
/// any device below a bridge is in use. `last` is the last bus that the configuration access reaches (a device tree's
/// `bus-range`, or the size of the ECAM window in MiB, less one).
///
/// # Errors
/// [`PciError::TooManyBuses`] and [`PciError::TooDeep`]: what lies behind the bridge named there stays unreachable, and
/// so do bridges not yet numbered.
pub fn number_buses<A: ConfigAccess>(access: &A, root: u8, last: u8) -> Result<u8, PciError> {
    if let Some(highest) = numbered(access, root) {
        return Ok(highest);
    }
    let mut highest = root;
    number_below(access, root, &mut highest, last, 0)?;
    Ok(highest)
}

/// The highest bus, if every bridge has plausible numbers and no two share a bus.
fn numbered<A: ConfigAccess>(access: &A, root: u8) -> Option<u8> {
    let mut taken = BusSet::default();
    taken.insert(root);
    let mut highest = root;
    for bridge in walk(access, root).filter(|function| function.header == Header::Bridge) {
        let [primary, secondary, subordinate] = bus_numbers(access, bridge.address);
        let own = bridge.address.bus();
        if primary != own || secondary <= own || subordinate < secondary || !taken.insert(secondary) {
            return None;
        }
        highest = highest.max(subordinate);
    }
    Some(highest)
}

fn number_below<A: ConfigAccess>(
    access: &A,
    bus: u8,
    highest: &mut u8,
    last: u8,
    depth: u8,
) -> Result<(), PciError> {
    let bridges = || functions_on(access, bus).filter(|function| function.header == Header::Bridge);
    // What one bridge still holds may name the bus that its neighbour is about to get: take all away first.
    for bridge in bridges() {
        set_bus_numbers(access, bridge.address, [0; 3]);
    }
    for bridge in bridges() {
        number_one(access, bridge.address, highest, last, depth)?;
    }
    Ok(())
}

fn number_one<A: ConfigAccess>(
    access: &A,
    bridge: FunctionAddress,
    highest: &mut u8,
    last: u8,
    depth: u8,
) -> Result<(), PciError> {
    if depth >= MAX_DEPTH {
        return Err(PciError::TooDeep(bridge));
    }
    let secondary =
        highest.checked_add(1).filter(|&bus| bus <= last).ok_or(PciError::TooManyBuses(bridge))?;
    *highest = secondary;
    // While its buses are being counted, the bridge forwards to all that are left.
    set_bus_numbers(access, bridge, [bridge.bus(), secondary, last]);
    let below = number_below(access, secondary, highest, last, depth.saturating_add(1));
    set_bus_numbers(access, bridge, [bridge.bus(), secondary, *highest]);
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::Machine;

    /// A root bus with two bridges, one of which has another behind it. Behind a bridge without a number nothing
    /// answers: the machine routes by the numbers, as a real one does.
    fn tree() -> Machine {
        let machine = Machine::new();
        let first = machine.add_bridge(0, 1, [0; 3]);
        let inner = machine.add_bridge_behind(first, 0);
        machine.add_behind(inner, 5);
        let second = machine.add_bridge(0, 2, [0; 3]);
        machine.add_behind(second, 0);
        machine
    }

    #[test]
    fn depth_first_with_exact_ranges() {
        let machine = tree();
        assert_eq!(walk(&machine, 0).count(), 2);
        assert_eq!(number_buses(&machine, 0, 255), Ok(3));
        let numbers = |bus, device| bus_numbers(&machine, FunctionAddress::new(bus, device, 0).unwrap());
        assert_eq!(numbers(0, 1), [0, 1, 2]);
        assert_eq!(numbers(1, 0), [1, 2, 2]);
        assert_eq!(numbers(0, 2), [0, 3, 3]);
        assert_eq!(walk(&machine, 0).count(), 5);
    }

    #[test]
    fn what_firmware_numbered_is_left_alone() {
        let machine = tree();
        number_buses(&machine, 0, 255).unwrap();
        machine.take_writes();
        assert_eq!(number_buses(&machine, 0, 255), Ok(3));
        assert_eq!(machine.take_writes(), []);
    }

    #[test]
    fn buses_run_out_by_name() {
        let machine = tree();
        let second = FunctionAddress::new(0, 2, 0).unwrap();
        assert_eq!(number_buses(&machine, 0, 2), Err(PciError::TooManyBuses(second)));
    }

    #[test]
    fn nesting_is_bounded() {
        /// Behind every bridge there is another.
        struct Endless(core::cell::RefCell<[u32; 256]>);
        impl ConfigAccess for Endless {
            fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
                if function.device() != 0 || function.function() != 0 {
                    return u32::MAX;
                }
                match offset {
                    0x0c => 1 << 16,
                    0x18 => self.0.borrow()[usize::from(function.bus())],
                    _ => 0,
                }
            }
            fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
                if offset == 0x18 {
                    self.0.borrow_mut()[usize::from(function.bus())] = value;
                }
            }
        }
        let endless = Endless([0; 256].into());
        let deepest = FunctionAddress::new(MAX_DEPTH, 0, 0).unwrap();
        assert_eq!(number_buses(&endless, 0, 255), Err(PciError::TooDeep(deepest)));
    }
}
