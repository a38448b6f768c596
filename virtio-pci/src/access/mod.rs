//! Reaching configuration space: the trait and its back-ends.

mod closures;
mod ecam;
#[cfg(feature = "pci_types")]
mod pci_types;
mod ports;

pub use closures::AccessFns;
pub use ecam::Ecam;
pub use ports::LegacyPorts;

use crate::FunctionAddress;

/// Access to the configuration space of the functions of one PCI segment.
///
/// `offset` is in bytes and a multiple of 4. A function or offset that does not exist answers all ones and ignores
/// writes; so does an offset that is no multiple of 4. An access never fails in any other way.
pub trait ConfigAccess {
    /// Reads 32 bits.
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32;
    /// Writes 32 bits.
    fn write32(&self, function: FunctionAddress, offset: u16, value: u32);
}

impl<A: ConfigAccess + ?Sized> ConfigAccess for &A {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        (**self).read32(function, offset)
    }
    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        (**self).write32(function, offset, value);
    }
}

/// Bytes of configuration space that PCI Express gives a function.
const EXTENDED: u16 = 4096;
/// Bytes of configuration space that conventional PCI gives a function.
const CONVENTIONAL: u16 = 256;
