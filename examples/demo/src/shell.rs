//! The shell: a line editor, and what the lines mean.

use crate::style::{ACCENT, CLEAR, DIM, PLAIN, STRONG, WARN};
use core::fmt::{self, Write};

/// What the shell prints when it waits for a line.
pub const PROMPT: &str = "> ";

/// Longest line, in characters. With the prompt it fits on any screen the terminal is readable on.
pub const LINE: usize = 60;

const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;
const KILL_LINE: u8 = 0x15;
const ESCAPE: u8 = 0x1b;

/// Whether a stream of output ends where the shell waits for a line.
pub fn at_prompt(output: &[u8]) -> bool {
    output
        .strip_suffix(PROMPT.as_bytes())
        .is_some_and(|before| before.ends_with(b"\n") || before.ends_with(CLEAR.as_bytes()))
}

/// Collects a line from typed bytes, echoing them.
///
/// Backspace takes one character back, control-U all of them. Escape sequences (arrow keys on a serial line)
/// and other control bytes do nothing; neither does a character beyond [`LINE`].
#[derive(Debug)]
pub struct LineEditor {
    line: [u8; LINE],
    len: usize,
    /// The line has been handed out: the next byte begins a new one.
    done: bool,
    /// The last byte was `\r`: a `\n` now belongs to it.
    after_return: bool,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Started,
    Sequence,
}

impl LineEditor {
    /// An empty line.
    pub const fn new() -> Self {
        Self { line: [0; LINE], len: 0, done: false, after_return: false, escape: Escape::None }
    }

