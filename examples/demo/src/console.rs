//! One byte stream to two places: the screen first, then the serial line.

use crate::terminal::Terminal;
use core::fmt;

/// Bytes kept back until the screen has shown them.
const BUFFER: usize = 1024;

/// Where a [`Console`] ends up.
pub trait Output {
    /// Why the screen cannot show something.
    type Error;

    /// Paints what changed on `terminal` and returns when the screen shows it.
    ///
    /// # Errors
    ///
    /// The screen cannot be drawn to.
    fn show(&mut self, terminal: &mut Terminal) -> Result<(), Self::Error>;

    /// Sends bytes down the serial line.
    fn send(&mut self, bytes: &[u8]);
}

/// A [`fmt::Write`] whose text appears on the screen and is sent only when it is there: who reads it on the
/// serial line may take a picture of it at once.
#[derive(Debug)]
pub struct Console<'t, O: Output> {
    terminal: &'t mut Terminal,
    output: O,
    pending: [u8; BUFFER],
    len: usize,
    /// The first thing that went wrong inside [`fmt::Write`], which cannot say it.
    error: Option<O::Error>,
}

impl<'t, O: Output> Console<'t, O> {
    /// A console on a terminal that knows its screen's size.
    pub fn new(terminal: &'t mut Terminal, output: O) -> Self {
        Self { terminal, output, pending: [0; BUFFER], len: 0, error: None }
    }

    /// Shows, then sends, all that has been written.
    ///
    /// # Errors
    ///
    /// Those of [`Output::show`], now or at an earlier write; nothing that was not shown is sent.
    pub fn flush(&mut self) -> Result<(), O::Error> {
        if let Some(error) = self.error.take() {
            self.len = 0;
            return Err(error);
        }
        let len = core::mem::take(&mut self.len);
        self.output.show(self.terminal)?;
        self.output.send(self.pending.get(..len).unwrap_or_default());
        Ok(())
    }

    /// The output, to use the screen for something besides text.
    pub fn output(&mut self) -> &mut O {
        &mut self.output
    }

    /// The terminal's width, in characters.
    pub fn columns(&self) -> u16 {
        self.terminal.columns()
    }

    /// Gives the output back. What has not been flushed is lost.
    pub fn into_output(self) -> O {
        self.output
    }

    /// Replaces the output by what `change` makes of it; everything is painted anew at the next flush.
    ///
    /// # Errors
    ///
    /// Those of `change`.
    pub fn change<E>(mut self, change: impl FnOnce(O) -> Result<O, E>) -> Result<Self, E> {
        self.output = change(self.output)?;
        self.repaint();
        Ok(self)
    }

    /// The next flush paints everything, not just what has changed.
    pub fn repaint(&mut self) {
        self.terminal.repaint();
    }

    fn push(&mut self, byte: u8) -> fmt::Result {
        if self.len == BUFFER
            && let Err(error) = self.flush()
        {
            self.error = Some(error);
            return Err(fmt::Error);
        }
        if let Some(place) = self.pending.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
        self.terminal.write(&[byte]);
        Ok(())
    }
}

impl<O: Output> fmt::Write for Console<'_, O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.push(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::terminal;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::fmt::Write;

    /// Keeps what was sent, and the screen's first row each time it was shown.
    #[derive(Default)]
    struct Recorder {
        shown: Vec<String>,
        sent: Vec<u8>,
        fail: bool,
    }

    impl Output for Recorder {
        type Error = &'static str;

        fn show(&mut self, terminal: &mut Terminal) -> Result<(), Self::Error> {
            if self.fail {
                return Err("no screen");
            }
            self.shown.push(terminal.row(0).collect::<String>().trim_end().into());
            Ok(())
        }

        fn send(&mut self, bytes: &[u8]) {
            assert!(!self.shown.is_empty(), "sent before it was shown");
            self.sent.extend_from_slice(bytes);
        }
    }

    #[test]
    fn shows_before_it_sends() {
        let mut terminal = terminal(640, 480);
        let mut console = Console::new(&mut terminal, Recorder::default());
        console.write_str("hello").unwrap();
        assert!(console.output().shown.is_empty());
        console.flush().unwrap();
        let output = console.into_output();
        assert_eq!(output.shown, ["hello"]);
        assert_eq!(output.sent, b"hello");
    }

    #[test]
    fn long_output_arrives_whole_and_in_order() {
        let mut terminal = terminal(640, 480);
        let mut console = Console::new(&mut terminal, Recorder::default());
        let mut all = String::new();
        for number in 0..1000 {
            writeln!(console, "line {number}").unwrap();
            writeln!(all, "line {number}").unwrap();
        }
        console.flush().unwrap();
        let output = console.into_output();
        assert_eq!(output.sent, all.as_bytes());
        assert!(output.shown.len() > 5);
    }

    #[test]
    fn another_output_is_given_everything_anew() {
        let mut terminal = terminal(640, 480);
        let mut console = Console::new(&mut terminal, Recorder::default());
        console.write_str("before").unwrap();
        console.flush().unwrap();
        let mut console = console.change(|_| Ok::<_, &str>(Recorder::default())).unwrap();
        console.write_str(" and after").unwrap();
        console.flush().unwrap();
        let Recorder { shown, sent, .. } = console.output();
        assert_eq!((shown.concat(), &sent[..]), ("before and after".into(), &b" and after"[..]));
        assert_eq!(console.change(|_| Err("none")).err(), Some("none"));
    }

    #[test]
    fn nothing_unshown_is_sent() {
        let mut terminal = terminal(640, 480);
        let mut console = Console::new(&mut terminal, Recorder { fail: true, ..Recorder::default() });
        let long = "x".repeat(BUFFER + 1);
        assert!(console.write_str(&long).is_err());
        assert_eq!(console.flush(), Err("no screen"));
        console.output().fail = false;
        console.write_str("y").unwrap();
        console.flush().unwrap();
        assert_eq!(console.into_output().sent, b"y");
    }
}
