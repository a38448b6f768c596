//! The one place that takes a device down.
//!
//! **I-RESET (reset before free).** Memory that a device can reach goes back to Hal or caller only when the device is done
//! with it, or here: after a reset that the device has confirmed by status 0. If it does not confirm within
//! [`RESET_TIMEOUT`](super::RESET_TIMEOUT), the memory is leaked on purpose and reported, never freed. This holds on every
//! path, for it is this value's `Drop`: a failed construction, an early `?`, a panic, a forgotten completion.

use super::RESET_TIMEOUT;
use crate::dma::{Attachments, Stopped};
use crate::hal::Deadline;
use crate::queue::QueueSet;
use crate::transport::Transport;
use crate::{Error, Features, Hal, Misbehaved, Status, Wait};

/// How far a device has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// It knows of no memory of ours.
    Fresh,
    /// It may know of rings.
    Armed,
    /// It was taken down, in this way; all memory is released or leaked.
    Down(Stop),
}

/// How taking a device down ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// It confirmed its reset; all memory went back.
    Confirmed,
    /// It did not confirm, but cannot reach memory any more; its memory is leaked.
    CutOff(Error),
    /// It may go on reaching memory; its memory is leaked.
    Running(Error),
}

/// What a device is made of, each part borrowed by itself.
pub(super) struct Parts<'g, T, H: Hal> {
    pub(super) transport: &'g T,
    pub(super) hal: &'g H,
    pub(super) queues: &'g mut QueueSet<H>,
    pub(super) attachments: &'g mut Attachments<H>,
}

/// Transport, queues and attached memory of one device, and their end.
#[derive(Debug)]
pub(super) struct Guard<T: Transport, H: Hal> {
    /// `None` only after [`Guard::into_transport`].
    transport: Option<T>,
    pub(super) hal: H,
    pub(super) queues: QueueSet<H>,
    pub(super) attachments: Attachments<H>,
    pub(super) features: Features,
    pub(super) phase: Phase,
    /// Whether DRIVER_OK was written.
    pub(super) live: bool,
}

impl<T: Transport, H: Hal + Clone> Guard<T, H> {
    pub(super) fn new(transport: T, hal: H) -> Self {
        Self {
            transport: Some(transport),
            hal,
            queues: QueueSet::empty(),
            attachments: Attachments::new(),
            features: Features::empty(),
            phase: Phase::Fresh,
            live: false,
        }
    }
}

impl<T: Transport, H: Hal> Guard<T, H> {
    /// The transport, if the device is up.
    pub(super) fn transport(&self) -> Result<&T, Error> {
        self.transport.as_ref().filter(|_| !matches!(self.phase, Phase::Down(_))).ok_or(Error::Down)
    }

    pub(super) fn transport_mut(&mut self) -> Result<&mut T, Error> {
        let down = matches!(self.phase, Phase::Down(_));
        self.transport.as_mut().filter(|_| !down).ok_or(Error::Down)
    }

    /// All parts at once, if the device is up.
    pub(super) fn parts(&mut self) -> Result<Parts<'_, T, H>, Error> {
        if matches!(self.phase, Phase::Down(_)) {
            return Err(Error::Down);
        }
        let transport = self.transport.as_ref().ok_or(Error::Down)?;
        Ok(Parts { transport, hal: &self.hal, queues: &mut self.queues, attachments: &mut self.attachments })
    }

    /// Adds bits to the status (VIRTIO 1.4 §2.1.1: bits are never taken away but by a reset).
    pub(super) fn add_status(&mut self, bits: Status) -> Result<(), Error> {
        let transport = self.transport_mut()?;
        let status = transport.status();
        transport.set_status(status | bits);
        Ok(())
    }

    /// Resets the device and waits for its confirmation (VIRTIO 1.4 §2.4.2).
    pub(super) fn reset(&mut self) -> Result<Stopped, Error> {
        let transport = self.transport.as_mut().ok_or(Error::Down)?;
        transport.set_status(Status::empty());
        let mut deadline = Deadline::after(&self.hal, RESET_TIMEOUT)?;
        loop {
            if transport.status().is_empty() {
                return Ok(Stopped::confirmed());
            }
            if deadline.expired(&self.hal) {
                return Err(Misbehaved::Timeout(Wait::Reset).into());
            }
        }
    }

    /// Takes the device down. Afterwards all memory is released or leaked, and everything answers [`Error::Down`].
    pub(super) fn stop(&mut self) -> Stop {
        if let Phase::Down(stop) = self.phase {
            return stop;
        }
        // First, so that a panic on the way never brings us here twice, and never looks like a success.
        self.phase = Phase::Down(Stop::Running(Error::Down));
        let stop = match self.reset() {
            Ok(stopped) => {
                // From here on nothing is the device's, whoever panics while it goes back.
                self.phase = Phase::Down(Stop::Confirmed);
                self.queues.release(&self.hal, &stopped);
                self.attachments.release_all(&stopped);
                Stop::Confirmed
            }
            Err(error) => {
                self.queues.leak();
                self.attachments.leak_all();
                let cut = self.transport.as_mut().is_some_and(Transport::cut_off);
                if cut { Stop::CutOff(error) } else { Stop::Running(error) }
            }
        };
        self.phase = Phase::Down(stop);
        stop
    }

    /// Takes the device down and hands the transport out.
    pub(super) fn into_transport(mut self) -> (Stop, Option<T>) {
        let stop = self.stop();
        (stop, self.transport.take())
    }
}

impl<T: Transport, H: Hal> Drop for Guard<T, H> {
    fn drop(&mut self) {
        if self.transport.is_none() || matches!(self.phase, Phase::Down(_)) {
            return;
        }
        if !self.live {
            // The driver gives up (VIRTIO 1.4 §3.1.1). Nothing can be done about an error here.
            let _ = self.add_status(Status::FAILED);
        }
        if self.phase == Phase::Armed || self.live {
            self.stop();
        }
    }
}
