//! Lines over a socket: one reader, and every read with a time limit.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// A socket on which each side sends lines.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: UnixStream,
    /// What was read; the first `taken` bytes are done with.
    buffer: Vec<u8>,
    taken: usize,
}

impl Lines {
    /// Waits for QEMU, which is to connect to `listener`. Ends at once if it has ended.
    pub(crate) fn accept(listener: &UnixListener, qemu: &mut Child, limit: Duration) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let end = Instant::now() + limit;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(Self { stream, buffer: Vec::with_capacity(4096), taken: 0 });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if let Some(status) = qemu.try_wait()? {
                return Err(io::Error::other(format!("QEMU ended at its start: {status}")));
            }
            if Instant::now() >= end {
                return Err(io::Error::new(ErrorKind::TimedOut, "QEMU did not connect"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends bytes, a line end included.
    pub(crate) fn send(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line)
    }

    /// The next line, without its end; `None` if none comes in time.
    pub(crate) fn next(&mut self, limit: Duration) -> io::Result<Option<String>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(line) = self.whole_line() {
                return Ok(Some(line));
            }
            // A limit of 0 would mean none.
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "QEMU has closed a socket")),
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= end {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn whole_line(&mut self) -> Option<String> {
        let rest = &self.buffer[self.taken..];
        let len = rest.iter().position(|&byte| byte == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..len]).trim_end().to_owned();
        self.taken += len + 1;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        Some(line)
    }
}

/// A socket that waits for QEMU.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    UnixListener::bind(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Lines, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Lines { stream: ours, buffer: Vec::new(), taken: 0 }, theirs)
    }

    #[test]
    fn lines_come_whole_however_they_were_sent() {
        let (mut lines, mut theirs) = pair();
        theirs.write_all(b"one\ntwo\r\nthr").unwrap();
        let soon = Duration::from_millis(20);
        assert_eq!(lines.next(soon).unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next(soon).unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next(soon).unwrap(), None);
        theirs.write_all(b"ee\n").unwrap();
        assert_eq!(lines.next(soon).unwrap().as_deref(), Some("three"));
    }

    #[test]
    fn a_closed_socket_is_an_error_and_a_silent_one_is_not() {
        let (mut lines, theirs) = pair();
        assert_eq!(lines.next(Duration::from_millis(5)).unwrap(), None);
        drop(theirs);
        assert!(lines.next(Duration::from_millis(5)).is_err());
    }
}
