//! Is there a device, and can it be served? (VIRTIO 1.4 §4.2.3.1)

use virtio_core::DeviceId;
use virtio_core::regs::Registers;

use crate::regs::{CONFIG, DEVICE_ID, MAGIC, MAGIC_VALUE, VERSION};
use crate::{MmioTransport, ProbeError, Version};

/// What a window of registers holds: a device, or nothing (an empty slot).
pub type Probed<R> = Result<Option<MmioTransport<R>>, ProbeError>;

/// Looks for a device of version 1 (legacy) or 2 in a window of registers.
///
/// `Ok(None)` is an empty slot (`DeviceID` 0): most slots of a machine are empty, so this is no error. Only
/// `MagicValue`, `Version` and `DeviceID` are read, in this order, and nothing is written.
///
/// # Errors
/// [`ProbeError`]; `regs` is dropped then, as for an empty slot.
pub fn probe<R: Registers>(regs: R) -> Probed<R> {
    let len = regs.len();
    if len < CONFIG {
        return Err(ProbeError::WindowTooShort { len, needed: CONFIG });
    }
    let magic = MAGIC_VALUE.read(&regs);
    if magic != MAGIC {
        return Err(ProbeError::WrongMagic(magic));
    }
    let version = match VERSION.read(&regs) {
        1 => Version::Legacy,
        2 => Version::Modern,
        other => return Err(ProbeError::UnsupportedVersion(other)),
    };
    match DEVICE_ID.read(&regs) {
        0 => Ok(None),
        id => Ok(Some(MmioTransport::new(regs, version, DeviceId::new(id)))),
    }
}

/// As [`probe`], for callers that do not want legacy devices.
///
/// # Errors
/// [`ProbeError::LegacyRefused`] for a device of version 1 (an empty slot of version 1 is still `Ok(None)`), else as for
/// [`probe`].
pub fn probe_modern<R: Registers>(regs: R) -> Probed<R> {
    match probe(regs)? {
        Some(transport) if transport.version() == Version::Legacy => Err(ProbeError::LegacyRefused),
        answer => Ok(answer),
    }
}
