//! The escape sequences, as a state machine over bytes. It accepts any bytes at all: what it does not know it
//! swallows, and a control byte always ends what it interrupts, so no output is lost past a broken sequence.

use super::cell::{Color, Pen};

/// Two 24-bit colours in one sequence are ten parameters.
const PARAMETERS: usize = 16;

/// What one byte, or the sequence it completes, asks of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing (yet).
    None,
    /// Show a character.
    Print(u8),
    /// A C0 control: line feed, carriage return, backspace, tab, or one nobody answers to.
    Control(u8),
    /// Go to a row and column, counted from 0.
    MoveTo { row: u16, column: u16 },
    /// Blank the whole screen.
    ClearScreen,
    /// Blank from the cursor to the end of its line.
    ClearToEndOfLine,
    /// Change the pen by the collected parameters ([`Parser::apply`]).
    Pen,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After ESC [.
    Sequence,
    /// In a sequence of a kind we do not know.
    Ignore,
    /// In an operating-system command or the like, which runs to the next control byte.
    Text,
}

/// Where in a sequence we are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parser {
    state: State,
    parameters: [u16; PARAMETERS],
    /// How many are complete; beyond the maximum they are counted, not kept.
    count: usize,
}

impl Parser {
    pub(crate) const fn new() -> Self {
        Self { state: State::Ground, parameters: [0; PARAMETERS], count: 0 }
    }

    pub(crate) fn feed(&mut self, byte: u8) -> Action {
        if byte == 0x1b {
            self.state = State::Escape;
            return Action::None;
        }
        if byte < 0x20 {
            self.state = State::Ground;
            return Action::Control(byte);
        }
        match self.state {
            State::Ground => Action::Print(byte),
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Sequence,
                    b']' | b'P' | b'X' | b'^' | b'_' => State::Text,
                    0x20..=0x2f => State::Escape,
                    _ => State::Ground,
                };
                self.parameters = [0; PARAMETERS];
                self.count = 0;
                Action::None
            }
            State::Sequence => self.sequence(byte),
            State::Ignore => {
                if let 0x40..=0x7e = byte {
                    self.state = State::Ground;
                }
                Action::None
            }
            State::Text => Action::None,
        }
    }

    fn sequence(&mut self, byte: u8) -> Action {
        match byte {
            b'0'..=b'9' => {
                if let Some(value) = self.parameters.get_mut(self.count) {
                    *value = value.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
                Action::None
            }
            b';' => {
                self.count = self.count.saturating_add(1);
                Action::None
            }
            0x40..=0x7e => {
                self.state = State::Ground;
                self.dispatch(byte)
            }
            _ => {
                self.state = State::Ignore;
                Action::None
            }
        }
    }

    fn dispatch(&self, last: u8) -> Action {
        let [first, second, ..] = self.parameters;
        match (last, first) {
            (b'm', _) => Action::Pen,
            (b'H', _) => Action::MoveTo { row: first.saturating_sub(1), column: second.saturating_sub(1) },
            (b'J', 2) => Action::ClearScreen,
            (b'K', 0) => Action::ClearToEndOfLine,
            _ => Action::None,
        }
    }

    /// Applies the colours and weights just parsed to `pen`.
    pub(crate) fn apply(&self, pen: &mut Pen) {
        let mut rest = self.parameters.iter().copied().take(self.count.saturating_add(1));
        while let Some(code) = rest.next() {
            match code {
                0 => *pen = Pen::new(),
                1 => pen.bold = true,
                22 => pen.bold = false,
                30..=37 => pen.foreground = Color::named(code - 30),
                38 => pen.foreground = extended(&mut rest).or(pen.foreground),
                39 => pen.foreground = None,
                40..=47 => pen.background = Color::named(code - 40),
                48 => pen.background = extended(&mut rest).or(pen.background),
                49 => pen.background = None,
                90..=97 => pen.foreground = Color::named(code - 90 + 8),
                100..=107 => pen.background = Color::named(code - 100 + 8),
                _ => {}
            }
        }
    }
}

/// The colour after 38 or 48: `2;r;g;b`. The 256-colour form `5;n` is skipped.
fn extended(rest: &mut impl Iterator<Item = u16>) -> Option<Color> {
    match rest.next()? {
        2 => Some(Color::rgb(rest.next()?, rest.next()?, rest.next()?)),
        5 => {
            rest.next()?;
            None
        }
        _ => None,
    }
}
