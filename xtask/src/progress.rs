//! What is going on right now: a spinner on a terminal, a plain line elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// One long job. Shown on the error output, so that results can be piped.
#[derive(Debug)]
pub struct Progress {
    label: String,
    started: Instant,
    drawn: Option<Instant>,
    frame: usize,
    terminal: bool,
    announced: bool,
}

/// Jobs that are over sooner go without a line where there is no terminal.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

const FRAMES: [char; 4] = ['|', '/', '-', '\\'];
const WIDTH: usize = 76;

impl Progress {
    /// Begins a job called `label`.
    pub fn start(label: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            label: label.to_owned(),
            started: Instant::now(),
            drawn: None,
            frame: 0,
            terminal,
            announced: false,
        }
    }

    /// Turns the spinner; call it often, it draws a few times a second.
    pub fn turn(&mut self, detail: &str) {
        if !self.terminal {
            if !self.announced && self.started.elapsed() >= WORTH_A_LINE {
                self.announced = true;
                eprintln!("{} ...", self.label);
            }
            return;
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < Duration::from_millis(120)) {
            return;
        }
        self.drawn = Some(Instant::now());
        self.frame = (self.frame + 1) % FRAMES.len();
        let spinner = FRAMES.get(self.frame).copied().unwrap_or(' ');
        let line =
            format!("{spinner} {} ({} s) {}", self.label, self.started.elapsed().as_secs(), detail.trim());
        let line: String = line.chars().filter(|letter| !letter.is_control()).take(WIDTH).collect();
        let mut terminal = std::io::stderr();
        // A spinner that cannot be drawn is no reason to stop.
        let _ = write!(terminal, "\r\x1b[K{line}").and_then(|()| terminal.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let mut terminal = std::io::stderr();
            let _ = write!(terminal, "\r\x1b[K").and_then(|()| terminal.flush());
        }
    }
}
