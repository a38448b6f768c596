//! Configuration space through x86 I/O ports (PCI Local Bus 3.0 §3.2.2.3.2).

use virtio_core::regs::Registers;

use super::{CONVENTIONAL, ConfigAccess};
use crate::FunctionAddress;

/// Port 0xCF8, as an offset in the window.
const ADDRESS: usize = 0;
/// Port 0xCFC.
const DATA: usize = 4;
const ENABLE: u32 = 1 << 31;

/// The ports 0xCF8 (address) and 0xCFC (data), as a window of 8 bytes of registers: offset 0 is port 0xCF8.
///
/// Only the first 256 bytes of a function's configuration space exist here; all that this crate needs lies there.
///
/// **One access is two port accesses.** Nothing else in the machine may use the two ports in between: no interrupt
/// handler, no other CPU, no firmware service. A kernel that cannot promise this wraps its own lock around each access:
/// implement [`ConfigAccess`] for the lock, and call this value inside it. The promise is needed for as long as any transport lives: it
/// uses configuration space when its device comes up, when it is cut off, and when it is dropped.
#[derive(Debug)]
pub struct LegacyPorts<R: Registers> {
    ports: R,
}

impl<R: Registers> LegacyPorts<R> {
    /// Uses a window of 8 bytes over the ports from 0xCF8 on: on x86 `PortRegs::new(0xcf8, 8)` of
    /// [`virtio_core::regs`].
    #[must_use]
    pub const fn new(ports: R) -> Self {
        Self { ports }
    }

    /// Selects a register; answers whether it can exist.
    fn select(&self, function: FunctionAddress, offset: u16) -> bool {
        let exists = offset < CONVENTIONAL && offset % 4 == 0;
        if exists {
            self.ports.write32(ADDRESS, ENABLE | u32::from(function.number()) << 8 | u32::from(offset));
        }
        exists
    }
}

impl<R: Registers> ConfigAccess for LegacyPorts<R> {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        if self.select(function, offset) { self.ports.read32(DATA) } else { u32::MAX }
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        if self.select(function, offset) {
            self.ports.write32(DATA, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::{Bench, r, w};

    #[test]
    fn address_then_data() {
        let access = LegacyPorts::new(Bench::sized(8));
        access.ports.set(4, 0x1050_1af4);
        let function = FunctionAddress::new(2, 3, 1).unwrap();
        assert_eq!(access.read32(function, 0x3c), 0x1050_1af4);
        access.write32(function, 4, 6);
        assert_eq!(access.ports.take(), [w(0, 0x8002_193c), r(4), w(0, 0x8002_1904), w(4, 6)]);
    }

    #[test]
    fn extended_space_does_not_exist() {
        let access = LegacyPorts::new(Bench::sized(8));
        let function = FunctionAddress::new(0, 0, 0).unwrap();
        for offset in [256, 1, 2, 3, 0xfffc] {
            assert_eq!(access.read32(function, offset), u32::MAX);
            access.write32(function, offset, 0);
        }
        assert_eq!(access.ports.take(), []);
    }
}
