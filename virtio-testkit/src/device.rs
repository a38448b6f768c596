//! A device to be scripted: what it offers, and what it answers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_core::{DeviceId, Features, Status};

use crate::builder::Builder;
use crate::hal::DeviceMemory;
use crate::queue::{Completion, FakeQueue, Held, Lie};
use crate::trace::Event;
use crate::transport::FakeTransport;

/// How a device confirms a reset, that is, when its status reads 0 afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// At once.
    AtOnce,
    /// After the status was read so many times.
    AfterReads(u32),
    /// Never: the device goes on.
    Never,
}

/// How a device resets one queue, where `RING_RESET` was accepted (VIRTIO 1.4 §2.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueResetStyle {
    /// At once.
    AtOnce,
    /// After the driver has looked so many times. Until then the device begins nothing new, and still finishes what it
    /// holds.
    AfterReads(u32),
    /// Never: the driver waits in vain.
    Never,
    /// Not at all, although the feature is offered: the queue goes on as before, and both registers say so. QEMU 7.2's
    /// virtio-mmio is like that.
    Ignored,
}

pub(crate) type ConfigHook = Box<dyn FnMut(&mut Vec<u8>, usize, &[u8]) + Send>;

pub(crate) struct State {
    pub(crate) id: DeviceId,
    pub(crate) offered: Features,
    pub(crate) legacy: bool,
    pub(crate) refuses_features: bool,
    pub(crate) aliases_windows: bool,
    pub(crate) marks_written: bool,
    pub(crate) dictates_queue_size: bool,
    pub(crate) can_be_cut_off: bool,
    pub(crate) reset: Reset,
    pub(crate) queue_reset: QueueResetStyle,
    pub(crate) on_reset: Option<Box<dyn FnMut() + Send>>,
    pub(crate) config: Vec<u8>,
    pub(crate) generation: u32,
    pub(crate) has_generation: bool,
    pub(crate) unsettled: u32,
    pub(crate) on_config_write: Option<ConfigHook>,
    pub(crate) queues: Vec<FakeQueue>,
    pub(crate) memory: DeviceMemory,

    pub(crate) status: Status,
    /// Reads of the status until a reset is confirmed.
    pub(crate) resetting: Option<u32>,
    pub(crate) accepted: [u32; 4],
    pub(crate) interrupt: u32,
    pub(crate) interrupts: usize,
    pub(crate) cut_off: bool,
    pub(crate) hung: bool,
    pub(crate) manual: bool,
}

impl State {
    /// What the driver has accepted.
    pub(crate) fn features(&self) -> Features {
        (0..)
            .zip(self.accepted)
            .fold(Features::empty(), |all, (window, bits)| all | Features::from_window(window, bits))
    }

    pub(crate) fn queue(&mut self, index: u16) -> Option<&mut FakeQueue> {
        self.queues.iter_mut().find(|queue| queue.index == index)
    }

    /// Whether the device works on its queues.
    pub(crate) fn works(&self) -> bool {
        self.status.contains(Status::DRIVER_OK) && !self.cut_off && !self.hung
    }

    /// Back to the state after power-on, as far as a driver can see.
    pub(crate) fn power_on(&mut self) {
        self.status = Status::empty();
        self.resetting = None;
        self.accepted = [0; 4];
        self.interrupt = 0;
        for queue in &mut self.queues {
            queue.reset();
            queue.was_reset = false;
        }
        if let Some(hook) = &mut self.on_reset {
            hook();
        }
    }

    fn interrupt(&mut self, bits: u32) {
        self.interrupt |= bits;
        self.interrupts += 1;
        self.memory.record(Event::Interrupt);
    }
}

/// A device made of Rust: the test's side of it.
///
/// Clones are handles to the same device. [`FakeDevice::transport`] is the driver's side.
#[derive(Clone)]
pub struct FakeDevice {
    pub(crate) state: Arc<Mutex<State>>,
}

impl fmt::Debug for FakeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FakeDevice")
            .field("id", &state.id)
            .field("status", &state.status)
            .finish_non_exhaustive()
    }
}

impl FakeDevice {
    /// What [`FakeDevice::complete_batch`] writes.
    pub const BATCH_FILL: u8 = 0xb7;

    /// Starts to describe a device.
    #[must_use]
    pub fn builder(id: DeviceId) -> Builder {
        Builder::new(id)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The driver's side. May be taken more than once; all lead to the same device.
    #[must_use]
    pub fn transport(&self) -> FakeTransport {
        FakeTransport::new(self.clone())
    }

    /// The guest's memory, as this device sees it.
    #[must_use]
    pub fn memory(&self) -> DeviceMemory {
        self.state().memory.clone()
    }

    /// The device status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state().status
    }

