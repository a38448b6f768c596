//! The test's end of a network card's cable: frames as they are, each a datagram.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long QEMU may take to make room for a frame.
const LIMIT: Duration = Duration::from_secs(20);
/// Longer than any frame, those of segmentation offload included.
const ROOM: usize = 70_000;

/// The end of a cable.
#[derive(Debug)]
pub struct Wire {
    socket: UnixDatagram,
    /// QEMU's end.
    other: PathBuf,
}

impl Wire {
    /// The end at `ours`, of a cable whose other end QEMU is to put at `other`.
    pub(crate) fn new(ours: PathBuf, other: PathBuf) -> io::Result<Self> {
        let socket = UnixDatagram::bind(ours)?;
        socket.set_write_timeout(Some(LIMIT))?;
        Ok(Self { socket, other })
    }

    /// Sends a frame to the card.
    ///
    /// # Errors
    /// QEMU is gone, or takes no more.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, &self.other).map(drop)
    }

    /// The next frame from the card; `None` if none comes in time.
    ///
    /// # Errors
    /// The socket has failed.
    pub fn receive(&self, limit: Duration) -> io::Result<Option<Vec<u8>>> {
        let end = Instant::now() + limit;
        let mut frame = vec![0; ROOM];
        loop {
            // A limit of 0 would mean none.
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.recv(&mut frame) {
                Ok(len) => {
                    frame.truncate(len);
                    return Ok(Some(frame));
                }
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

    /// Throws away what has come and was not taken.
    ///
    /// # Errors
    /// As for [`Wire::receive`].
    pub fn clear(&self) -> io::Result<()> {
        while self.receive(Duration::ZERO)?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn frames_are_kept_apart() {
        let folder = Scratch::new().unwrap();
        let (a, b) = (folder.file("a"), folder.file("b"));
        let [one, two] = [Wire::new(a.clone(), b.clone()).unwrap(), Wire::new(b, a).unwrap()];
        one.send(&[1; 60]).unwrap();
        one.send(&[2; 1514]).unwrap();
        let soon = Duration::from_millis(20);
        assert_eq!(two.receive(soon).unwrap(), Some(vec![1; 60]));
        assert_eq!(two.receive(soon).unwrap(), Some(vec![2; 1514]));
        assert_eq!(two.receive(soon).unwrap(), None);
        one.send(&[3; 60]).unwrap();
        two.clear().unwrap();
        assert_eq!(two.receive(Duration::ZERO).unwrap(), None);
    }
}
