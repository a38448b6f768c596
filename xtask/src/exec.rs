//! Running other programs, each with a time limit.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Context, Result, fail};
use crate::progress::Progress;

/// For anything that compiles or runs tests: far above what it takes, but not for ever.
pub const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);
/// For a download of some megabytes.
pub const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);
/// For a program that only answers a question.
pub const QUESTION_LIMIT: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(20);

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its error output.
    pub stderr: String,
}

impl Outcome {
    /// The outcome of a program that succeeded, or a failure with the end of what it said.
    pub fn success(self, what: &str) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        eprint!("{}{}", self.stdout, self.stderr);
        fail!("{what}: {}", self.status)
    }
}

/// Runs `command` with its output caught, and a spinner called `label` meanwhile.
pub fn run(command: &mut Command, label: &str, limit: Duration) -> Result<Outcome> {
    let mut progress = Progress::start(label);
    wait(command, limit, |line| progress.turn(line)).context(label)
}

/// Runs `command` with its output caught, saying nothing.
pub fn quiet(command: &mut Command, limit: Duration) -> Result<Outcome> {
    let name = command.get_program().to_string_lossy().into_owned();
    wait(command, limit, |_| {}).context(name)
}

/// Runs `command` with the terminal as its own, so that it can show progress or ask for a password.
pub fn attached(command: &mut Command, what: &str, limit: Duration) -> Result {
    let mut child = command.spawn().context(what)?;
    let status = wait_child(&mut child, limit, || {}).context(what)?;
    if !status.success() {
        fail!("{what}: {status}");
    }
    Ok(())
}

fn wait(command: &mut Command, limit: Duration, mut turn: impl FnMut(&str)) -> io::Result<Outcome> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = Collector::start(child.stdout.take());
    let stderr = Collector::start(child.stderr.take());
    let status = wait_child(&mut child, limit, || turn(&stderr.last_line()))?;
    Ok(Outcome { status, stdout: stdout.finish(), stderr: stderr.finish() })
}

fn wait_child(child: &mut Child, limit: Duration, mut turn: impl FnMut()) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            let seconds = limit.as_secs();
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("stopped after {seconds} s")));
        }
        turn();
        thread::sleep(POLL);
    }
}

/// Reads a pipe to its end on a thread, so that the program never blocks on it.
#[derive(Debug)]
pub struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts reading.
    pub fn start(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let thread = pipe.map(|mut pipe| {
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(len @ 1..) = pipe.read(&mut chunk) {
                    let read = chunk.get(..len).unwrap_or_default();
                    sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(read);
                }
            })
        });
        Self { bytes, thread }
    }

    /// What has come so far.
    pub fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn last_line(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let end = bytes.trim_ascii_end();
        let start = end.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(end.get(start..).unwrap_or_default()).into_owned()
    }

    /// All of it, once the pipe is closed.
    pub fn finish(mut self) -> String {
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; were it to, what it read is still here.
            let _ = thread.join();
        }
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_caught_whole() {
        let outcome =
            quiet(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]), QUESTION_LIMIT).unwrap();
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(outcome.status.code(), Some(3));
        assert!(outcome.success("sh").is_err());
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let begin = Instant::now();
        let failure = quiet(Command::new("sleep").arg("60"), Duration::from_millis(100)).unwrap_err();
        assert!(failure.to_string().contains("stopped after"), "{failure}");
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let failure = quiet(&mut Command::new("no-such-program"), QUESTION_LIMIT).unwrap_err();
        assert!(failure.to_string().contains("no-such-program"), "{failure}");
    }
}