    /// The features the driver has accepted.
    #[must_use]
    pub fn accepted(&self) -> Features {
        self.state().features()
    }

    /// Changes how resets go from now on.
    pub fn set_reset(&self, reset: Reset) {
        self.state().reset = reset;
    }

    /// Changes how resets of queues go from now on.
    pub fn set_queue_reset(&self, style: QueueResetStyle) {
        self.state().queue_reset = style;
    }

    /// Stops working on queues, or starts again. Registers go on answering.
    pub fn set_hung(&self, hung: bool) {
        self.state().hung = hung;
    }

    /// Sets DEVICE_NEEDS_RESET and interrupts for a configuration change.
    pub fn needs_reset(&self) {
        let mut state = self.state();
        state.status |= Status::DEVICE_NEEDS_RESET;
        state.interrupt(2);
    }

    /// Replaces the configuration space, moves its generation and interrupts.
    pub fn set_config(&self, bytes: impl Into<Vec<u8>>) {
        let mut state = self.state();
        state.config = bytes.into();
        state.generation = state.generation.wrapping_add(1);
        state.interrupt(2);
    }

    /// The configuration space.
    #[must_use]
    pub fn config(&self) -> Vec<u8> {
        self.state().config.clone()
    }

    /// Changes every byte of the configuration space, and its generation, after each of the next `reads` reads.
    /// `u32::MAX` is for ever.
    pub fn unsettle_config(&self, reads: u32) {
        self.state().unsettled = reads;
    }

    /// How often the device has interrupted.
    #[must_use]
    pub fn interrupts(&self) -> usize {
        self.state().interrupts
    }

    /// Works on all queues: takes what is available, answers as the handlers say.
    pub fn poll(&self) {
        let queues: Vec<u16> = self.state().queues.iter().map(|queue| queue.index).collect();
        for queue in queues {
            self.process(queue);
        }
    }

    /// Works on one queue.
    pub(crate) fn process(&self, index: u16) {
        loop {
            let mut state = self.state();
            let memory = state.memory.clone();
            if !state.works() {
                return;
            }
            // No handler: a handler of this queue is running.
            let Some(queue) = state.queue(index).filter(|queue| queue.handler.is_some()) else { return };
            let request = match queue.next(&memory) {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(why) => {
                    memory.fault(format!("queue {index}: {why}"));
                    queue.ring = None;
                    return;
                }
            };
            let Some(mut handler) = queue.handler.take() else { return };
            let epoch = queue.epoch;
            drop(state);
            let held = request.held();
            let reply = handler(request);
            let mut state = self.state();
            let Some(queue) = state.queue(index) else { return };
            queue.handler = Some(handler);
            if queue.epoch != epoch {
                // The queue was reset from inside its handler: there is nobody left to answer.
                continue;
            }
            let interrupts = queue.apply(&memory, held, reply);
            self.settle(state, index, interrupts);
        }
    }

    fn settle(&self, mut state: MutexGuard<'_, State>, index: u16, interrupts: Result<bool, String>) {
        match interrupts {
            Ok(true) => state.interrupt(1),
            Ok(false) => {}
            Err(why) => {
                // Already recorded by the memory where it is a violation; a full stop here keeps the rest readable.
                if let Some(queue) = state.queue(index) {
                    queue.stopped = Some(why);
                }
            }
        }
    }

    /// How many requests of a queue are held.
    #[must_use]
    pub fn held(&self, queue: u16) -> usize {
        self.state().queue(queue).map_or(0, |queue| queue.held.len())
    }

    /// What a queue holds, oldest first: the readable bytes of each request.
    #[must_use]
    pub fn held_readable(&self, queue: u16) -> Vec<Vec<u8>> {
        let mut state = self.state();
        state
            .queue(queue)
            .map_or_else(Vec::new, |queue| queue.held.iter().map(|held| held.readable.clone()).collect())
    }

    /// Uses the `nth` held request of a queue (0 is the oldest): writes `bytes`, as much as fits. Requests may be
    /// completed in any order; where `IN_ORDER` was accepted, any other than the oldest is a lie.
    ///
    /// # Panics
    /// If so many are not held.
    pub fn complete(&self, queue: u16, nth: usize, bytes: &[u8]) {
        self.finish(queue, nth, Completion::Honest(bytes));
    }

    /// As [`FakeDevice::complete`], but says that `len` bytes were written.
    ///
    /// # Panics
    /// If so many are not held.
    pub fn complete_claiming(&self, queue: u16, nth: usize, bytes: &[u8], len: u32) {
        self.finish(queue, nth, Completion::Claiming(bytes, len));
    }

