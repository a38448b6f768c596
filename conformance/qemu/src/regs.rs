//! The register back-end: a range of QEMU's physical addresses or I/O ports, over qtest.

use std::sync::Arc;

use virtio::HalError;
use virtio::regs::{Registers, Reopen};

use crate::qtest::Qtest;

/// Where registers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Among physical addresses.
    Memory,
    /// Among x86 I/O ports.
    Ports,
}

/// Registers of a machine.
#[derive(Clone, Debug)]
pub struct QtestRegs {
    qtest: Arc<Qtest>,
    space: Space,
    base: u64,
    len: usize,
}

impl QtestRegs {
    /// `len` bytes of registers from `base` on.
    #[must_use]
    pub const fn new(qtest: Arc<Qtest>, space: Space, base: u64, len: usize) -> Self {
        Self { qtest, space, base, len }
    }

    /// The address for an access of `width` bytes at `offset`, if it lies inside and is aligned.
    fn at(&self, offset: usize, width: usize) -> Option<u64> {
        let inside = offset.checked_add(width)? <= self.len && offset.is_multiple_of(width);
        inside.then(|| self.base + offset as u64)
    }

    fn read(&self, offset: usize, width: usize, [memory, port]: [&str; 2]) -> u64 {
        let command = if self.space == Space::Memory { memory } else { port };
        self.at(offset, width).map_or(u64::MAX, |address| self.qtest.read(command, address))
    }

    fn write(&self, offset: usize, width: usize, [memory, port]: [&str; 2], value: u32) {
        let command = if self.space == Space::Memory { memory } else { port };
        if let Some(address) = self.at(offset, width) {
            self.qtest.write(command, address, value);
        }
    }
}

impl Registers for QtestRegs {
    fn len(&self) -> usize {
        self.len
    }
    fn read8(&self, offset: usize) -> u8 {
        self.read(offset, 1, ["readb", "inb"]) as u8
    }
    fn read16(&self, offset: usize) -> u16 {
        self.read(offset, 2, ["readw", "inw"]) as u16
    }
    fn read32(&self, offset: usize) -> u32 {
        self.read(offset, 4, ["readl", "inl"]) as u32
    }
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, 1, ["writeb", "outb"], value.into());
    }
    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, 2, ["writew", "outw"], value.into());
    }
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, 4, ["writel", "outl"], value);
    }
}

/// The socket is shared, so any number of ways lead there.
impl Reopen for QtestRegs {
    fn reopen(&self) -> Result<Self, HalError> {
        Ok(self.clone())
    }
}