    /// Takes one typed byte. Returns the line when it was Enter (`\n`, `\r`, or both).
    ///
    /// # Errors
    ///
    /// Those of `echo`.
    pub fn feed(&mut self, byte: u8, echo: &mut impl Write) -> Result<Option<&str>, fmt::Error> {
        if core::mem::take(&mut self.done) {
            self.len = 0;
        }
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        if self.in_escape(byte) {
            return Ok(None);
        }
        match byte {
            b'\n' if after_return => {}
            b'\n' | b'\r' => {
                echo.write_char('\n')?;
                self.done = true;
                let line = self.line.get(..self.len).unwrap_or_default();
                // Only printable ASCII is ever stored.
                return Ok(Some(core::str::from_utf8(line).unwrap_or_default()));
            }
            BACKSPACE | DELETE => self.rub_out(echo)?,
            KILL_LINE => {
                while self.len > 0 {
                    self.rub_out(echo)?;
                }
            }
            b' '..=b'~' => {
                if let Some(place) = self.line.get_mut(self.len) {
                    *place = byte;
                    self.len += 1;
                    echo.write_char(char::from(byte))?;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn rub_out(&mut self, echo: &mut impl Write) -> fmt::Result {
        if self.len > 0 {
            self.len -= 1;
            echo.write_str("\x08 \x08")?;
        }
        Ok(())
    }

    /// Follows an escape sequence; true while the byte is part of one.
    fn in_escape(&mut self, byte: u8) -> bool {
        let (next, part) = match (self.escape, byte) {
            (_, ESCAPE) => (Escape::Started, true),
            (Escape::Started, b'[' | b'O') => (Escape::Sequence, true),
            (Escape::Sequence, 0x20..=0x3f) => (Escape::Sequence, true),
            (Escape::Sequence, 0x40..=0x7e) => (Escape::None, true),
            _ => (Escape::None, false),
        };
        self.escape = next;
        part
    }
}

impl Default for LineEditor {
    fn default() -> Self {
        Self::new()
    }
}

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// List the commands.
    Help,
    /// List every virtio device found.
    Devices,
    /// The features negotiated with each device.
    Features,
    /// What the monitor says of itself.
    Edid,
    /// Show the hardware cursor and move it.
    Cursor,
    /// List the interrupts, and how long the CPU has slept.
    Irq,
    /// Print random bytes.
    Rng,
    /// Show the disk, read from it, and write to it where nothing is.
    Blk,
    /// Bring the network up, and serve a page on it.
    Net,
    /// List the console's ports, and answer on them.
    Ports,
    /// Draw a test pattern.
    Colors,
    /// Clear the screen.
    Clear,
    /// Reset every device and power off.
    Off,
    /// An empty line.
    Empty,
    /// None of these; the word is kept.
    Unknown(&'a str),
}

/// The commands by name, each with a line of help.
const COMMANDS: [(&str, Command<'static>, &str); 13] = [
    ("help", Command::Help, "this list"),
    ("devices", Command::Devices, "every virtio device found, and where"),
    ("features", Command::Features, "the features negotiated with each device"),
    ("edid", Command::Edid, "what the monitor says of itself"),
    ("cursor", Command::Cursor, "move the hardware cursor"),
    ("irq", Command::Irq, "interrupts: how often each came, and how long the CPU slept"),
    ("rng", Command::Rng, "random bytes from the entropy device"),
    ("blk", Command::Blk, "the disk: its files, and a block written, read back, discarded"),
    ("net", Command::Net, "an address by DHCP, a ping, and this machine as a web page"),
    ("ports", Command::Ports, "the console's ports; what comes in by them goes back"),
    ("colors", Command::Colors, "a test pattern"),
    ("clear", Command::Clear, "an empty screen"),
    ("off", Command::Off, "reset every device and power off"),
];

impl<'a> Command<'a> {
    /// Reads a line. Case does not matter, nor does what follows the first word.
    pub fn parse(line: &'a str) -> Self {
        let Some(word) = line.split_ascii_whitespace().next() else { return Self::Empty };
        COMMANDS
            .iter()
            .find(|(name, ..)| name.eq_ignore_ascii_case(word))
            .map_or(Self::Unknown(word), |&(_, command, _)| command)
    }
}

/// Prints the list of commands.
///
/// # Errors
///
/// Those of `out`.
pub fn help(out: &mut impl Write) -> fmt::Result {
    for (name, _, text) in COMMANDS {
        writeln!(out, "  {ACCENT}{name:<10}{PLAIN}{DIM}{text}{PLAIN}")?;
    }
    Ok(())
}

/// Answers a command that does not exist.
///
/// # Errors
///
/// Those of `out`.
pub fn unknown(out: &mut impl Write, word: &str) -> fmt::Result {
    writeln!(out, "  {WARN}{word}{PLAIN} is not a command; {STRONG}help{PLAIN} lists them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// The lines that `bytes` make, and what was echoed.
    fn lines(bytes: &[u8]) -> (Vec<String>, String) {
        let mut editor = LineEditor::new();
        let mut echo = String::new();
        let mut lines = Vec::new();
        for &byte in bytes {
            if let Some(line) = editor.feed(byte, &mut echo).unwrap() {
                lines.push(line.into());
            }
        }
        (lines, echo)
    }

    #[test]
    fn enter_comes_in_three_forms() {
        let (lines, echo) = lines(b"a\nb\rc\r\nd\n\ne\r\r");
        assert_eq!(lines, ["a", "b", "c", "d", "", "e", ""]);
        assert_eq!(echo, "a\nb\nc\nd\n\ne\n\n");
    }

    #[test]
    fn backspace_stops_at_the_prompt() {
        let (lines, echo) = lines(b"\x08ab\x7f\x08\x08c\nxyz\x15z\n");
        assert_eq!(lines, ["c", "z"]);
        let rub = "\x08 \x08";
        assert_eq!(echo, alloc::format!("ab{rub}{rub}c\nxyz{rub}{rub}{rub}z\n"));
    }

    #[test]
    fn arrow_keys_and_controls_type_nothing() {
        let (lines, echo) = lines(b"o\x1b[A\x1b[1;5C\x1bOPf\x00\x07\xff\x1bf\n");
        assert_eq!(lines, ["off"]);
        assert_eq!(echo, "off\n");
    }

    #[test]
    fn a_line_has_an_end() {
        let (lines, echo) = lines(&[&[b'x'; 3 * LINE][..], b"\n"].concat());
        assert_eq!(lines, ["x".repeat(LINE)]);
        assert_eq!(echo.len(), LINE + 1);
    }

    #[test]
    fn any_bytes_do() {
        let all: Vec<u8> = (0..=255).flat_map(|a| (0..=255).flat_map(move |b| [a, b, 0x1b])).collect();
        let (lines, echo) = lines(&all);
        assert!(lines.iter().all(|line| line.len() <= LINE));
        assert!(echo.is_ascii());
    }

    #[test]
    fn words_become_commands() {
        assert_eq!(Command::parse("help"), Command::Help);
        assert_eq!(Command::parse("  EDID now"), Command::Edid);
        assert_eq!(Command::parse(" \t "), Command::Empty);
        assert_eq!(Command::parse("offf x"), Command::Unknown("offf"));
        let mut text = String::new();
        help(&mut text).unwrap();
        for (name, command, _) in COMMANDS {
            assert_eq!(Command::parse(name), command);
            assert!(text.contains(name));
        }
    }

    #[test]
    fn the_prompt_is_found_after_a_line_and_after_clear() {
        assert!(at_prompt(b"READY\n> "));
        assert!(at_prompt(b"\x1b[2J\x1b[H> "));
        assert!(!at_prompt(b"READY\n> h"));
        assert!(!at_prompt(b"a > "));
        assert!(!at_prompt(b""));
    }
}