    fn finish(&self, index: u16, nth: usize, completion: Completion<'_>) {
        let mut state = self.state();
        let memory = state.memory.clone();
        let queue = state.queue(index).expect("the device has such a queue");
        assert!(nth < queue.held.len(), "queue {index} holds {} requests", queue.held.len());
        let held = queue.held.remove(nth);
        let interrupts = queue.complete(&memory, &held, completion);
        self.settle(state, index, interrupts);
    }

    /// Uses the `n` oldest held requests of a queue, in full, with **one** used element or descriptor (VIRTIO 1.4 §2.7.9,
    /// §2.8.9): what the device may write of each is filled with [`FakeDevice::BATCH_FILL`].
    ///
    /// # Panics
    /// If so many are not held, if `n` is 0, or without `IN_ORDER`.
    pub fn complete_batch(&self, queue: u16, n: usize) {
        let room: Vec<usize> = {
            let mut state = self.state();
            let queue = state.queue(queue).expect("the device has such a queue");
            queue.held.iter().take(n).map(|held| held.chain.writable()).collect()
        };
        assert!(room.len() == n, "queue {queue} holds {} requests", room.len());
        let answers: Vec<Vec<u8>> = room.iter().map(|len| vec![Self::BATCH_FILL; *len]).collect();
        self.complete_batch_with(queue, &answers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }

    /// As [`FakeDevice::complete_batch`], for as many as there are answers. Only the last one may be shorter than there is
    /// room, because only its length is told.
    ///
    /// # Panics
    /// If so many are not held, if there are none, if another than the last is short, or without `IN_ORDER`.
    pub fn complete_batch_with(&self, queue: u16, answers: &[&[u8]]) {
        let mut state = self.state();
        assert!(state.features().contains(Features::IN_ORDER), "one used element for many takes IN_ORDER");
        let memory = state.memory.clone();
        let at = state.queue(queue).expect("the device has such a queue");
        let n = answers.len();
        assert!(n > 0 && n <= at.held.len(), "queue {queue} holds {} requests, not {n}", at.held.len());
        for (held, answer) in at.held.iter().zip(answers).take(n - 1) {
            assert!(answer.len() >= held.chain.writable(), "a request that is skipped is written in full");
        }
        let batch: Vec<Held> = at.held.drain(..n).collect();
        let interrupts = at.complete_batch(&memory, &batch, answers);
        self.settle(state, queue, interrupts);
    }

    /// Sends `bytes` through an event queue: uses the oldest buffer it holds. Answers whether there was one.
    pub fn send(&self, queue: u16, bytes: &[u8]) -> bool {
        let waiting = self.held(queue) > 0;
        if waiting {
            self.complete(queue, 0, bytes);
        }
        waiting
    }

    /// Breaks the rules on a queue.
    ///
    /// # Panics
    /// If the queue is not enabled.
    pub fn lie(&self, queue: u16, lie: Lie) {
        let mut state = self.state();
        let memory = state.memory.clone();
        let at = state.queue(queue).expect("the device has such a queue");
        assert!(at.ring.is_some(), "queue {queue} is not enabled");
        let interrupts = at.lie(&memory, lie);
        self.settle(state, queue, interrupts);
    }

    /// Asks the driver not to notify a queue, or to notify it again: by `used.flags` of a split queue, which counts without
    /// `EVENT_IDX` only, or by the event suppression of a packed one.
    ///
    /// # Panics
    /// If the queue is not enabled.
    pub fn suppress_notifications(&self, queue: u16, suppress: bool) {
        let mut state = self.state();
        let memory = state.memory.clone();
        let queue = state.queue(queue).expect("the device has such a queue");
        if matches!(queue.ring(), crate::DeviceQueue::Packed(_)) {
            // The same field; otherwise the next request would overwrite it.
            queue.frozen_event = suppress;
        }
        queue.ring().suppress_notifications(&memory, suppress).expect("the ring can be written");
    }

    /// From now on the driver has to notify a queue when the chain with index `event` is made available, and only then; in
    /// a packed queue, the descriptor at position `event`: the slot, and its wrap counter in bit 15. `None` goes back to "at
    /// the next one". With `EVENT_IDX` only.
    ///
    /// # Panics
    /// If the queue is not enabled, or is packed and `EVENT_IDX` was not accepted.
    pub fn set_avail_event(&self, queue: u16, event: Option<u16>) {
        let mut state = self.state();
        let memory = state.memory.clone();
        let queue = state.queue(queue).expect("the device has such a queue");
        queue.frozen_event = event.is_some();
        let event = event.unwrap_or(queue.ring().taken());
        queue.ring().set_avail_event(&memory, event).expect("the device may ask for that");
    }

    /// The device's side of a queue, if the driver has enabled it.
    #[must_use]
    pub fn ring(&self, queue: u16) -> Option<crate::DeviceQueue> {
        self.state().queue(queue)?.ring.clone()
    }
}
