//! What a device says of itself (VIRTIO 1.4 §5.8.4).
//!
//! Its configuration space is a window: the driver writes what it wants to see, reads how long the answer is, then the
//! answer.

use core::fmt;

use virtio_core::config::{ByteOrder, Config};
use virtio_core::device::Device;
use virtio_core::{Hal, Transport};

use crate::InputError;
use crate::abi::{self, Config as Space, DATA_LEN, DevIds, select};
use crate::event::EventType;

/// A text that the device gave, of at most 128 bytes. What was not UTF-8 in it is `?`, and so are control characters: it can
/// be printed without commanding a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; DATA_LEN],
    len: usize,
}

impl Text {
    /// Takes the bytes up to the first zero.
    fn lossy(bytes: &[u8]) -> Self {
        let mut text = Self { bytes: [0; DATA_LEN], len: 0 };
        let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        for chunk in bytes.utf8_chunks() {
            chunk.valid().chars().for_each(|char| text.push(if char.is_control() { '?' } else { char }));
            if !chunk.invalid().is_empty() {
                text.push('?');
            }
        }
        text
    }

    fn push(&mut self, char: char) {
        let end = self.len.saturating_add(char.len_utf8());
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            char.encode_utf8(place);
            self.len = end;
        }
    }

    /// The text. Empty if the device has none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        // Only whole characters are ever put in.
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Text {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// A set of numbers below 1024: codes of one event type, or properties.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bits([u8; DATA_LEN]);

impl Bits {
    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u16) -> bool {
        self.0.get(usize::from(number >> 3)).is_some_and(|byte| byte >> (number & 7) & 1 == 1)
    }

    /// Whether nothing is in the set: then the device has no such events at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// The numbers in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..1024).filter(|&number| self.contains(number))
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Which device this is, in evdev's terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceIds {
    /// How it is connected: 6 is virtual.
    pub bus: u16,
    /// Its maker.
    pub vendor: u16,
    /// The product.
    pub product: u16,
    /// The product's version.
    pub version: u16,
}

/// The range of an absolute axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AbsInfo {
    /// Least value.
    pub min: i32,
    /// Greatest value.
    pub max: i32,
    /// Changes up to this are noise.
    pub fuzz: u32,
    /// Values up to this from the middle count as the middle.
    pub flat: u32,
    /// Units per millimetre.
    pub resolution: u32,
}

/// The window into the configuration space of a live device.
pub(crate) struct Window<'d, T: Transport, H: Hal + Clone>(pub(crate) &'d mut Device<T, H>);

