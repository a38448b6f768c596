//! What connects driver and device beside the ring: a doorbell, an interrupt line, and what each side says of its decisions.
//!
//! None of it may order the two hand-shakes. So all of it is written *after* a decision was made, and read by a side only when
//! it sleeps, after its own last look at the ring.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, Rings, TransportInfo};
use virtio_core::{DeviceId, Error, Features, QueueIndex, Status, Transport};
use virtio_testkit::DeviceQueue;

use crate::{MOST, SIZE};

/// One direction: notifications, and how many requests (or answers) their sender has decided about.
#[derive(Default)]
pub(crate) struct Signal {
    pending: AtomicBool,
    decided: AtomicU32,
}

/// How a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    Notified,
    /// The other side is past its decision about something that this one has not seen, and has not notified. It never will.
    Lost,
}

impl Signal {
    pub(crate) fn send(&self) {
        self.pending.store(true, Ordering::Release);
    }

    /// Notifications about the first `count` were sent, or will never be.
    pub(crate) fn decided(&self, count: u32) {
        self.decided.store(count, Ordering::Release);
    }

    /// Sleeps until notified. Who sleeps has seen `seen`, and nothing more at its last look after it had asked.
    ///
    /// A loss is certain, not guessed from a clock: a notification about what is decided is pending before that is said, and
    /// one that was taken earlier had brought along the sight of everything it was about.
    pub(crate) fn sleep(&self, seen: u32) -> Wake {
        loop {
            let decided = self.decided.load(Ordering::Acquire);
            if self.pending.swap(false, Ordering::Acquire) {
                return Wake::Notified;
            }
            if decided > seen {
                return Wake::Lost;
            }
            std::thread::yield_now();
        }
    }
}

/// The registers, as far as both sides see them.
pub(crate) struct Wire {
    pub(crate) bell: Signal,
    pub(crate) line: Signal,
    /// Batches of requests that the driver makes.
    pub(crate) rounds: u32,
    rings: Mutex<Option<Rings>>,
}

impl Wire {
    pub(crate) fn new(rounds: u32) -> Self {
        Self { bell: Signal::default(), line: Signal::default(), rounds, rings: Mutex::default() }
    }

    /// How many requests there are in a batch.
    pub(crate) fn batch(round: u32) -> u32 {
        1 + round % MOST
    }

    /// How many there are in all.
    pub(crate) fn total(&self) -> u32 {
        (0..self.rounds).map(Self::batch).sum()
    }

    /// The device's end of the queue that the driver has set up.
    pub(crate) fn queue(&self, features: Features) -> DeviceQueue {
        let rings = self.rings.lock().unwrap().expect("the queue was enabled");
        assert_eq!(rings.size, SIZE);
        DeviceQueue::new(rings, features, false).unwrap()
    }
}

/// The driver's end.
pub(crate) struct Registers {
    pub(crate) wire: Arc<Wire>,
    pub(crate) offered: Features,
    pub(crate) accepted: Features,
    pub(crate) status: Status,
}

impl Transport for Registers {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "wire", version: "modern" }
    }
    fn device_id(&self) -> DeviceId {
        DeviceId::ENTROPY
    }
    fn status(&self) -> Status {
        self.status
    }
    fn set_status(&mut self, status: Status) {
        if status.contains(Status::FEATURES_OK) {
            assert_eq!(self.accepted, self.offered, "the test needs all of them");
        }
        self.status = status;
    }
    fn device_features(&mut self, window: u32) -> u32 {
        self.offered.window(window)
    }
    fn set_driver_features(&mut self, window: u32, bits: u32) {
        self.accepted |= Features::from_window(window, bits);
    }
    fn queue_max_size(&mut self, _queue: QueueIndex) -> u16 {
        SIZE
    }
    fn enable_queue(&mut self, _queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        *self.wire.rings.lock().unwrap() = Some(*rings);
        Ok(Doorbell { offset: 0, value: 0, width: DoorbellWidth::Bits32 })
    }
    fn notify(&self, _doorbell: Doorbell) {
        self.wire.bell.send();
    }
    fn ack_interrupt(&self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn config_generation(&self) -> u32 {
        0
    }
    fn config_len(&self) -> usize {
        0
    }
    fn read_config(&self, _offset: usize, _bytes: &mut [u8]) -> Result<(), Error> {
        Err(Error::Down)
    }
    fn write_config(&mut self, _offset: usize, _bytes: &[u8]) -> Result<(), Error> {
        Err(Error::Down)
    }
}
