//! This terminal as the kernel's shell, line by line.

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::failure::{Context, Result};
use crate::serial::{Serial, Waited};
use crate::stream;

/// Shows what the kernel said and says, and sends it what is typed here, until the line closes.
pub fn attach(serial: &Serial) -> Result {
    let echo = Arc::new(Mutex::new(Echo::default()));
    let mut line = serial.typist()?;
    let expected = Arc::clone(&echo);
    // Ends with the process: nothing wakes it from waiting for a line.
    thread::spawn(move || {
        let shows_what_is_typed = std::io::stdin().is_terminal();
        for typed in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            let typed = format!("{typed}\n");
            if shows_what_is_typed {
                expected.lock().unwrap_or_else(PoisonError::into_inner).expect(typed.as_bytes());
            }
            if line.write_all(typed.as_bytes()).is_err() {
                break;
            }
        }
    });

    let mut output = std::io::stdout();
    let received = serial.received();
    // Firmware text and the clearing of the screen would only take away what stands on the terminal.
    let mut shown = received.len() - stream::screen(&received).map_or(0, <[u8]>::len);
    if stream::screen(&received).is_some() {
        shown += stream::CLEAR_HOME.len();
    }
    loop {
        let more =
            serial.wait(None, |all| all.get(shown..).filter(|new| !new.is_empty()).map(<[u8]>::to_vec));
        let Waited::Found(new) = more else { return Ok(()) };
        shown += new.len();
        let new = echo.lock().unwrap_or_else(PoisonError::into_inner).remove(&new);
        output.write_all(&new).and_then(|()| output.flush()).context("terminal")?;
    }
}

/// What the kernel will echo although the terminal shows it already.
#[derive(Debug, Default)]
struct Echo(VecDeque<u8>);

impl Echo {
    fn expect(&mut self, typed: &[u8]) {
        self.0.extend(typed);
    }

    fn remove(&mut self, new: &[u8]) -> Vec<u8> {
        let is_news = |&byte: &u8| match self.0.front() {
            Some(&expected) if expected == byte => {
                self.0.pop_front();
                false
            }
            _ => {
                // Something it does not echo: whatever else was expected would be guessed.
                self.0.clear();
                true
            }
        };
        new.iter().copied().filter(is_news).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Echo;

    #[test]
    fn what_was_typed_is_not_shown_twice() {
        let mut echo = Echo::default();
        echo.expect(b"help\n");
        assert_eq!(echo.remove(b"he"), b"");
        assert_eq!(echo.remove(b"lp\nhelp: this text\n> "), b"help: this text\n> ");
    }

    #[test]
    fn what_is_not_echoed_hides_nothing_later() {
        let mut echo = Echo::default();
        echo.expect(b"a\tb\n");
        assert_eq!(echo.remove(b"ab\nb\n> "), b"b\nb\n> ");
    }
}