impl<T: Transport, H: Hal + Clone> Window<'_, T, H> {
    pub(crate) fn text(&mut self, select: u8) -> Result<Text, InputError> {
        self.ask(select, 0, |size, config| {
            let mut bytes = [0; DATA_LEN];
            read_bytes(size, config, &mut bytes)?;
            Ok(Text::lossy(&bytes))
        })
    }

    pub(crate) fn properties(&mut self) -> Result<Bits, InputError> {
        self.ask(select::PROP_BITS, 0, bits)
    }

    pub(crate) fn codes(&mut self, kind: EventType) -> Result<Bits, InputError> {
        match u8::try_from(kind.get()) {
            Ok(kind) => self.ask(select::EV_BITS, kind, bits),
            // The window cannot ask for it, so no device has it.
            Err(_) => Ok(Bits([0; DATA_LEN])),
        }
    }

    pub(crate) fn ids(&mut self) -> Result<Option<DeviceIds>, InputError> {
        self.structure(select::ID_DEVIDS, 0, abi::DEVIDS_LEN, |config| {
            Ok(DeviceIds {
                bus: config.get(DevIds::BUSTYPE)?,
                vendor: config.get(DevIds::VENDOR)?,
                product: config.get(DevIds::PRODUCT)?,
                version: config.get(DevIds::VERSION)?,
            })
        })
    }

    pub(crate) fn abs_info(&mut self, axis: u16) -> Result<Option<AbsInfo>, InputError> {
        let signed = |value: u32| i32::from_ne_bytes(value.to_ne_bytes());
        let Ok(axis) = u8::try_from(axis) else { return Ok(None) };
        self.structure(select::ABS_INFO, axis, abi::ABSINFO_LEN, |config| {
            Ok(AbsInfo {
                min: signed(config.get(abi::AbsInfo::MIN)?),
                max: signed(config.get(abi::AbsInfo::MAX)?),
                fuzz: config.get(abi::AbsInfo::FUZZ)?,
                flat: config.get(abi::AbsInfo::FLAT)?,
                resolution: config.get(abi::AbsInfo::RES)?,
            })
        })
    }

    /// Asks for a structure of `needed` bytes; `None` if the device has none.
    fn structure<V: PartialEq>(
        &mut self,
        select: u8,
        subsel: u8,
        needed: usize,
        read: impl Fn(&Config<'_, T>) -> Result<V, virtio_core::Error>,
    ) -> Result<Option<V>, InputError> {
        let answer = self.ask(select, subsel, |size, config| {
            let enough = usize::from(size) >= needed;
            Ok((size, if enough { Some(read(config)?) } else { None }))
        })?;
        match answer {
            (0, _) => Ok(None),
            (size, None) => Err(InputError::AnswerTooShort { select, size }),
            (_, value) => Ok(value),
        }
    }

    /// Points the window, reads, and points it at nothing again, whatever was read.
    fn ask<V: PartialEq>(
        &mut self,
        select: u8,
        subsel: u8,
        read: impl Fn(u8, &Config<'_, T>) -> Result<V, virtio_core::Error>,
    ) -> Result<V, InputError> {
        let answer = self.look(select, subsel, read);
        let left = self.0.set_config(ByteOrder::Little, Space::SELECT, select::UNSET);
        let answer = answer?;
        left?;
        Ok(answer)
    }

    /// Points the window, checks the size and reads.
    fn look<V: PartialEq>(
        &mut self,
        select: u8,
        subsel: u8,
        read: impl Fn(u8, &Config<'_, T>) -> Result<V, virtio_core::Error>,
    ) -> Result<V, InputError> {
        self.0.set_config(ByteOrder::Little, Space::SELECT, select)?;
        self.0.set_config(ByteOrder::Little, Space::SUBSEL, subsel)?;
        let config = self.0.config(ByteOrder::Little)?;
        let answer = config.consistent(|config| {
            let size = config.get(Space::SIZE)?;
            let fits = usize::from(size) <= DATA_LEN;
            Ok((size, if fits { Some(read(size, config)?) } else { None }))
        })?;
        match answer {
            (_, Some(value)) => Ok(value),
            (size, None) => Err(InputError::AnswerTooLong { select, size }),
        }
    }
}

fn bits<T: Transport>(size: u8, config: &Config<'_, T>) -> Result<Bits, virtio_core::Error> {
    let mut bits = Bits([0; DATA_LEN]);
    read_bytes(size, config, &mut bits.0)?;
    Ok(bits)
}

fn read_bytes<T: Transport>(
    size: u8,
    config: &Config<'_, T>,
    bytes: &mut [u8; DATA_LEN],
) -> Result<(), virtio_core::Error> {
    for (offset, byte) in bytes.iter_mut().take(usize::from(size)).enumerate() {
        *byte = config.u8(Space::DATA.offset().saturating_add(offset))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_a_zero_and_hold_no_nonsense() {
        assert_eq!(Text::lossy(b"QEMU Virtio Keyboard").as_str(), "QEMU Virtio Keyboard");
        assert_eq!(Text::lossy(b"a\0b").as_str(), "a");
        assert_eq!(Text::lossy(b"\0").as_str(), "");
        assert_eq!(Text::lossy(b"caf\xc3\xa9 \xff\xfe \xc3").as_str(), "caf\u{e9} ?? ?");
        assert_eq!(Text::lossy(&[0xff; 128]).as_str().len(), 128);
        assert_eq!(Text::lossy(&[b'x'; 200]).as_str().len(), 128);
    }

    #[test]
    fn texts_command_no_terminal() {
        assert_eq!(Text::lossy(b"\x1b[2J\x1b]0;x\x07kbd\r\n").as_str(), "?[2J?]0;x?kbd??");
        assert_eq!(Text::lossy(b"\t\x7f").as_str(), "??");
        // The upper control characters, of two bytes each: 0x9b begins a command as well.
        assert_eq!(
            Text::lossy("\u{9b}31m\u{80}\u{9f}\u{a0}\u{e9}".as_bytes()).as_str(),
            "?31m??\u{a0}\u{e9}"
        );
    }

    #[test]
    fn characters_are_never_cut() {
        // 127 bytes, then one of three.
        let mut bytes = [b'x'; 130];
        bytes
            .last_chunk_mut::<3>()
            .into_iter()
            .for_each(|end| *end = "\u{20ac}".as_bytes().try_into().unwrap_or_default());
        assert_eq!(Text::lossy(&bytes).as_str(), "x".repeat(127));
    }

    #[test]
    fn bits_are_counted_from_the_lowest() {
        let mut bits = Bits([0; DATA_LEN]);
        assert!(bits.is_empty());
        bits.0 = [0; DATA_LEN];
        for (byte, value) in [(0, 0b10), (3, 0x80), (127, 0x80)] {
            if let Some(place) = bits.0.get_mut(byte) {
                *place = value;
            }
        }
        assert!(bits.iter().eq([1, 31, 1023]));
        assert!(!bits.contains(1024) && !bits.contains(u16::MAX));
    }
}
