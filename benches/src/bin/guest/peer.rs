//! The other end of the wire: a socket of datagrams, each a frame, that QEMU's `dgram` backend is connected to.
//!
//! It counts what it gets, and answers frames of a kind of its own: `send COUNT LENGTH` with so many frames, `count` with how
//! many frames it has got since. What it does takes time of the host, and no instruction of the guest.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Fault;

/// Bytes of an Ethernet header.
const HEADER: usize = 14;
/// The ethertype for local experiments.
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
/// The shortest frame.
const SHORTEST: usize = 64;
/// How often it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// What a frame asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ask {
    Send(u32, u16),
    Count,
}

fn parse(frame: &[u8]) -> Option<Ask> {
    if frame.get(12..HEADER)? != EXPERIMENT {
        return None;
    }
    let words = frame.get(HEADER..)?;
    if words.starts_with(b"count") {
        return Some(Ask::Count);
    }
    let numbers = words.strip_prefix(b"send")?;
    let count = u32::from_le_bytes(numbers.get(..4)?.try_into().ok()?);
    let len = u16::from_le_bytes(numbers.get(4..6)?.try_into().ok()?);
    Some(Ask::Send(count, len))
}

/// A frame of `len` bytes to everybody, with a number in it.
fn frame(len: usize, number: u32) -> Vec<u8> {
    let mut frame = vec![0; len.max(SHORTEST)];
    frame[..6].fill(0xff);
    frame[6] = 6;
    frame[12..HEADER].copy_from_slice(&EXPERIMENT);
    frame[HEADER..18].copy_from_slice(&number.to_le_bytes());
    frame
}

/// The peer, at work until it is dropped.
pub struct Peer {
    folder: PathBuf,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Peer {
    /// Begins to listen, in a fresh folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn start() -> Result<Self, Fault> {
        let folder = std::env::temp_dir().join(format!("virtio-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        for old in [folder.join("host"), folder.join("guest")] {
            match std::fs::remove_file(old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let socket = UnixDatagram::bind(folder.join("host"))?;
        socket.set_read_timeout(Some(LOOK))?;
        let end = Arc::new(AtomicBool::new(false));
        let (ended, guest) = (Arc::clone(&end), folder.join("guest"));
        let thread = std::thread::spawn(move || serve(&socket, &guest, &ended));
        Ok(Self { folder, end, thread: Some(thread) })
    }

    /// The backend, called `id`.
    pub fn netdev(&self, id: &str) -> OsString {
        let path = |name| self.folder.join(name).display().to_string().replace(',', ",,");
        format!(
            "dgram,id={id},local.type=unix,local.path={},remote.type=unix,remote.path={}",
            path("guest"),
            path("host")
        )
        .into()
    }

    /// Ends it.
    ///
    /// # Errors
    /// What kept it from its work.
    pub fn finish(mut self) -> Result<(), Fault> {
        self.end.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => Ok(outcome?),
            _ => Err("the peer has failed".into()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        // Only litter in the temporary folder is left if this fails.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn serve(socket: &UnixDatagram, guest: &Path, end: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = [0; 65536];
    let mut count = 0;
    while !end.load(Ordering::Relaxed) {
        let len = match socket.recv(&mut buffer) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(error) => return Err(error),
        };
        match parse(&buffer[..len]) {
            None => count += 1,
            Some(Ask::Count) => {
                socket.send_to(&frame(SHORTEST, count), guest)?;
                count = 0;
            }
            Some(Ask::Send(frames, len)) => {
                let frame = frame(len.into(), 0);
                for _ in 0..frames {
                    socket.send_to(&frame, guest)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_understood() {
        assert_eq!(parse(&[0xff; 64]), None);
        let mut ask = frame(64, 0);
        ask[HEADER..18].copy_from_slice(b"send");
        ask[18..22].copy_from_slice(&7_u32.to_le_bytes());
        ask[22..24].copy_from_slice(&1514_u16.to_le_bytes());
        assert_eq!(parse(&ask), Some(Ask::Send(7, 1514)));
        ask[HEADER..19].copy_from_slice(b"count");
        assert_eq!(parse(&ask), Some(Ask::Count));
        assert_eq!(parse(&ask[..HEADER]), None);
    }

    #[test]
    fn it_counts_and_sends() {
        let peer = Peer::start().unwrap();
        let guest = UnixDatagram::bind(peer.folder.join("guest")).unwrap();
        guest.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        guest.connect(peer.folder.join("host")).unwrap();
        guest.send(&[0; 100]).unwrap();
        guest.send(&[0; 100]).unwrap();
        let mut ask = frame(64, 0);
        ask[HEADER..19].copy_from_slice(b"count");
        guest.send(&ask).unwrap();
        let mut answer = [0; 2048];
        assert_eq!(guest.recv(&mut answer).unwrap(), 64);
        assert_eq!(answer[HEADER..18], 2_u32.to_le_bytes());
        ask[HEADER..18].copy_from_slice(b"send");
        ask[18..22].copy_from_slice(&3_u32.to_le_bytes());
        ask[22..24].copy_from_slice(&1514_u16.to_le_bytes());
        guest.send(&ask).unwrap();
        for _ in 0..3 {
            assert_eq!(guest.recv(&mut answer).unwrap(), 1514);
        }
        peer.finish().unwrap();
    }
}
