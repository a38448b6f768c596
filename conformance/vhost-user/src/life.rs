//! A device's status, which vhost-user does not have, and what stands for it.
//!
//! A back-end knows no reset. It can be told to stop each ring (GET_VRING_BASE), and its answer says where it stopped to look
//! for requests; but those that it had begun may go on: QEMU 7.2's disks write to the used ring, and whatever a read was to
//! write, after they have answered. So the proof that memory is ours again is another one. After the rings were stopped our side
//! of the connection is closed; the back-end ends what it has begun, unmaps the memory, and closes its side. Status 0 is read
//! when, and only when, that has been seen. A later driver connects anew.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use virtio_core::Status;

use crate::link::{Answer, Link, hung_up};
use crate::memory::Memory;

/// The device, from one reset to the next, and the next.
pub(crate) struct Life {
    path: PathBuf,
    memory: &'static Memory,
    phase: Phase,
    /// What was written last.
    status: Status,
    /// What was written of the features.
    accepted: u64,
    /// The first thing that went wrong since the last reset.
    failure: Option<String>,
}

enum Phase {
    /// Connected.
    Up(Link),
    /// We have said good-bye; the back-end may be at its last requests.
    Ending(UnixStream),
    /// It has said so, too.
    Over,
    /// It did not answer, and may be at it for ever.
    Stuck,
}

impl Life {
    /// A device to be reset by whoever drives it.
    pub(crate) fn begin(path: PathBuf, memory: &'static Memory) -> io::Result<Self> {
        let phase = Phase::Up(Link::open(&path, memory)?);
        Ok(Self { path, memory, phase, status: Status::empty(), accepted: 0, failure: None })
    }

    /// The connection, if there is one and nothing has gone wrong with it.
    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        match &mut self.phase {
            Phase::Up(link) if self.failure.is_none() => Some(link),
            _ => None,
        }
    }

    /// Keeps the first failure: the device needs a reset from here on.
    pub(crate) fn attempt<V>(&mut self, what: impl FnOnce(&mut Link) -> Answer<V>) -> Option<V> {
        match what(self.link()?) {
            Ok(value) => Some(value),
            Err(failure) => {
                self.failure = Some(failure);
                None
            }
        }
    }

    /// What went wrong, if anything did.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Sets 32 of the features to be accepted.
    pub(crate) fn choose(&mut self, window: u32, bits: u32) {
        if window < 2 {
            self.accepted =
                self.accepted & !(0xffff_ffff << (32 * window)) | u64::from(bits) << (32 * window);
        }
    }

    /// The status as a driver reads it.
    pub(crate) fn status(&mut self) -> Status {
        match &self.phase {
            Phase::Up(link) if self.failure.is_some() || link.is_lost() => {
                self.status | Status::DEVICE_NEEDS_RESET
            }
            Phase::Up(_) => self.status,
            Phase::Ending(stream) if !hung_up(stream) => self.status | Status::DEVICE_NEEDS_RESET,
            Phase::Stuck => self.status | Status::DEVICE_NEEDS_RESET,
            Phase::Ending(_) | Phase::Over => {
                self.phase = Phase::Over;
                self.status = Status::empty();
                self.status
            }
        }
    }

    /// The status as a driver writes it.
    pub(crate) fn set_status(&mut self, status: Status) {
        if status.is_empty() {
            return self.reset();
        }
        if let Phase::Over = self.phase {
            match Link::open(&self.path, self.memory) {
                Ok(link) => self.phase = Phase::Up(link),
                // Nobody is there: the status stays 0, which no driver has written.
                Err(error) => return self.failure = Some(error.to_string()),
            }
        }
        let accepts = (status - self.status).contains(Status::FEATURES_OK);
        self.status = status;
        if accepts {
            let accepted = self.accepted;
            if self.attempt(|link| link.accept(accepted)).is_none() {
                self.status -= Status::FEATURES_OK;
            }
        }
    }

    fn reset(&mut self) {
        self.accepted = 0;
        self.failure = None;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            // As good as new.
            Phase::Up(link) if link.is_untouched() && !link.is_lost() => {
                self.status = Status::empty();
                Phase::Up(link)
            }
            Phase::Up(link) => match link.close() {
                Ok(stream) => Phase::Ending(stream),
                Err(failure) => {
                    self.failure = Some(failure);
                    Phase::Stuck
                }
            },
            other => other,
        };
    }
}
