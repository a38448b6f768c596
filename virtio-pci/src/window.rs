//! What the host bridge forwards: ranges of bus addresses, and where the CPU sees them.

use virtio_core::PhysAddr;

use crate::{BarInfo, BarKind, FunctionAddress, PciError};

/// A range of addresses on the PCI bus that the CPU can reach. A device tree lists them in `ranges`, ACPI in `_CRS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window {
    /// First address on the bus.
    pub bus: u64,
    /// Where the CPU finds it.
    pub cpu: PhysAddr,
    /// Length in bytes.
    pub len: u64,
}

impl Window {
    /// A range that has the same addresses on both sides, as memory windows nearly always have.
    #[must_use]
    pub const fn identity(base: u64, len: u64) -> Self {
        Self { bus: base, cpu: PhysAddr::new(base), len }
    }

    /// Where the CPU finds `size` bytes at bus address `address`, if all of them lie in this window.
    fn translate(&self, address: u64, size: u64) -> Option<PhysAddr> {
        let offset = address.checked_sub(self.bus)?;
        if offset.checked_add(size)? > self.len {
            return None;
        }
        self.cpu.checked_add(offset)
    }

    /// One past the last bus address; the last one of all where the window would wrap.
    pub(crate) const fn end(&self) -> u64 {
        self.bus.saturating_add(self.len)
    }
}

/// The windows of a host bridge. What a machine does not have, or a kernel does not use, stays `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Windows {
    /// I/O ports. `cpu` is where they are memory-mapped; x86 has none, and `cpu` is not used.
    pub io: Option<Window>,
    /// Memory whose bus addresses are below 4 GiB.
    pub mem32: Option<Window>,
    /// Memory anywhere, for 64-bit BARs.
    pub mem64: Option<Window>,
}

impl Windows {
    /// Where the CPU finds a BAR.
    ///
    /// # Errors
    /// [`PciError::BarUnassigned`]; [`PciError::BarOutsideWindow`] if it does not lie in a window for its kind.
    pub fn locate(&self, function: FunctionAddress, bar: &BarInfo) -> Result<PhysAddr, PciError> {
        if !bar.is_assigned() {
            return Err(PciError::BarUnassigned { function, bar: bar.index });
        }
        let candidates = match bar.kind {
            BarKind::Io => [self.io, None],
            BarKind::Memory32 | BarKind::Memory64 => [self.mem32, self.mem64],
        };
        candidates.iter().flatten().find_map(|window| window.translate(bar.address, bar.size)).ok_or(
            PciError::BarOutsideWindow { function, bar: bar.index, address: bar.address, size: bar.size },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: FunctionAddress = FunctionAddress::from_number(8);

    fn bar(kind: BarKind, address: u64, size: u64) -> BarInfo {
        BarInfo { index: 4, kind, prefetchable: false, address, size }
    }

    #[test]
    fn inside_is_translated_and_outside_named() {
        let windows = Windows {
            io: Some(Window { bus: 0, cpu: PhysAddr::new(0x300_0000), len: 0x1_0000 }),
            mem32: Some(Window::identity(0x4000_0000, 0x4000_0000)),
            mem64: Some(Window {
                bus: 0x4_0000_0000,
                cpu: PhysAddr::new(0x40_0000_0000),
                len: 0x4_0000_0000,
            }),
        };
        let at = |kind, address, size| windows.locate(FUNCTION, &bar(kind, address, size)).map(PhysAddr::get);
        let outside =
            |address, size| Err(PciError::BarOutsideWindow { function: FUNCTION, bar: 4, address, size });
        assert_eq!(at(BarKind::Io, 0x1000, 0x80), Ok(0x300_1000));
        assert_eq!(at(BarKind::Memory32, 0x4000_0000, 0x4000_0000), Ok(0x4000_0000));
        assert_eq!(at(BarKind::Memory64, 0x5_0000_0000, 0x1000), Ok(0x41_0000_0000));
        assert_eq!(at(BarKind::Memory64, 0x7fff_f000, 0x1000), Ok(0x7fff_f000));
        assert_eq!(at(BarKind::Memory64, 0x7fff_f000, 0x2000), outside(0x7fff_f000, 0x2000));
        assert_eq!(at(BarKind::Memory32, 0x3fff_f000, 0x1000), outside(0x3fff_f000, 0x1000));
        assert_eq!(at(BarKind::Io, 0x4000_0000, 0x80), outside(0x4000_0000, 0x80));
        assert_eq!(at(BarKind::Memory64, u64::MAX - 0xfff, 0x1000), outside(u64::MAX - 0xfff, 0x1000));
        assert_eq!(
            at(BarKind::Memory32, 0, 0x1000),
            Err(PciError::BarUnassigned { function: FUNCTION, bar: 4 })
        );
    }
}
