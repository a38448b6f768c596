//! Addresses of the `pci_types` crate.

use pci_types::PciAddress;

use crate::FunctionAddress;

impl FunctionAddress {
    /// This function of PCI segment `segment`, for `pci_types`.
    #[must_use]
    pub fn in_segment(self, segment: u16) -> PciAddress {
        PciAddress::new(segment, self.bus(), self.device(), self.function())
    }
}

impl From<PciAddress> for FunctionAddress {
    /// The function in its segment; the segment itself is dropped.
    fn from(address: PciAddress) -> Self {
        Self::from_number(u16::from_be_bytes([address.bus(), address.device() << 3 | address.function()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for number in 0..=u16::MAX {
            let function = FunctionAddress::from_number(number);
            assert_eq!(FunctionAddress::from(function.in_segment(9)), function);
        }
    }
}
