//! From key codes to characters: the US layout.
//!
//! A virtio keyboard reports keys as Linux does (VIRTIO 1.4 §5.8.6): the code of a key, not what is printed
//! on it.

/// What an unshifted and a shifted key mean, by its code. 0: nothing.
const KEYS: [(u8, u8); 58] = [
    (0, 0),
    (0x1b, 0x1b),
    (b'1', b'!'),
    (b'2', b'@'),
    (b'3', b'#'),
    (b'4', b'$'),
    (b'5', b'%'),
    (b'6', b'^'),
    (b'7', b'&'),
    (b'8', b'*'),
    (b'9', b'('),
    (b'0', b')'),
    (b'-', b'_'),
    (b'=', b'+'),
    (0x08, 0x08),
    (b'\t', b'\t'),
    (b'q', b'Q'),
    (b'w', b'W'),
    (b'e', b'E'),
    (b'r', b'R'),
    (b't', b'T'),
    (b'y', b'Y'),
    (b'u', b'U'),
    (b'i', b'I'),
    (b'o', b'O'),
    (b'p', b'P'),
    (b'[', b'{'),
    (b']', b'}'),
    (b'\n', b'\n'),
    (0, 0), // left control
    (b'a', b'A'),
    (b's', b'S'),
    (b'd', b'D'),
    (b'f', b'F'),
    (b'g', b'G'),
    (b'h', b'H'),
    (b'j', b'J'),
    (b'k', b'K'),
    (b'l', b'L'),
    (b';', b':'),
    (b'\'', b'"'),
    (b'`', b'~'),
    (0, 0), // left shift
    (b'\\', b'|'),
    (b'z', b'Z'),
    (b'x', b'X'),
    (b'c', b'C'),
    (b'v', b'V'),
    (b'b', b'B'),
    (b'n', b'N'),
    (b'm', b'M'),
    (b',', b'<'),
    (b'.', b'>'),
    (b'/', b'?'),
    (0, 0), // right shift
    (b'*', b'*'),
    (0, 0), // left alt
    (b' ', b' '),
];

/// The number pad, from code 71 on, as with num lock.
const PAD: &[u8; 13] = b"789-456+1230.";
const PAD_FIRST: u16 = 71;
const PAD_ENTER: u16 = 96;
const PAD_SLASH: u16 = 98;

const LEFT_CONTROL: u16 = 29;
const LEFT_SHIFT: u16 = 42;
const RIGHT_SHIFT: u16 = 54;
const CAPS_LOCK: u16 = 58;
const RIGHT_CONTROL: u16 = 97;

/// A key's state, as `value` of its event says it.
const RELEASED: u32 = 0;
const PRESSED: u32 = 1;

/// A keyboard: which modifiers are down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keyboard {
    left_shift: bool,
    right_shift: bool,
    left_control: bool,
    right_control: bool,
    caps_lock: bool,
}

impl Keyboard {
    /// A keyboard with nothing pressed.
    pub const fn new() -> Self {
        Self {
            left_shift: false,
            right_shift: false,
            left_control: false,
            right_control: false,
            caps_lock: false,
        }
    }

    /// Takes a key event (type `EV_KEY`) and says which character it types, if any. A key held down types
    /// again.
    ///
    /// Enter is `\n`, backspace 0x08, escape 0x1b; control with a letter is that letter's control character.
    pub fn key(&mut self, code: u16, value: u32) -> Option<u8> {
        let down = value != RELEASED;
        match code {
            LEFT_SHIFT => self.left_shift = down,
            RIGHT_SHIFT => self.right_shift = down,
            LEFT_CONTROL => self.left_control = down,
            RIGHT_CONTROL => self.right_control = down,
            CAPS_LOCK if value == PRESSED => self.caps_lock = !self.caps_lock,
            _ if down => return self.character(code),
            _ => {}
        }
        None
    }

    /// Whether caps lock is on.
    pub fn caps_lock(&self) -> bool {
        self.caps_lock
    }

    fn character(&self, code: u16) -> Option<u8> {
        let pad = || PAD.get(usize::from(code.checked_sub(PAD_FIRST)?)).copied();
        let (plain, shifted) = match code {
            PAD_ENTER => (b'\n', b'\n'),
            PAD_SLASH => (b'/', b'/'),
            _ => KEYS.get(usize::from(code)).copied().or_else(|| pad().map(|key| (key, key)))?,
        };
        let letter = plain.is_ascii_lowercase();
        if letter && (self.left_control || self.right_control) {
            return Some(plain & 0x1f);
        }
        let shift = (self.left_shift || self.right_shift) != (letter && self.caps_lock);
        let typed = if shift { shifted } else { plain };
        (typed != 0).then_some(typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn typed(keyboard: &mut Keyboard, codes: &[u16]) -> String {
        let press = |&code| {
            let typed = keyboard.key(code, PRESSED);
            assert_eq!(keyboard.key(code, RELEASED), None);
            typed.map(char::from)
        };
        codes.iter().filter_map(press).collect()
    }

    #[test]
    fn rows_of_the_keyboard() {
        let mut keyboard = Keyboard::new();
        let mut row = |codes: core::ops::RangeInclusive<u16>| {
            codes.filter_map(|code| keyboard.key(code, PRESSED)).map(char::from).collect::<String>()
        };
        assert_eq!(row(2..=13), "1234567890-=");
        assert_eq!(row(16..=27), "qwertyuiop[]");
        assert_eq!(row(30..=41), "asdfghjkl;'`");
        assert_eq!(row(43..=53), "\\zxcvbnm,./");
        assert_eq!(row(71..=83), "789-456+1230.");
        assert_eq!(row(14..=15), "\x08\t");
        assert_eq!(row(28..=28), "\n");
        assert_eq!(row(57..=57), " ");
        assert_eq!(row(96..=96), "\n");
    }

    #[test]
    fn shift_and_caps_lock() {
        let mut keyboard = Keyboard::new();
        assert_eq!(keyboard.key(LEFT_SHIFT, PRESSED), None);
        assert_eq!(keyboard.key(RIGHT_SHIFT, PRESSED), None);
        assert_eq!(typed(&mut keyboard, &[35, 2, 40]), "H!\"");
        assert_eq!(keyboard.key(LEFT_SHIFT, RELEASED), None);
        assert_eq!(typed(&mut keyboard, &[35]), "H", "the other shift is still down");
        keyboard.key(RIGHT_SHIFT, RELEASED);
        assert_eq!(typed(&mut keyboard, &[35, CAPS_LOCK, 35, 2]), "hH1");
        keyboard.key(CAPS_LOCK, 2);
        keyboard.key(LEFT_SHIFT, PRESSED);
        assert_eq!(typed(&mut keyboard, &[35]), "h", "shift undoes caps lock");
    }

    #[test]
    fn a_held_key_repeats_and_control_makes_controls() {
        let mut keyboard = Keyboard::new();
        assert_eq!(keyboard.key(30, 2), Some(b'a'));
        keyboard.key(RIGHT_CONTROL, PRESSED);
        assert_eq!(typed(&mut keyboard, &[22, 2]), "\x151");
    }

    #[test]
    fn every_code_and_value_is_answered() {
        let mut keyboard = Keyboard::new();
        for code in 0..=u16::MAX {
            for value in [0, 1, 2, 3, u32::MAX] {
                if let Some(typed) = keyboard.key(code, value) {
                    assert!(typed.is_ascii() && value != RELEASED);
                }
            }
        }
    }
}
