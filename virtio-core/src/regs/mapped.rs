//! A mapping made through the Hal, undone when it is dropped (a room of unsafe code).
#![expect(unsafe_code, reason = "gives a mapping back to the Hal")]

use core::mem::ManuallyDrop;

use super::{NativeRegs, Registers, Reopen};
use crate::{Hal, HalError, MmioKind, PhysAddr};

/// Registers that the [`Hal`] has mapped. Dropping the value unmaps them.
#[derive(Debug)]
pub struct Mapped<H: Hal> {
    regs: ManuallyDrop<NativeRegs>,
    hal: H,
    address: PhysAddr,
    len: usize,
    kind: MmioKind,
}

impl<H: Hal> Mapped<H> {
    /// Maps `len` bytes of registers at `address`.
    ///
    /// # Errors
    /// What the Hal answers; [`HalError::CannotMap`] if it mapped less than asked for.
    pub fn new(hal: H, address: PhysAddr, len: usize, kind: MmioKind) -> Result<Self, HalError> {
        let regs = hal.map_mmio(address, len, kind)?;
        let mapped = Self { regs: ManuallyDrop::new(regs), hal, address, len, kind };
        if mapped.regs.len() < len { Err(HalError::CannotMap) } else { Ok(mapped) }
    }
}

impl<H: Hal> Drop for Mapped<H> {
    fn drop(&mut self) {
        // SAFETY: `regs` is taken in this one place, and never used again.
        let regs = unsafe { ManuallyDrop::take(&mut self.regs) };
        // SAFETY: the window came from `map_mmio` of this Hal (or a copy) and no alias of it exists.
        unsafe { self.hal.unmap_mmio(regs) };
    }
}

impl<H: Hal> Registers for Mapped<H> {
    fn len(&self) -> usize {
        self.regs.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        self.regs.read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.regs.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        self.regs.read32(offset)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.regs.write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.regs.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        self.regs.write32(offset, value);
    }
}

/// Asks the Hal for the same range again.
impl<H: Hal + Clone> Reopen for Mapped<H> {
    fn reopen(&self) -> Result<Self, HalError> {
        Self::new(self.hal.clone(), self.address, self.len, self.kind)
    }
}
