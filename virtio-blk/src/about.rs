//! What a disk tells of itself when it is asked (VIRTIO 1.4 §5.2.6).

use core::fmt;

use virtio_core::queue::Slices;
use virtio_core::{Hal, Transport};

use crate::abi::{ID_LEN, LIFETIME_LEN, RequestType};
use crate::device::Disk;
use crate::error::BlkError;
use crate::payload::Payload;
use crate::sector::Sector;

/// The name of a disk: up to 20 bytes, usually ASCII.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DiskId([u8; ID_LEN]);

impl DiskId {
    pub(crate) const fn new(bytes: [u8; ID_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes, up to the first NUL: there is none in a name of 20.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(ID_LEN);
        self.0.get(..len).unwrap_or_default()
    }

    /// The name, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }
}

impl fmt::Display for DiskId {
    /// What is no printable ASCII, escaped: a device may say what it likes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskId({self})")
    }
}

/// How near the storage is to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EndOfLife {
    /// The device does not say.
    Undefined,
    /// Less than 80 % of its reserved blocks are used.
    Normal,
    /// 80 % are used.
    Warning,
    /// 90 % are used.
    Urgent,
    /// A value that the specification does not have.
    Reserved(u16),
}

/// The wear of a disk's storage (VIRTIO 1.4 §5.2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lifetime {
    /// How near it is to its end.
    pub end_of_life: EndOfLife,
    /// Wear of SLC cells: 1 is 0 to 10 %, 2 is 10 to 20 %, … 11 is beyond what was estimated; 0 if the device does not say.
    pub wear_a: u16,
    /// Wear of MLC cells, likewise.
    pub wear_b: u16,
}

impl Lifetime {
    pub(crate) fn new([a, b, c, d, e, f]: [u8; LIFETIME_LEN]) -> Self {
        let end_of_life = match u16::from_le_bytes([a, b]) {
            0 => EndOfLife::Undefined,
            1 => EndOfLife::Normal,
            2 => EndOfLife::Warning,
            3 => EndOfLife::Urgent,
            other => EndOfLife::Reserved(other),
        };
        Self { end_of_life, wear_a: u16::from_le_bytes([c, d]), wear_b: u16::from_le_bytes([e, f]) }
    }
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// The disk's name.
    ///
    /// # Errors
    /// [`BlkError::Status`] with [`UNSUPP`](crate::BlkStatus::UNSUPP) if it has none; otherwise as for [`Disk::read`].
    pub fn id(&mut self) -> Result<DiskId, BlkError> {
        let mut id = [0; ID_LEN];
        self.request(RequestType::GET_ID, Sector(0), Slices::to_write(&mut [&mut id]), ID_LEN)?;
        Ok(DiskId::new(id))
    }

    /// The wear of the disk's storage.
    ///
    /// # Errors
    /// [`BlkError::Unsupported`] if the device does not know; otherwise as for [`Disk::read`].
    pub fn lifetime(&mut self) -> Result<Lifetime, BlkError> {
        self.rules.check_lifetime()?;
        let mut wear = [0; LIFETIME_LEN];
        let slices = &mut [&mut wear[..]];
        self.request(RequestType::GET_LIFETIME, Sector(0), Slices::to_write(slices), LIFETIME_LEN)?;
        Ok(Lifetime::new(wear))
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_need_no_end() {
        let mut bytes = [b'x'; ID_LEN];
        assert_eq!(DiskId::new(bytes).as_str(), Some("xxxxxxxxxxxxxxxxxxxx"));
        bytes[3] = 0;
        assert_eq!(DiskId::new(bytes).as_bytes(), b"xxx");
        bytes[1] = 0xff;
        assert_eq!(DiskId::new(bytes).as_str(), None);
        assert_eq!(DiskId::new(bytes).to_string(), "x\\xffx");
    }

    #[test]
    fn wear_has_reserved_values() {
        let lifetime = Lifetime::new([3, 0, 1, 0, 11, 0]);
        assert_eq!((lifetime.end_of_life, lifetime.wear_a, lifetime.wear_b), (EndOfLife::Urgent, 1, 11));
        assert_eq!(Lifetime::new([4, 1, 0, 0, 0, 0]).end_of_life, EndOfLife::Reserved(0x104));
    }
}
