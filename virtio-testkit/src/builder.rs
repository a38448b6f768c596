//! What a scripted device is like from the start.

use std::fmt;
use std::sync::{Arc, Mutex};

use virtio_core::{DeviceId, Features, Status};

use crate::device::{FakeDevice, QueueResetStyle, Reset, State};
use crate::hal::{DeviceMemory, TestHal};
use crate::queue::{FakeQueue, Handler, Reply, Request};

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
    pub(crate) fn new(id: DeviceId) -> Self {
        Self {
            state: Box::new(move |memory| State {
                id,
                offered: Features::VERSION_1,
                legacy: false,
                refuses_features: false,
                aliases_windows: false,
                marks_written: true,
                dictates_queue_size: false,
                can_be_cut_off: false,
                reset: Reset::AtOnce,
                queue_reset: QueueResetStyle::AtOnce,
                on_reset: None,
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

    /// Never sets WRITE in a used descriptor of a packed queue, although its length is meant: QEMU 7.2 is like that.
    #[must_use]
    pub fn never_marks_written(self) -> Self {
        self.with(|state| state.marks_written = false)
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

    /// Resets single queues like this, where `RING_RESET` was accepted. [`QueueResetStyle::AtOnce`] is the default.
    #[must_use]
    pub fn queue_reset(self, style: QueueResetStyle) -> Self {
        self.with(move |state| state.queue_reset = style)
    }

    /// Calls `hook` whenever the device has been reset, before the driver can see it: a model of a device forgets its state
    /// here. The hook must not call the device.
    #[must_use]
    pub fn on_reset(self, hook: impl FnMut() + Send + 'static) -> Self {
        self.with(move |state| state.on_reset = Some(Box::new(hook)))
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
