//! Configuration access through two functions of the kernel's own.

use core::fmt;

use super::{ConfigAccess, EXTENDED};
use crate::FunctionAddress;

/// [`ConfigAccess`] through two closures: whatever a kernel already has.
///
/// Offsets that are no multiple of 4, or above 4095, never reach the closures.
///
/// A kernel with a `pci_types::ConfigRegionAccess` writes its `unsafe` calls into them; only it can promise that they are
/// in order. With feature `pci_types` the address converts itself (here for segment 0):
///
/// ```
/// # #[cfg(feature = "pci_types")] {
/// use pci_types::{ConfigRegionAccess, PciAddress};
/// use virtio_pci::{AccessFns, ConfigAccess, FunctionAddress};
///
/// struct Kernels;
/// impl ConfigRegionAccess for Kernels {
///     unsafe fn read(&self, _: PciAddress, offset: u16) -> u32 { offset.into() }
///     unsafe fn write(&self, _: PciAddress, _: u16, _: u32) {}
/// }
///
/// let kernels = Kernels;
/// let access = AccessFns::new(
///     // SAFETY: this kernel answers any address and offset.
///     |function, offset| unsafe { kernels.read(function.in_segment(0), offset) },
///     // SAFETY: as above.
///     |function, offset, value| unsafe { kernels.write(function.in_segment(0), offset, value) },
/// );
/// let function = FunctionAddress::from(PciAddress::new(0, 1, 2, 3));
/// assert_eq!(access.read32(function, 8), 8);
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct AccessFns<Read, Write> {
    read: Read,
    write: Write,
}

impl<Read, Write> AccessFns<Read, Write>
where
    Read: Fn(FunctionAddress, u16) -> u32,
    Write: Fn(FunctionAddress, u16, u32),
{
    /// Reads and writes through these.
    pub const fn new(read: Read, write: Write) -> Self {
        Self { read, write }
    }
}

impl<Read, Write> ConfigAccess for AccessFns<Read, Write>
where
    Read: Fn(FunctionAddress, u16) -> u32,
    Write: Fn(FunctionAddress, u16, u32),
{
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        if offset % 4 == 0 && offset < EXTENDED { (self.read)(function, offset) } else { u32::MAX }
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        if offset % 4 == 0 && offset < EXTENDED {
            (self.write)(function, offset, value);
        }
    }
}

impl<Read, Write> fmt::Debug for AccessFns<Read, Write> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessFns").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::cell::RefCell;

    #[test]
    fn only_registers_that_can_exist_reach_the_closures() {
        let calls = RefCell::new(Vec::new());
        let function = FunctionAddress::from_number(0x123);
        let access = AccessFns::new(
            |function, offset| {
                calls.borrow_mut().push((function, offset, None));
                7
            },
            |function, offset, value| calls.borrow_mut().push((function, offset, Some(value))),
        );
        assert_eq!(access.read32(function, 0xffc), 7);
        assert_eq!(access.read32(function, 0x1000), u32::MAX);
        assert_eq!(access.read32(function, 6), u32::MAX);
        access.write32(function, 4, 9);
        access.write32(function, 5, 9);
        assert_eq!(calls.take(), [(function, 0xffc, None), (function, 4, Some(9))]);
    }
}
