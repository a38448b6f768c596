//! The host's end of a console port: a socket that is connected for as long as this lives.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long QEMU may take to make room for bytes.
const LIMIT: Duration = Duration::from_secs(20);

/// The host's end. While it lives, the port is open on the host's side.
#[derive(Debug)]
pub struct Plug(UnixStream);

impl Plug {
    /// Connects to a port.
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self(stream))
    }

    /// Sends bytes to the port.
    ///
    /// # Errors
    /// QEMU is gone, or takes no more.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// What is there, until `len` bytes have come or time is up; fewer then, and also if QEMU has closed the port.
    ///
    /// # Errors
    /// The socket has failed.
    pub fn receive(&mut self, len: usize, limit: Duration) -> io::Result<Vec<u8>> {
        let end = Instant::now() + limit;
        let (mut bytes, mut filled) = (vec![0; len], 0);
        while filled < len {
            // A limit of 0 would mean none.
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            self.0.set_read_timeout(Some(left))?;
            match self.0.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= end {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// A second handle, for a thread that sends while another receives.
    ///
    /// # Errors
    /// There is no more room for handles.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn bytes_are_waited_for_no_longer_than_it_was_said() {
        let folder = Scratch::new().unwrap();
        let listener = UnixListener::bind(folder.file("line")).unwrap();
        let mut plug = Plug::connect(&folder.file("line")).unwrap();
        let (mut other, _) = listener.accept().unwrap();
        let soon = Duration::from_millis(20);
        other.write_all(b"one").unwrap();
        other.write_all(b"two").unwrap();
        assert_eq!(plug.receive(4, soon).unwrap(), b"onet");
        assert_eq!(plug.receive(4, soon).unwrap(), b"wo", "and no more");
        plug.send(b"back").unwrap();
        let mut back = [0; 4];
        other.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"back");
        drop(other);
        assert_eq!(plug.receive(4, soon).unwrap(), b"", "closed");
    }
}
