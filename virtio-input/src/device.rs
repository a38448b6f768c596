//! The driver (VIRTIO 1.4 §5.8.5, §5.8.6).

use virtio_core::device::{Device, DeviceEvent, Init, Wanted};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{DeviceId, Hal, Transport};

use crate::InputError;
use crate::abi::{self, EVENT_LEN, EVENT_QUEUE, STATUS_QUEUE, select};
use crate::config::{AbsInfo, Bits, DeviceIds, Text, Window};
use crate::event::{EventType, InputEvent};
use crate::events;

/// Events that may wait for a kernel that is busy. A key stroke is four.
const EVENTS: u16 = 64;
/// LED changes under way.
const STATUSES: u16 = 8;
/// Emptied buffers are handed back this many at a time, or half the queue if that is less, or when no more events wait.
const BATCH: u16 = 16;

/// A keyboard, mouse, tablet or other input device.
#[derive(Debug)]
pub struct Input<T: Transport, H: Hal + Clone> {
    pub(crate) device: Device<T, H>,
    /// Event buffers that are not with the device.
    pub(crate) missing: u16,
    /// Event buffers that were added, but not shown to the device yet.
    pub(crate) added: u16,
    /// So many are shown to it at a time: at most half the queue, for a device without buffers loses events.
    batch: u16,
}

impl<T: Transport, H: Hal + Clone> Input<T, H> {
    /// Brings the device up; from here on it collects events.
    ///
    /// # Errors
    /// [`InputError::Core`]: it is no input device, it lacks a queue, it refuses its features, it does not reset, or the
    /// platform has no memory. The device is reset then.
    pub fn new(transport: T, hal: H) -> Result<Self, InputError> {
        let mut init =
            Init::start(transport, hal, DeviceId::INPUT)?.negotiate(&Wanted::default())?.queues(&[
                QueueSpec::new::<()>(EVENT_QUEUE, EVENTS).response(EVENT_LEN),
                QueueSpec::new::<()>(STATUS_QUEUE, STATUSES).header(EVENT_LEN),
            ])?;
        let size = init.queue_size(EVENT_QUEUE);
        for _ in 0..size {
            init.prefill(EVENT_QUEUE, buffer()).map_err(virtio_core::Error::from)?;
        }
        let batch = BATCH.min((size >> 1).max(1));
        Ok(Self { device: init.live()?, missing: 0, added: 0, batch })
    }

    /// The device's name; empty if it has none.
    ///
    /// # Errors
    /// [`InputError::AnswerTooLong`]; [`InputError::Core`].
    pub fn name(&mut self) -> Result<Text, InputError> {
        Window(&mut self.device).text(select::ID_NAME)
    }

    /// The device's serial number; empty if it has none.
    ///
    /// # Errors
    /// As for [`Input::name`].
    pub fn serial(&mut self) -> Result<Text, InputError> {
        Window(&mut self.device).text(select::ID_SERIAL)
    }

    /// The device's numbers; `None` if it has none.
    ///
    /// # Errors
    /// [`InputError::AnswerTooShort`]; otherwise as for [`Input::name`].
    pub fn ids(&mut self) -> Result<Option<DeviceIds>, InputError> {
        Window(&mut self.device).ids()
    }

    /// The device's properties, by evdev's `INPUT_PROP_` numbers.
    ///
    /// # Errors
    /// As for [`Input::name`].
    pub fn properties(&mut self) -> Result<Bits, InputError> {
        Window(&mut self.device).properties()
    }

    /// Which events of a type the device can send, or, for LEDs and sounds, receive. Empty if none.
    ///
    /// # Errors
    /// As for [`Input::name`].
    pub fn supports(&mut self, kind: EventType) -> Result<Bits, InputError> {
        Window(&mut self.device).codes(kind)
    }

    /// The range of an absolute axis; `None` if the device has no such axis.
    ///
    /// # Errors
    /// As for [`Input::ids`].
    pub fn abs_info(&mut self, axis: u16) -> Result<Option<AbsInfo>, InputError> {
        Window(&mut self.device).abs_info(axis)
    }

    /// The next event, or `None` when none waits. Does not block.
    ///
    /// A device that asks to be reset sends no more events, and this does not say so: now and then, or after an interrupt for its
    /// configuration, call [`Input::attend`] with [`InterruptStatus::CONFIG`](virtio_core::InterruptStatus::CONFIG).
    ///
    /// Call it until it answers `None`: only then does the device have all its buffers back. Before that, it may lack half
    /// of them.
    ///
    /// # Errors
    /// [`InputError::ShortEvent`]: that event is dropped, the next call goes on with the one after it. [`InputError::Core`] if the
    /// device broke the queue's rules.
    pub fn next_event(&mut self) -> Result<Option<InputEvent>, InputError> {
        let mut port = self.device.port::<()>(EVENT_QUEUE)?;
        let event = match port.poll()? {
            None => None,
            Some(done) => {
                self.missing = self.missing.saturating_add(1);
                let written = done.written();
                Some(done.response::<abi::Event>().map_err(|_| InputError::ShortEvent { written }))
            }
        };
        // What cannot be added now is tried again with the next event.
        while self.missing > 0 && port.add(buffer()).is_ok() {
            self.missing = self.missing.saturating_sub(1);
            self.added = self.added.saturating_add(1);
        }
        if self.added >= self.batch || (self.added > 0 && event.is_none()) {
            port.publish();
            port.kick();
            self.added = 0;
        }
        event.transpose().map(|event| event.map(InputEvent::from_wire))
    }

    /// Switches an LED, by evdev's `LED_` number. Returns at once.
    ///
    /// # Errors
    /// As for [`Input::send`].
    pub fn set_led(&mut self, led: u16, on: bool) -> Result<(), InputError> {
        self.send(InputEvent { kind: EventType::LED, code: led, value: u32::from(on) })
    }

    /// Sends the device an event: an LED, a sound, a repetition rate. Returns at once.
    ///
    /// # Errors
    /// [`InputError::Core`] with [`Misuse::QueueFull`](virtio_core::Misuse) while the device has not taken earlier ones; or if
    /// it broke the queue's rules.
    pub fn send(&mut self, event: InputEvent) -> Result<(), InputError> {
        events::send(&mut self.device.port::<()>(STATUS_QUEUE)?, event)
    }

    /// Asks for an interrupt with the next event. Answers whether one waits *already*: fetch it then, for there may be no
    /// interrupt for it.
    ///
    /// # Errors
    /// [`InputError::Core`].
    #[must_use = "an event that waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> Result<bool, InputError> {
        Ok(self.device.port::<()>(EVENT_QUEUE)?.enable_interrupts())
    }

    /// Asks for no interrupts, which is how the device starts. One may come all the same.
    ///
    /// # Errors
    /// [`InputError::Core`].
    pub fn disable_interrupts(&mut self) -> Result<(), InputError> {
        self.device.port::<()>(EVENT_QUEUE)?.disable_interrupts();
        Ok(())
    }
}

// The device type has no features of its own (VIRTIO 1.4 §5.8.3), and its configuration changes mean nothing.
virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone] Input<T, H> {
        device: device, transport: T, hal: H, error: InputError,
        attend: DeviceEvent, recover: Self::new,
    }
}

/// Room for one event.
pub(crate) fn buffer() -> Request<'static, ()> {
    Request::new(()).response(EVENT_LEN)
}
