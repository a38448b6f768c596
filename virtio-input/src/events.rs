//! Events as they come: the driver for a task that waits, rather than asks again and again.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use virtio_core::queue::{AsyncPort, Bell, Port, Request};
use virtio_core::{Error, Hal, Misbehaved, Transport};
use zerocopy::{FromBytes, IntoBytes};

use crate::InputError;
use crate::abi::{self, EVENT_LEN, EVENT_QUEUE, STATUS_QUEUE};
use crate::device::{Input, buffer};
use crate::event::{EventType, InputEvent};

/// The queues of an input device, lent to a task. Made by [`Input::events`].
#[derive(Debug)]
pub struct Events<'d, T: Transport, H: Hal + Clone> {
    events: AsyncPort<'d, (), T, H>,
    statuses: Port<'d, (), T, H>,
    /// Event buffers that are not with the device; [`Input`]'s count.
    missing: &'d mut u16,
}

impl<T: Transport, H: Hal + Clone> Input<T, H> {
    /// Lends the queues to a task that awaits events. The handler of the device's interrupt rings `bell`, whatever the
    /// [`Endpoint`](virtio_core::Endpoint) answered, once it has acknowledged. Events that wait already are not lost.
    ///
    /// When the value is dropped, events go on to collect for [`Input::next_event`]. The device may go on to interrupt until
    /// [`Input::disable_interrupts`].
    ///
    /// # Errors
    /// [`InputError::Core`]: the device was taken down. [`InputError::BellTaken`].
    ///
    /// # Example
    /// ```
    /// use virtio_core::queue::Bell;
    /// use virtio_core::{Hal, Transport};
    /// use virtio_input::{Input, InputError};
    ///
    /// static KEYBOARD: Bell = Bell::new(); // rung by the interrupt handler
    ///
    /// async fn keys<T: Transport, H: Hal + Clone>(mut input: Input<T, H>) -> Result<(), InputError> {
    ///     let mut events = input.events(&KEYBOARD)?;
    ///     loop {
    ///         let event = events.next().await?;
    /// #       let _ = event;
    ///         // …
    ///     }
    /// }
    /// ```
    pub fn events<'d>(&'d mut self, bell: &'d Bell) -> Result<Events<'d, T, H>, InputError> {
        let mut ports = self.device.ports()?;
        let events = ports.take::<()>(EVENT_QUEUE)?;
        let statuses = ports.take::<()>(STATUS_QUEUE)?;
        let events = AsyncPort::new(events, bell).map_err(|_| InputError::BellTaken)?;
        // Those that were added and not shown are shown with the first look at the queue.
        self.added = 0;
        Ok(Events { events, statuses, missing: &mut self.missing })
    }
}

impl<T: Transport, H: Hal + Clone> Events<'_, T, H> {
    /// Waits for the next event. Dropping the future loses nothing: the event stays for the next call.
    ///
    /// # Errors
    /// As for [`Input::next_event`]; [`Misbehaved::NeedsReset`] if the device asks to be reset: drop this value and
    /// [`recover`](Input::recover).
    pub async fn next(&mut self) -> Result<InputEvent, InputError> {
        self.post();
        let mut event = [0; EVENT_LEN];
        let done = {
            let statuses = &self.statuses;
            let mut next = pin!(self.events.next(&mut event));
            poll_fn(|context| match next.as_mut().poll(context) {
                // Whoever waits for a device that has given up waits for ever.
                Poll::Pending if statuses.needs_reset() => Poll::Ready(Err(Misbehaved::NeedsReset.into())),
                other => other,
            })
            .await?
        };
        *self.missing = self.missing.saturating_add(1);
        self.post();
        // Nothing is taken from beyond what the device says it wrote.
        let event = event.get(..done.response).and_then(|bytes| abi::Event::read_from_bytes(bytes).ok());
        event.map(InputEvent::from_wire).ok_or(InputError::ShortEvent { written: done.written })
    }

    /// Hands emptied buffers back. The device sees them when the queue is looked at next.
    fn post(&mut self) {
        // What cannot be added now is tried again with the next event.
        while *self.missing > 0 && self.events.post(buffer()).is_ok() {
            *self.missing = self.missing.saturating_sub(1);
        }
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
    /// As for [`Input::send`].
    pub fn send(&mut self, event: InputEvent) -> Result<(), InputError> {
        send(&mut self.statuses, event)
    }
}

/// Sends an event by the status queue.
pub(crate) fn send<T: Transport, H: Hal>(
    port: &mut Port<'_, (), T, H>,
    event: InputEvent,
) -> Result<(), InputError> {
    // Frees the places of those that were taken.
    while port.poll()?.is_some() {}
    let wire = event.to_wire();
    port.submit(Request::new(()).header(wire.as_bytes())).map_err(Error::from)?;
    Ok(())
}
