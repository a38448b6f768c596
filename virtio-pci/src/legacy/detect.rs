//! Which interfaces a function has (VIRTIO 1.4 §4.1.2.3, §4.1.5.1.1.1).

use virtio_core::DeviceId;

use crate::caps::capabilities;
use crate::{ConfigAccess, Function, PciError};

/// The subsystem's vendor and id, in its lower and upper half, in the header of a device (PCI Local Bus 3.0 §6.2.4).
const SUBSYSTEM: u16 = 0x2c;

/// The interfaces that a virtio function has, as far as its header and its capability list tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Interfaces {
    /// The modern one alone: for [`PciTransport`](crate::PciTransport).
    Modern,
    /// Both, as a transitional device has: for either transport, the modern one by preference.
    Both,
    /// The legacy one alone, for want of virtio capabilities: for [`LegacyTransport`](crate::LegacyTransport).
    Legacy,
}

impl Interfaces {
    /// Looks for the virtio capabilities of a function; `None` if it is no virtio device.
    ///
    /// A function with a transitional id and without these capabilities is a legacy device. One that has them is
    /// transitional if its revision is 0, as it must be. Configuration space is read, nothing is written; whether an
    /// interface is in order, its transport finds out.
    #[must_use]
    pub fn of<A: ConfigAccess>(access: &A, function: &Function) -> Option<Self> {
        device_type(access, function)?;
        if !function.is_transitional() {
            return Some(Self::Modern);
        }
        let modern = capabilities(|offset| access.read32(function.address, offset)).next().is_some();
        Some(match (modern, function.revision) {
            (false, _) => Self::Legacy,
            (true, 0) => Self::Both,
            (true, _) => Self::Modern,
        })
    }
}

/// The type of a device that is to be driven through the legacy interface.
pub(super) fn device_id<A: ConfigAccess>(access: &A, function: &Function) -> Result<DeviceId, PciError> {
    let &Function { vendor, device, revision, .. } = function;
    match (Interfaces::of(access, function), device_type(access, function)) {
        (Some(Interfaces::Modern), _) => Err(PciError::ModernOnly { device, revision }),
        (Some(_), Some(id)) => Ok(id),
        _ => Err(PciError::NotVirtio { vendor, device }),
    }
}

/// The list of transitional ids names the types that the specification has one for. For other ids of that range the
/// subsystem's id is the type, as it must be for all of them (VIRTIO 1.4 §4.1.2.3).
fn device_type<A: ConfigAccess>(access: &A, function: &Function) -> Option<DeviceId> {
    function.virtio_id().or_else(|| {
        let [_, _, low, high] = access.read32(function.address, SUBSYSTEM).to_le_bytes();
        let subsystem = u16::from_le_bytes([low, high]);
        let stated = function.is_transitional() && !matches!(subsystem, 0 | u16::MAX);
        stated.then(|| DeviceId::new(u32::from(subsystem)))
    })
}
