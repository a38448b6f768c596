//! The device's configuration space (VIRTIO 1.4 §2.5): typed fields, read so that they belong together.

mod field;

pub use field::{Field, FieldValue, WritableValue};

use crate::regs::Registers;
use crate::transport::Transport;
use crate::{Error, Incompatible, Misbehaved};

/// How often a read is repeated when the configuration changes under it.
const ATTEMPTS: u32 = 64;

/// Byte order of a configuration space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ByteOrder {
    /// Little-endian: every modern device, and those that have no legacy interface (GPU, input) on any transport.
    Little,
    /// The guest's own: a legacy device with a legacy interface (VIRTIO 1.4 §2.5.3).
    Native,
}

/// The configuration space of a device, for reading.
#[derive(Debug)]
pub struct Config<'d, T: ?Sized> {
    transport: &'d T,
    order: ByteOrder,
}

impl<'d, T: Transport + ?Sized> Config<'d, T> {
    /// Looks at the space through `transport`.
    #[must_use]
    pub const fn new(transport: &'d T, order: ByteOrder) -> Self {
        Self { transport, order }
    }

    /// Reads an 8-bit field.
    ///
    /// # Errors
    /// [`Incompatible::ConfigTooSmall`] if the space ends before it.
    pub fn u8(&self, offset: usize) -> Result<u8, Error> {
        let [byte] = self.bytes(offset)?;
        Ok(byte)
    }

    /// Reads a 16-bit field.
    ///
    /// # Errors
    /// As for [`Config::u8`].
    pub fn u16(&self, offset: usize) -> Result<u16, Error> {
        let bytes = self.bytes(offset)?;
        Ok(match self.order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Native => u16::from_ne_bytes(bytes),
        })
    }

    /// Reads a 32-bit field.
    ///
    /// # Errors
    /// As for [`Config::u8`].
    pub fn u32(&self, offset: usize) -> Result<u32, Error> {
        let bytes = self.bytes(offset)?;
        Ok(match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Native => u32::from_ne_bytes(bytes),
        })
    }

    /// Reads a 64-bit field, as two 32-bit accesses whose agreement is checked.
    ///
    /// # Errors
    /// As for [`Config::u8`] and [`Config::consistent`].
    pub fn u64(&self, offset: usize) -> Result<u64, Error> {
        let too_small = Incompatible::ConfigTooSmall { offset, len: 8 };
        let upper = offset.checked_add(4).ok_or(too_small)?;
        self.consistent(|config| {
            let [a, b, c, d]: [u8; 4] = config.bytes(offset)?;
            let [e, f, g, h]: [u8; 4] = config.bytes(upper)?;
            let bytes = [a, b, c, d, e, f, g, h];
            Ok(match self.order {
                ByteOrder::Little => u64::from_le_bytes(bytes),
                ByteOrder::Native => u64::from_ne_bytes(bytes),
            })
        })
    }

    /// Reads several fields so that they belong to one state of the device (VIRTIO 1.4 §2.5.2): `read` is repeated until
    /// the generation is the same before and after. A legacy transport has no generation; there, two equal answers in a
    /// row count (VIRTIO 1.4 §2.5.4).
    ///
    /// # Errors
    /// What `read` answers; [`Misbehaved::ConfigUnstable`] if the space does not settle.
    pub fn consistent<V: PartialEq>(&self, read: impl Fn(&Self) -> Result<V, Error>) -> Result<V, Error> {
        let by_generation = self.transport.has_config_generation();
        let mut before = self.transport.config_generation();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let value = read(self)?;
            if by_generation {
                let after = self.transport.config_generation();
                if after == before {
                    return Ok(value);
                }
                before = after;
            } else if last.as_ref() == Some(&value) {
                return Ok(value);
            } else {
                last = Some(value);
            }
        }
        Err(Misbehaved::ConfigUnstable.into())
    }

    fn bytes<const N: usize>(&self, offset: usize) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.transport.read_config(offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// Whether an access of `width` bytes at `offset` lies in a space of `len` bytes and is one that a transport can make.
///
/// # Errors
/// [`Incompatible::ConfigTooSmall`] if not. For transports.
pub fn check_access(offset: usize, width: usize, len: usize) -> Result<(), Incompatible> {
    let aligned = matches!(width, 1 | 2 | 4) && offset.checked_rem(width) == Some(0);
    match offset.checked_add(width) {
        Some(end) if aligned && end <= len => Ok(()),
        _ => Err(Incompatible::ConfigTooSmall { offset, len: width }),
    }
}

/// Reads a configuration space of `len` bytes that starts at `start` of a register block: what
/// [`Transport::read_config`] asks for. Values of a back-end are those of little-endian registers, so their bytes in the
/// device's memory are the little-endian ones.
///
/// # Errors
/// As for [`check_access`].
pub fn read_registers<R: Registers>(
    regs: &R,
    start: usize,
    len: usize,
    offset: usize,
    bytes: &mut [u8],
) -> Result<(), Error> {
    check_access(offset, bytes.len(), len)?;
    let at = start.saturating_add(offset);
    match bytes {
        [byte] => *byte = regs.read8(at),
        [_, _] => bytes.copy_from_slice(&regs.read16(at).to_le_bytes()),
        _ => bytes.copy_from_slice(&regs.read32(at).to_le_bytes()),
    }
    Ok(())
}

/// Writes to a configuration space, as [`read_registers`] reads: what [`Transport::write_config`] asks for.
///
/// # Errors
/// As for [`check_access`].
pub fn write_registers<R: Registers>(
    regs: &R,
    start: usize,
    len: usize,
    offset: usize,
    bytes: &[u8],
) -> Result<(), Error> {
    check_access(offset, bytes.len(), len)?;
    let at = start.saturating_add(offset);
    match *bytes {
        [a] => regs.write8(at, a),
        [a, b] => regs.write16(at, u16::from_le_bytes([a, b])),
        [a, b, c, d] => regs.write32(at, u32::from_le_bytes([a, b, c, d])),
        // `check_access` has refused every other width.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_inside_and_aligned() {
        assert_eq!(check_access(4, 4, 8), Ok(()));
        assert_eq!(check_access(7, 1, 8), Ok(()));
        for (offset, width) in
            [(8, 1), (5, 4), (2, 4), (6, 4), (0, 8), (0, 0), (usize::MAX, 1), (usize::MAX - 3, 4)]
        {
            assert!(check_access(offset, width, 8).is_err(), "{offset} {width}");
        }
    }
}
