//! Memory-mapped configuration space (PCI Express 5.0 §7.2.2).

use virtio_core::regs::{Mapped, Registers};
use virtio_core::{Hal, HalError, MmioKind, PhysAddr};

use super::{ConfigAccess, EXTENDED};
use crate::FunctionAddress;

/// The Enhanced Configuration Access Mechanism: 4 KiB for each function, 1 MiB for each bus, in one window of registers.
///
/// The window may be of any size. What lies beyond it answers all ones, so a walk sees just the buses that fit.
#[derive(Debug)]
pub struct Ecam<R: Registers> {
    regs: R,
    first_bus: u8,
}

impl<R: Registers> Ecam<R> {
    /// Uses a mapped window whose first byte belongs to bus `first_bus` (0 on nearly every machine; a device tree says
    /// otherwise in `bus-range`).
    #[must_use]
    pub const fn new(regs: R, first_bus: u8) -> Self {
        Self { regs, first_bus }
    }

    /// Where a register is in the window, if the window reaches that far.
    fn at(&self, function: FunctionAddress, offset: u16) -> Option<usize> {
        if offset >= EXTENDED || offset % 4 != 0 {
            return None;
        }
        let bus = usize::from(function.bus().checked_sub(self.first_bus)?);
        let [_, slot] = function.number().to_be_bytes();
        let at = bus << 20 | usize::from(slot) << 12 | usize::from(offset);
        (at.saturating_add(4) <= self.regs.len()).then_some(at)
    }
}

impl<H: Hal> Ecam<Mapped<H>> {
    /// Maps a window of `len` bytes at `base` through the Hal; bus 0 comes first in it.
    ///
    /// # Errors
    /// What the Hal answers.
    pub fn map(hal: H, base: PhysAddr, len: usize) -> Result<Self, HalError> {
        Ok(Self::new(Mapped::new(hal, base, len, MmioKind::PciConfig)?, 0))
    }
}

impl<R: Registers> ConfigAccess for Ecam<R> {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        self.at(function, offset).map_or(u32::MAX, |at| self.regs.read32(at))
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        if let Some(at) = self.at(function, offset) {
            self.regs.write32(at, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bench::{Bench, r, w};

    #[test]
    fn each_function_has_its_page() {
        let ecam = Ecam::new(Bench::sized(2 << 20), 0);
        ecam.regs.set(0x10_f008, 0x1234_5678);
        let function = FunctionAddress::new(1, 1, 7).unwrap();
        assert_eq!(ecam.read32(function, 8), 0x1234_5678);
        ecam.write32(function, 0xffc, 1);
        assert_eq!(ecam.regs.take(), [r(0x10_f008), w(0x10_fffc, 1)]);
    }

    #[test]
    fn nobody_answers_beyond_the_window() {
        // Half of bus 4's functions.
        let ecam = Ecam::new(Bench::sized(1 << 19), 4);
        let read = |bus, device, offset| ecam.read32(FunctionAddress::new(bus, device, 0).unwrap(), offset);
        assert_eq!(read(4, 15, 0), 0);
        assert_eq!(read(4, 16, 0), u32::MAX);
        assert_eq!(read(5, 0, 0), u32::MAX);
        assert_eq!(read(3, 0, 0), u32::MAX);
        assert_eq!(read(4, 0, 4096), u32::MAX);
        assert_eq!(read(4, 0, 2), u32::MAX);
        ecam.regs.take();
        ecam.write32(FunctionAddress::new(3, 0, 0).unwrap(), 0, 0);
        assert_eq!(ecam.regs.take(), []);
    }
}
