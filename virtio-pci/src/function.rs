//! What a function says of itself.

use virtio_core::DeviceId;

use crate::header::{CLASS_REVISION, HEADER_TYPE, IDS};
use crate::{ConfigAccess, FunctionAddress};

/// The vendor id of every virtio device (VIRTIO 1.4 §4.1.2).
pub const VIRTIO_VENDOR: u16 = 0x1af4;

/// A PCI function, as its header describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Function {
    /// Where it is.
    pub address: FunctionAddress,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Class code: base class, sub-class and interface, in bits 16–23, 8–15 and 0–7.
    pub class: u32,
    /// Revision. Virtio drivers match any (VIRTIO 1.4 §4.1.2.2).
    pub revision: u8,
    /// What the rest of the header is.
    pub header: Header,
}

/// Layout of a configuration header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Header {
    /// Type 0: a device.
    Device,
    /// Type 1: a bridge to another bus.
    Bridge,
    /// Anything else.
    Other(u8),
}

impl Function {
    /// Reads the header; `None` where no function answers.
    #[must_use]
    pub fn read<A: ConfigAccess>(access: &A, address: FunctionAddress) -> Option<Self> {
        read_with_multi(access, address).map(|(function, _)| function)
    }

    /// The virtio device type, or `None` if this is no virtio device.
    ///
    /// Ids from 0x1040 on carry the type; the transitional ones below are listed (VIRTIO 1.4 §4.1.2). A transitional
    /// device may or may not have the modern interface.
    #[must_use]
    pub fn virtio_id(&self) -> Option<DeviceId> {
        if self.vendor != VIRTIO_VENDOR {
            return None;
        }
        match self.device {
            0x1000 => Some(DeviceId::NET),
            0x1001 => Some(DeviceId::BLOCK),
            0x1002 => Some(DeviceId::BALLOON),
            0x1003 => Some(DeviceId::CONSOLE),
            0x1004 => Some(DeviceId::SCSI),
            0x1005 => Some(DeviceId::ENTROPY),
            0x1009 => Some(DeviceId::NINE_P),
            modern @ 0x1041..=0x107f => Some(DeviceId::new(u32::from(modern).saturating_sub(0x1040))),
            _ => None,
        }
    }

    /// Whether the device id is one of the transitional range.
    #[must_use]
    pub fn is_transitional(&self) -> bool {
        self.vendor == VIRTIO_VENDOR && (0x1000..0x1040).contains(&self.device)
    }

    /// A bridge that is no PCI-to-PCI bridge (to the host, to ISA). Its address registers are left alone: it carries
    /// what the machine runs on.
    pub(crate) fn is_platform_bridge(&self) -> bool {
        self.class >> 16 == 0x06 && self.header != Header::Bridge
    }
}

/// Also answers whether the device has functions besides this one.
pub(crate) fn read_with_multi<A: ConfigAccess>(
    access: &A,
    address: FunctionAddress,
) -> Option<(Function, bool)> {
    let [a, b, c, d] = access.read32(address, IDS).to_le_bytes();
    let (vendor, device) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    if vendor == u16::MAX {
        return None;
    }
    let [revision, interface, sub, base] = access.read32(address, CLASS_REVISION).to_le_bytes();
    let [_, _, header_type, _] = access.read32(address, HEADER_TYPE).to_le_bytes();
    let header = match header_type & 0x7f {
        0 => Header::Device,
        1 => Header::Bridge,
        other => Header::Other(other),
    };
    let class = u32::from_be_bytes([0, base, sub, interface]);
    Some((Function { address, vendor, device, class, revision, header }, header_type & 0x80 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::machine::Machine;

    fn with_ids(vendor: u16, device: u16) -> Function {
        let machine = Machine::new();
        let address = machine.add(0, 1, 0);
        machine.set(address, 0, u32::from(device) << 16 | u32::from(vendor));
        machine.set(address, 8, 0x0380_0007);
        Function::read(&machine, address).unwrap()
    }

    #[test]
    fn header_fields() {
        let gpu = with_ids(0x1af4, 0x1050);
        assert_eq!((gpu.vendor, gpu.device, gpu.class, gpu.revision), (0x1af4, 0x1050, 0x03_8000, 7));
        assert_eq!(gpu.header, Header::Device);
        assert!(!gpu.is_platform_bridge());
    }

    // shows: pci.discovery.1, pci.discovery.2
    #[test]
    fn virtio_ids_modern_and_transitional() {
        for (device, id) in [
            (0x1050, Some(16)),
            (0x1041, Some(1)),
            (0x107f, Some(63)),
            (0x1000, Some(1)),
            (0x1001, Some(2)),
            (0x1002, Some(5)),
            (0x1003, Some(3)),
            (0x1004, Some(8)),
            (0x1005, Some(4)),
            (0x1009, Some(9)),
            (0x1006, None),
            (0x103f, None),
            (0x1040, None),
            (0x1080, None),
            (0x0fff, None),
        ] {
            assert_eq!(with_ids(0x1af4, device).virtio_id().map(DeviceId::get), id, "{device:#x}");
        }
        assert_eq!(with_ids(0x1af5, 0x1050).virtio_id(), None);
    }

    #[test]
    fn nobody_is_none() {
        let machine = Machine::new();
        assert_eq!(Function::read(&machine, FunctionAddress::new(0, 1, 0).unwrap()), None);
    }
}
