//! Addresses: what a device sees, and where registers are. Two types, because mixing them up is a bug.

use core::fmt;

/// An address as a device sees it: what goes into a descriptor (VIRTIO 1.4 §2.7.5) or a queue address register.
///
/// It equals the physical address unless the [`Hal`](crate::Hal) translates (an IOMMU) or bounces. 64 bits on
/// every target, because the wire format is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct DeviceAddr(u64);

impl DeviceAddr {
    /// Wraps an address, in bytes.
    #[must_use]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The address in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This address moved up by `bytes`, or `None` past the end of the address space.
    #[must_use]
    pub fn checked_add(self, bytes: usize) -> Option<Self> {
        self.0.checked_add(u64::try_from(bytes).ok()?).map(Self)
    }

    /// Whether the address is a multiple of `align` (in bytes); never for an `align` of 0.
    #[must_use]
    pub fn is_aligned_to(self, align: usize) -> bool {
        u64::try_from(align).is_ok_and(|align| self.0.checked_rem(align) == Some(0))
    }

    /// The low and high 32-bit halves, as the address registers of both transports take them.
    #[must_use]
    pub fn halves(self) -> (u32, u32) {
        let [a, b, c, d, e, f, g, h] = self.0.to_le_bytes();
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    }
}

/// A physical address, as the CPU's page tables hold it: of registers (an MMIO slot, a BAR, an ECAM window) or of RAM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct PhysAddr(u64);

impl PhysAddr {
    /// Wraps an address, in bytes.
    #[must_use]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The address in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This address moved up by `bytes`, or `None` past the end of the address space.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

macro_rules! show_as_hex {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=u64:#x}", self.0);
            }
        }
    };
}
show_as_hex!(DeviceAddr);
show_as_hex!(PhysAddr);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn halves_are_low_then_high() {
        assert_eq!(DeviceAddr::new(0x1122_3344_5566_7788).halves(), (0x5566_7788, 0x1122_3344));
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(DeviceAddr::new(u64::MAX).checked_add(1), None);
        assert_eq!(PhysAddr::new(1).checked_add(u64::MAX), None);
        assert_eq!(format!("{:?}", PhysAddr::new(4096)), "PhysAddr(0x1000)");
    }

    #[test]
    fn alignment() {
        assert!(DeviceAddr::new(0x2000).is_aligned_to(4096));
        assert!(!DeviceAddr::new(0x2008).is_aligned_to(16));
        assert!(!DeviceAddr::new(0).is_aligned_to(0));
    }
}
