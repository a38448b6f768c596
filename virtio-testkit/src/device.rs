//! A device to be scripted: what it offers, and what it answers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_core::{DeviceId, Features, Status};

use crate::hal::{DeviceMemory, TestHal};
use crate::queue::{Completion, FakeQueue, Handler, Lie, Reply, Request};
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

type ConfigHook = Box<dyn FnMut(&mut Vec<u8>, usize, &[u8]) + Send>;

pub(crate) struct State {
    pub(crate) id: DeviceId,
    pub(crate) offered: Features,
    pub(crate) legacy: bool,
    pub(crate) refuses_features: bool,
    pub(crate) aliases_windows: bool,
    pub(crate) dictates_queue_size: bool,
    pub(crate) can_be_cut_off: bool,
    pub(crate) reset: Reset,
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
            queue.ring = None;
            queue.held.clear();
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

/// What a [`FakeDevice`] is like from the start.
pub struct Builder {
    state: Box<dyn FnOnce(DeviceMemory) -> State>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl Builder {
    fn new(id: DeviceId) -> Self {
        Self {
            state: Box::new(move |memory| State {
                id,
                offered: Features::VERSION_1,
                legacy: false,
                refuses_features: false,
                aliases_windows: false,
                dictates_queue_size: false,
                can_be_cut_off: false,
                reset: Reset::AtOnce,
                config: Vec::new(),
                generation: 0,
                has_generation: true,
                unsettled: 0,
                on_config_write: None,
                queues: Vec::new(),
                memory,
                status: Status::empty(),
                resetting: None,
                accepted: [0; 4],
                interrupt: 0,
                interrupts: 0,
                cut_off: false,
                hung: false,
                manual: false,
            }),
        }
    }

    fn with(self, change: impl FnOnce(&mut State) + 'static) -> Self {
        let make = self.state;
        Self {
            state: Box::new(move |memory| {
                let mut state = make(memory);
                change(&mut state);
                state
            }),
        }
    }

    /// Offers these features and no others. `VERSION_1` alone is the default.
    #[must_use]
    pub fn features(self, offered: Features) -> Self {
        self.with(move |state| state.offered = offered)
    }

    /// Has this configuration space.
    #[must_use]
    pub fn config(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.with(move |state| state.config = bytes)
    }

    /// Calls `hook` after every write to the configuration space, with the space (the bytes are in it already), the
    /// offset and the bytes. A device with a selector register changes the space here. The hook must not call the device.
    #[must_use]
    pub fn on_config_write(self, hook: impl FnMut(&mut Vec<u8>, usize, &[u8]) + Send + 'static) -> Self {
        self.with(move |state| state.on_config_write = Some(Box::new(hook)))
    }

    /// Has queue `index`, of at most `max` entries, whose requests `handler` answers.
    #[must_use]
    pub fn queue(self, index: u16, max: u16, handler: impl FnMut(Request) -> Reply + Send + 'static) -> Self {
        let handler: Handler = Box::new(handler);
        self.with(move |state| state.queues.push(FakeQueue::new(index, max, handler)))
    }

    /// Has queue `index` that holds what is given to it: the driver fills it with buffers, [`FakeDevice::send`] uses
    /// them.
    #[must_use]
    pub fn event_queue(self, index: u16, max: u16) -> Self {
        self.queue(index, max, |_| Reply::Hold)
    }

    /// Is a legacy device behind a legacy transport: 32 feature bits, no FEATURES_OK, no generation, rings in one block,
    /// in native byte order.
    #[must_use]
    pub fn legacy(self) -> Self {
        self.with(|state| {
            state.legacy = true;
            state.has_generation = false;
            state.offered -= Features::VERSION_1;
        })
    }

    /// Never keeps FEATURES_OK.
    #[must_use]
    pub fn refuses_features(self) -> Self {
        self.with(|state| state.refuses_features = true)
    }

    /// Reads and writes feature window 1 for every higher one, as QEMU 7.2's virtio-mmio does.
    #[must_use]
    pub fn aliases_feature_windows(self) -> Self {
        self.with(|state| state.aliases_windows = true)
    }

    /// Decides on the size of its queues, as legacy PCI does.
    #[must_use]
    pub fn dictates_queue_size(self) -> Self {
        self.with(|state| state.dictates_queue_size = true)
    }

    /// Can be kept off the bus.
    #[must_use]
    pub fn can_be_cut_off(self) -> Self {
        self.with(|state| state.can_be_cut_off = true)
    }

    /// Resets like this. [`Reset::AtOnce`] is the default.
    #[must_use]
    pub fn reset(self, reset: Reset) -> Self {
        self.with(move |state| state.reset = reset)
    }

    /// Does nothing at a doorbell; works only in [`FakeDevice::poll`].
    #[must_use]
    pub fn manual(self) -> Self {
        self.with(|state| state.manual = true)
    }

    /// The device, on the memory of `hal`.
    #[must_use]
    pub fn build(self, hal: &TestHal) -> FakeDevice {
        FakeDevice { state: Arc::new(Mutex::new((self.state)(hal.memory()))) }
    }
}

impl FakeDevice {
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
            drop(state);
            let held = request.held();
            let reply = handler(request);
            let mut state = self.state();
            let Some(queue) = state.queue(index) else { return };
            queue.handler = Some(handler);
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
    /// completed in any order.
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

    /// Asks the driver not to notify a queue, or to notify it again (`used.flags`). Without `EVENT_IDX` only.
    ///
    /// # Panics
    /// If the queue is not enabled.
    pub fn suppress_notifications(&self, queue: u16, suppress: bool) {
        let mut state = self.state();
        let memory = state.memory.clone();
        let queue = state.queue(queue).expect("the device has such a queue");
        queue.ring().suppress_notifications(&memory, suppress).expect("the ring can be written");
    }

    /// Leaves `avail_event` of a queue alone from now on, at `index`: the driver has to notify when the chain with that
    /// index is made available, and only then. `None` goes back to "at the next one". With `EVENT_IDX` only.
    ///
    /// # Panics
    /// If the queue is not enabled.
    pub fn set_avail_event(&self, queue: u16, index: Option<u16>) {
        let mut state = self.state();
        let memory = state.memory.clone();
        let queue = state.queue(queue).expect("the device has such a queue");
        queue.frozen_event = index.is_some();
        let index = index.unwrap_or(queue.ring().taken());
        queue.ring().set_avail_event(&memory, index).expect("the ring can be written");
    }

    /// The device's side of a queue, if the driver has enabled it.
    #[must_use]
    pub fn ring(&self, queue: u16) -> Option<crate::DeviceQueue> {
        self.state().queue(queue)?.ring.clone()
    }
}
