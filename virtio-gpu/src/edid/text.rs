//! Text in an EDID. What is no printable ASCII is shown as `?`.

use core::fmt;

/// The longest text of a descriptor.
const NAME_LEN: usize = 13;

/// A printable character, or `?`.
const fn printable(byte: u8) -> u8 {
    if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'?' }
}

/// The text of a display descriptor, such as the product's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_LEN],
    len: usize,
}

impl Name {
    /// The text up to a line feed, without the spaces at its end.
    pub(super) fn new(text: &[u8; NAME_LEN]) -> Self {
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(NAME_LEN);
        let text = text.get(..end).unwrap_or_default().trim_ascii_end();
        let mut bytes = [0; NAME_LEN];
        for (place, byte) in bytes.iter_mut().zip(text) {
            *place = printable(*byte);
        }
        Self { bytes, len: text.len() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.len).unwrap_or_default()).unwrap_or_default()
    }
}

/// The three letters by which a manufacturer is registered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Letters([u8; 3]);

impl Letters {
    /// Three letters of five bits, A being 1.
    pub(super) fn unpack(packed: u16) -> Self {
        let letter = |shift: u32| match packed.checked_shr(shift).unwrap_or(0) & 0x1f {
            number @ 1..=26 => u8::try_from(number).unwrap_or(0).saturating_add(b'A' - 1),
            _ => b'?',
        };
        Self([letter(10), letter(5), letter(0)])
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

macro_rules! shown {
    ($($name:ident),+) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}", self.as_str());
            }
        }
    )+ };
}
shown!(Name, Letters);
