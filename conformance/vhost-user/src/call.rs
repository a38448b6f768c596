//! Interrupts: the eventfd of each queue that the back-end writes to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use virtio_core::QueueIndex;
use virtio_core::interrupt::Endpoint;
use virtio_core::transport::InterruptStatus;
use vmm_sys_util::eventfd::EventFd;

/// Two eventfds: what a queue's doorbell and its interrupt are elsewhere.
#[derive(Debug)]
pub(crate) struct Wires {
    kick: OwnedFd,
    call: Arc<OwnedFd>,
}

impl Wires {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self { kick: eventfd(0, flags)?, call: Arc::new(eventfd(0, flags)?) })
    }

    /// Kicks.
    #[inline]
    pub(crate) fn kick(&self) {
        // It fails only when it is full: then the back-end has more than enough to wake up for.
        let _ = rustix::io::write(&self.kick, &1_u64.to_ne_bytes());
    }

    /// Whether the back-end has called since the last time.
    pub(crate) fn was_called(&self) -> bool {
        take(&self.call)
    }

    /// Forgets signals of an earlier life.
    pub(crate) fn clear(&self) {
        take(&self.kick);
        take(&self.call);
    }

    /// The interrupt, for its handler.
    pub(crate) fn endpoint(&self, queue: QueueIndex) -> Call {
        Call { eventfd: Arc::clone(&self.call), queue }
    }

    /// Kick and call as `vhost` wants them, to be sent to the back-end.
    pub(crate) fn to_send(&self) -> io::Result<[EventFd; 2]> {
        let copy = |eventfd: &OwnedFd| {
            let raw = eventfd.try_clone()?.into_raw_fd();
            // SAFETY: an open descriptor that nobody else has: it was made just now, and its owner has given it up.
            Ok::<_, io::Error>(unsafe { EventFd::from_raw_fd(raw) })
        };
        Ok([copy(&self.kick)?, copy(&self.call)?])
    }
}

/// Whether it was signalled since the last time.
fn take(eventfd: &OwnedFd) -> bool {
    // It does not block: nothing there is an error.
    rustix::io::read(eventfd, &mut [0; 8]).is_ok()
}

/// The interrupt of one queue, apart from the driver.
#[derive(Clone, Debug)]
pub struct Call {
    eventfd: Arc<OwnedFd>,
    queue: QueueIndex,
}

impl Call {
    /// Waits until it is signalled, for so long at the most; what is signalled stays until it is [acknowledged](Endpoint::ack).
    /// Answers whether it is.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        // Waiting may end early, by a signal: then it was not.
        matches!(poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&limit)), Ok(1))
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

impl Endpoint for Call {
    fn ack(&self) -> InterruptStatus {
        if take(&self.eventfd) { InterruptStatus::QUEUE } else { InterruptStatus::empty() }
    }

    fn serves(&self, queue: QueueIndex) -> bool {
        queue == self.queue
    }
}
