//! Characters and the keys that make them on a US keyboard, by QEMU's names.

/// A key, and whether Shift is held with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// QEMU's name of it (a `QKeyCode` of QMP).
    pub code: &'static str,
    /// Shift is down too.
    pub shift: bool,
}

/// Letters and digits, whose keys are called like themselves.
const SELF_NAMED: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

/// Other keys: plain character, character with Shift, name.
const NAMED: [(char, char, &str); 22] = [
    ('`', '~', "grave_accent"),
    ('-', '_', "minus"),
    ('=', '+', "equal"),
    ('[', '{', "bracket_left"),
    (']', '}', "bracket_right"),
    ('\\', '|', "backslash"),
    (';', ':', "semicolon"),
    ('\'', '"', "apostrophe"),
    (',', '<', "comma"),
    ('.', '>', "dot"),
    ('/', '?', "slash"),
    ('1', '!', "1"),
    ('2', '@', "2"),
    ('3', '#', "3"),
    ('4', '$', "4"),
    ('5', '%', "5"),
    ('6', '^', "6"),
    ('7', '&', "7"),
    ('8', '*', "8"),
    ('9', '(', "9"),
    ('0', ')', "0"),
    (' ', ' ', "spc"),
];

/// The Enter key.
pub const ENTER: Key = Key { code: "ret", shift: false };

/// The key for `letter`, if there is one.
pub fn key(letter: char) -> Option<Key> {
    let lower = letter.to_ascii_lowercase();
    if let Some(at) = SELF_NAMED.find(lower) {
        let code = SELF_NAMED.get(at..=at)?;
        return Some(Key { code, shift: letter.is_ascii_uppercase() });
    }
    NAMED.iter().find_map(|&(plain, shifted, code)| {
        (letter == plain || letter == shifted).then_some(Key { code, shift: letter != plain })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_has_a_key() {
        for letter in ' '..='~' {
            assert!(key(letter).is_some(), "{letter:?}");
        }
    }

    #[test]
    fn shift_is_held_where_it_must_be() {
        assert_eq!(key('a'), Some(Key { code: "a", shift: false }));
        assert_eq!(key('A'), Some(Key { code: "a", shift: true }));
        assert_eq!(key('1'), Some(Key { code: "1", shift: false }));
        assert_eq!(key('!'), Some(Key { code: "1", shift: true }));
        assert_eq!(key(' '), Some(Key { code: "spc", shift: false }));
        assert_eq!(key('?'), Some(Key { code: "slash", shift: true }));
    }

    #[test]
    fn what_no_us_keyboard_has_is_none() {
        assert_eq!(key('ä'), None);
        assert_eq!(key('\n'), None);
    }
}
