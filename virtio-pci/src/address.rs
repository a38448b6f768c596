//! Which function on the buses of one PCI segment.

use core::fmt;

/// Bus, device and function number (PCI Local Bus 3.0 §3.2.2.3): 8, 5 and 3 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionAddress(u16);

impl FunctionAddress {
    /// Devices on a bus.
    pub(crate) const DEVICES: u8 = 32;
    /// Functions of a device.
    pub(crate) const FUNCTIONS: u8 = 8;

    /// Names a function; `None` for a device above 31 or a function above 7.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < Self::DEVICES && function < Self::FUNCTIONS {
            Some(Self(u16::from_be_bytes([bus, device << 3 | function])))
        } else {
            None
        }
    }

    /// Names a function by its 16-bit number: bus in the high byte, then device and function.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// The 16-bit number: what PCI calls a requester id.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The bus.
    #[must_use]
    pub const fn bus(self) -> u8 {
        let [bus, _] = self.0.to_be_bytes();
        bus
    }

    /// The device on its bus, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        let [_, low] = self.0.to_be_bytes();
        low >> 3
    }

    /// The function of the device, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        let [_, low] = self.0.to_be_bytes();
        low & 7
    }
}

impl fmt::Display for FunctionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.device(), self.function())
    }
}

impl fmt::Debug for FunctionAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionAddress({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for FunctionAddress {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u8:02x}:{=u8:02x}.{=u8}", self.bus(), self.device(), self.function());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn parts_and_number() {
        let address = FunctionAddress::new(0x12, 31, 7).unwrap();
        assert_eq!(address.number(), 0x12ff);
        assert_eq!((address.bus(), address.device(), address.function()), (0x12, 31, 7));
        assert_eq!(FunctionAddress::from_number(0x12ff), address);
        assert_eq!(address.to_string(), "12:1f.7");
        assert_eq!(FunctionAddress::new(0, 32, 0), None);
        assert_eq!(FunctionAddress::new(0, 0, 8), None);
    }
}
