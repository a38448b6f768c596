//! The register back-end for x86 I/O ports (a room of unsafe code: inline assembly).
//!
//! **Ports Ours**: the ports `base..base + len` belong to the device that this block is for, and what is read and written
//! there has no effect on memory that Rust code uses, but for what a driver arranges. [`PortRegs::new`] takes it from the
//! caller; nothing here leaves the range, for every access is checked by `PortRegs::at`.
#![expect(unsafe_code, reason = "reads and writes I/O ports")]

use core::arch::asm;

use super::{Registers, Reopen};
use crate::HalError;

/// Registers in the I/O ports of an x86 CPU.
#[derive(Debug)]
pub struct PortRegs {
    base: u16,
    len: usize,
}

impl PortRegs {
    /// Takes over `len` ports from `base` on. Ports above 0xFFFF do not exist: what is said to lie there is left out.
    ///
    /// # Safety
    /// *Ports Ours*, and the CPU may access them (ring 0, or by its I/O permissions).
    #[must_use]
    pub const unsafe fn new(base: u16, len: usize) -> Self {
        Self { base, len }
    }

    /// The first port.
    #[must_use]
    pub const fn base(&self) -> u16 {
        self.base
    }

    /// The port for an access of `width` bytes at `offset`, if all of it lies inside and it is aligned.
    fn at(&self, offset: usize, width: usize) -> Option<u16> {
        let end = offset.checked_add(width)?;
        if end > self.len() || offset.checked_rem(width) != Some(0) {
            return None;
        }
        self.base.checked_add(u16::try_from(offset).ok()?)
    }
}

macro_rules! access {
    ($read:ident, $write:ident, $int:ident, $in:literal, $out:literal, $accumulator:tt) => {
        fn $read(&self, offset: usize) -> $int {
            let Some(port) = self.at(offset, size_of::<$int>()) else { return $int::MAX };
            let value;
            // SAFETY: Ports Ours and the check in `at`.
            unsafe { asm!($in, in("dx") port, out($accumulator) value, options(nostack, preserves_flags)) };
            value
        }
        fn $write(&self, offset: usize, value: $int) {
            let Some(port) = self.at(offset, size_of::<$int>()) else { return };
            // SAFETY: Ports Ours and the check in `at`.
            unsafe { asm!($out, in("dx") port, in($accumulator) value, options(nostack, preserves_flags)) };
        }
    };
}

impl Registers for PortRegs {
    fn len(&self) -> usize {
        self.len.min(0x1_0000_usize.saturating_sub(usize::from(self.base)))
    }

    access!(read8, write8, u8, "in al, dx", "out dx, al", "al");
    access!(read16, write16, u16, "in ax, dx", "out dx, ax", "ax");
    access!(read32, write32, u32, "in eax, dx", "out dx, eax", "eax");
}

/// Ports are there for everyone that may use them at all.
impl Reopen for PortRegs {
    fn reopen(&self) -> Result<Self, HalError> {
        Ok(Self { base: self.base, len: self.len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_outside_or_askew() {
        // SAFETY: accesses that are refused touch no port, and no other is made.
        let ports = unsafe { PortRegs::new(0xcf8, 8) };
        assert_eq!(ports.at(0, 4), Some(0xcf8));
        assert_eq!(ports.at(4, 4), Some(0xcfc));
        assert_eq!(ports.at(7, 1), Some(0xcff));
        for (offset, width) in [(8, 1), (5, 4), (2, 4), (7, 2), (usize::MAX, 1), (usize::MAX - 3, 4)] {
            assert_eq!(ports.at(offset, width), None, "{offset} {width}");
        }
        assert_eq!(ports.read32(8), u32::MAX);
        ports.write8(8, 0);
    }

    #[test]
    fn the_last_port_is_ffff() {
        // SAFETY: as above.
        let ports = unsafe { PortRegs::new(0xfffc, 100) };
        assert_eq!(ports.len(), 4);
        assert_eq!(ports.at(0, 4), Some(0xfffc));
        assert_eq!(ports.at(4, 1), None);
    }
}
