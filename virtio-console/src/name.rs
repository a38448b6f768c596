//! What a port is called.

use core::fmt;

/// Bytes of a name that are kept.
pub(crate) const NAME_LEN: usize = 64;

/// The name that the device gave a port (VIRTIO 1.4 §5.3.6.2), cut to 64 bytes. What was not UTF-8 in it is `?`, and so are
/// control characters: it can be printed without commanding a terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_LEN],
    len: usize,
}

impl Name {
    /// No name.
    pub(crate) const EMPTY: Self = Self { bytes: [0; NAME_LEN], len: 0 };

    /// Takes the bytes up to the first zero, as many characters as fit.
    pub(crate) fn lossy(bytes: &[u8]) -> Self {
        let mut name = Self::EMPTY;
        let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        for chunk in bytes.utf8_chunks() {
            let printable = chunk.valid().chars().map(|char| if char.is_control() { '?' } else { char });
            let wrong = (!chunk.invalid().is_empty()).then_some('?');
            // Whole characters, or none: and none behind one that does not fit.
            if !printable.chain(wrong).all(|char| name.push(char)) {
                break;
            }
        }
        name
    }

    fn push(&mut self, char: char) -> bool {
        let end = self.len.saturating_add(char.len_utf8());
        let Some(place) = self.bytes.get_mut(self.len..end) else { return false };
        char.encode_utf8(place);
        self.len = end;
        true
    }

    /// The text. Empty if the device gave none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        // Only whole characters are ever put in.
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_are_cut_at_characters_and_command_no_terminal() {
        assert_eq!(Name::lossy(b"org.qemu.guest_agent.0\0junk").as_str(), "org.qemu.guest_agent.0");
        assert_eq!(Name::lossy(b"\x1b[2J\xffx\r").to_string(), "?[2J?x?");
        assert_eq!(Name::lossy(b"").as_str(), "");
        assert_eq!(Name::lossy(&[b'a'; 100]).as_str(), "a".repeat(64));
        // 63 bytes and a character of two: it does not fit, and nothing behind it is taken.
        let name = ["a".repeat(63).as_bytes(), "äbc".as_bytes()].concat();
        assert_eq!(Name::lossy(&name).as_str(), "a".repeat(63));
        let name = ["a".repeat(62).as_bytes(), "äbc".as_bytes()].concat();
        assert_eq!(Name::lossy(&name).as_str(), "a".repeat(62) + "ä");
    }
}
