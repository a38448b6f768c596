//! The guest's serial line: everything it ever said, and a way to type.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Context, Result};

/// Turns what comes over the line into the terminal's text; the identity, or a defmt decoder.
pub type Decode = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// Both directions of the line.
#[derive(Debug)]
pub struct Serial {
    line: UnixStream,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<u8>,
    closed: bool,
}

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// With what was waited for.
    Found(T),
    /// The other side hung up.
    Closed,
    /// Time was up.
    TimedOut,
}

impl Serial {
    /// Starts listening on `line`.
    pub fn start(line: UnixStream, mut decode: Decode) -> Result<Self> {
        let mut input = line.try_clone().context("serial line")?;
        let shared = Arc::new(Shared::default());
        let sink = Arc::clone(&shared);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(len @ 1..) = input.read(&mut chunk) {
                let text = decode(chunk.get(..len).unwrap_or_default());
                sink.lock().received.extend_from_slice(&text);
                sink.changed.notify_all();
            }
            sink.lock().closed = true;
            sink.changed.notify_all();
        });
        Ok(Self { line, shared })
    }

    /// Types `bytes`.
    pub fn send(&self, bytes: &[u8]) -> Result {
        (&self.line).write_all(bytes).context("typing on the serial line")
    }

    /// A second hand on the line, for a thread that only types.
    pub fn typist(&self) -> Result<UnixStream> {
        self.line.try_clone().context("serial line")
    }

    /// All that has been received.
    pub fn received(&self) -> Vec<u8> {
        self.shared.lock().received.clone()
    }

    /// Waits until `look` finds something in all that has been received.
    ///
    /// What it finds in the last bytes counts even when the line is closed by then.
    pub fn wait<T>(&self, deadline: Option<Instant>, mut look: impl FnMut(&[u8]) -> Option<T>) -> Waited<T> {
        /// A deadline far enough to be none.
        const LONG: Duration = Duration::from_secs(3600);
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = look(&state.received) {
                return Waited::Found(found);
            }
            if state.closed {
                return Waited::Closed;
            }
            let left = deadline.map_or(LONG, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Waited::TimedOut;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Serial, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Serial::start(ours, Box::new(<[u8]>::to_vec)).unwrap(), theirs)
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn waiting_sees_pieces_together() {
        let (serial, mut guest) = pair();
        let writer = thread::spawn(move || {
            for piece in ["RE", "AD", "Y"] {
                guest.write_all(piece.as_bytes()).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
            guest
        });
        let found = serial.wait(soon(), |all| (all == b"READY").then_some(()));
        assert_eq!(found, Waited::Found(()));
        drop(writer.join().unwrap());
    }

    #[test]
    fn hanging_up_and_time_are_told_apart() {
        let (serial, guest) = pair();
        let soon_over = Some(Instant::now() + Duration::from_millis(20));
        assert_eq!(serial.wait(soon_over, |_| None::<()>), Waited::TimedOut);
        drop(guest);
        assert_eq!(serial.wait(soon(), |_| None::<()>), Waited::Closed);
    }

    #[test]
    fn what_is_typed_arrives() {
        let (serial, mut guest) = pair();
        serial.send(b"off\n").unwrap();
        let mut typed = [0; 4];
        guest.read_exact(&mut typed).unwrap();
        assert_eq!(&typed, b"off\n");
    }
}
