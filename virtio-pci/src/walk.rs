//! Finding functions: on one bus, and through bridges.

use crate::function::read_with_multi;
use crate::header::bus_numbers;
use crate::{ConfigAccess, Function, FunctionAddress, Header};

/// The functions on one bus, in order of their numbers.
#[derive(Debug)]
pub struct BusFunctions<A> {
    access: A,
    bus: u8,
    /// Device and function number of the next candidate; 256 at the end.
    next: u16,
    /// Whether the device at hand has functions besides 0.
    multi: bool,
}

/// The functions on bus `bus`.
pub fn functions_on<A: ConfigAccess>(access: A, bus: u8) -> BusFunctions<A> {
    BusFunctions { access, bus, next: 0, multi: false }
}

impl<A: ConfigAccess> Iterator for BusFunctions<A> {
    type Item = Function;

    fn next(&mut self) -> Option<Function> {
        loop {
            let slot = u8::try_from(self.next).ok()?;
            self.next = self.next.saturating_add(1);
            let address = FunctionAddress::from_number(u16::from_be_bytes([self.bus, slot]));
            let first = address.function() == 0;
            if !first && !self.multi {
                continue;
            }
            let found = read_with_multi(&self.access, address);
            if first {
                self.multi = found.is_some_and(|(_, multi)| multi);
            }
            if let Some((function, _)) = found {
                return Some(function);
            }
        }
    }
}

/// Every function reachable from one root bus, bridges included.
///
/// Buses are visited in ascending order as bridges name them, each at most once, so a walk ends whatever the bridges
/// say. A bridge whose secondary bus has no number leads nowhere: see [`number_buses`](crate::number_buses).
#[derive(Debug)]
pub struct Walk<A> {
    bus: BusFunctions<A>,
    pending: BusSet,
    seen: BusSet,
}

/// Walks from bus `root` (0 on nearly every machine) down.
pub fn walk<A: ConfigAccess>(access: A, root: u8) -> Walk<A> {
    let mut seen = BusSet::default();
    seen.insert(root);
    Walk { bus: functions_on(access, root), pending: BusSet::default(), seen }
}

impl<A: ConfigAccess> Iterator for Walk<A> {
    type Item = Function;

    fn next(&mut self) -> Option<Function> {
        loop {
            if let Some(function) = self.bus.next() {
                if function.header == Header::Bridge {
                    let [_, secondary, _] = bus_numbers(&self.bus.access, function.address);
                    if secondary != 0 && self.seen.insert(secondary) {
                        self.pending.insert(secondary);
                    }
                }
                return Some(function);
            }
            self.bus.bus = self.pending.take_lowest()?;
            self.bus.next = 0;
        }
    }
}

/// A set of bus numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BusSet([u128; 2]);

impl BusSet {
    /// Adds a bus; answers whether it is new.
    pub(crate) fn insert(&mut self, bus: u8) -> bool {
        let [low, high] = &mut self.0;
        let half = if bus < 128 { low } else { high };
        let bit = 1 << (bus & 127);
        let new = *half & bit == 0;
        *half |= bit;
        new
    }

    fn take_lowest(&mut self) -> Option<u8> {
        let [low, high] = &mut self.0;
        let (half, base) = if *low != 0 { (low, 0) } else { (high, 128) };
        if *half == 0 {
            return None;
        }
        let bit = half.trailing_zeros();
        *half &= half.wrapping_sub(1);
        u8::try_from(bit).ok().map(|bit| base | bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::Machine;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    fn found(machine: &Machine, root: u8) -> Vec<String> {
        walk(machine, root).map(|function| function.address.to_string()).collect()
    }

    #[test]
    fn functions_beyond_0_only_of_multi_function_devices() {
        let machine = Machine::new();
        for (device, function) in [(0, 0), (1, 0), (1, 3), (2, 0), (2, 7), (3, 1), (31, 0)] {
            machine.add(0, device, function);
        }
        machine.set_multi_function(FunctionAddress::new(0, 2, 0).unwrap());
        // 01.3: device 1 has one function. 03.1: without function 0 there is no device.
        assert_eq!(found(&machine, 0), ["00:00.0", "00:01.0", "00:02.0", "00:02.7", "00:1f.0"]);
    }

    #[test]
    fn bridges_are_followed_to_any_depth() {
        let machine = Machine::new();
        machine.add_bridge(0, 1, [0, 1, 3]);
        machine.add_bridge(1, 0, [1, 2, 3]);
        machine.add_bridge(2, 0, [2, 3, 3]);
        machine.add(3, 4, 0);
        machine.add(0, 2, 0);
        machine.add(200, 0, 0);
        machine.add_bridge(0, 3, [0, 200, 200]);
        assert_eq!(
            found(&machine, 0),
            ["00:01.0", "00:02.0", "00:03.0", "01:00.0", "02:00.0", "03:04.0", "c8:00.0"]
        );
        assert_eq!(found(&machine, 2), ["02:00.0", "03:04.0"]);
    }

    #[test]
    fn bridges_that_lie_do_not_make_a_loop() {
        let machine = Machine::new();
        machine.add_bridge(0, 1, [0, 1, 1]);
        machine.add_bridge(1, 0, [1, 1, 1]); // to its own bus
        machine.add_bridge(1, 1, [1, 0, 0]); // without a number
        machine.add_bridge(0, 2, [0, 1, 1]); // the same bus once more
        assert_eq!(found(&machine, 0), ["00:01.0", "00:02.0", "01:00.0", "01:01.0"]);
    }

    #[test]
    fn a_bus_that_answers_everywhere_is_walked_once() {
        // Every function is a bridge to every other bus: 256 buses of 256 functions.
        struct Everything;
        impl ConfigAccess for Everything {
            fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
                let [_, slot] = function.number().to_be_bytes();
                if offset == 0x18 { u32::from(slot) << 8 } else { 0x0081_0000 }
            }
            fn write32(&self, _: FunctionAddress, _: u16, _: u32) {}
        }
        assert_eq!(walk(Everything, 0).count(), 65536);
    }

    #[test]
    fn every_bus_number_fits_the_set() {
        let mut set = BusSet::default();
        for bus in 0..=u8::MAX {
            assert!(set.insert(bus));
            assert!(!set.insert(bus));
        }
        let all: Vec<u8> = core::iter::from_fn(|| set.take_lowest()).collect();
        assert!(all.into_iter().eq(0..=u8::MAX));
    }
}
