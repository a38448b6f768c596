//! The virtio keyboard: which input device is one, and what is typed on it.

use crate::keymap;
use virtio::input::{self, EventType, Input, code};
use virtio::{Hal, Transport};

/// A keyboard and its modifiers.
#[derive(Debug)]
pub struct Keyboard<T: Transport, H: Hal + Clone> {
    input: Input<T, H>,
    keys: keymap::Keyboard,
    caps_lock: bool,
}

impl<T: Transport, H: Hal + Clone> Keyboard<T, H> {
    /// Takes an input device; `None` if it has no Enter key.
    ///
    /// # Errors
    ///
    /// It cannot be driven.
    pub fn new(transport: T, hal: H) -> Result<Option<Self>, input::Error> {
        let mut input = Input::new(transport, hal)?;
        if !input.supports(EventType::KEY)?.contains(code::KEY_ENTER) {
            return Ok(None);
        }
        Ok(Some(Self { input, keys: keymap::Keyboard::new(), caps_lock: false }))
    }

    /// The device.
    pub fn input(&self) -> &Input<T, H> {
        &self.input
    }

    /// The next character typed; `None` when nothing waits.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn read(&mut self) -> Result<Option<u8>, input::Error> {
        loop {
            let event = match self.input.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                // One event less; the device goes on.
                Err(input::Error::ShortEvent { .. }) => continue,
                Err(error) => return Err(error),
            };
            if event.kind != EventType::KEY {
                continue;
            }
            let typed = self.keys.key(event.code, event.value);
            self.show_caps_lock();
            if typed.is_some() {
                return Ok(typed);
            }
        }
    }

    /// Switches the LED with the state.
    fn show_caps_lock(&mut self) {
        let on = self.keys.caps_lock();
        if on != self.caps_lock {
            self.caps_lock = on;
            // A keyboard without LEDs, or with a full queue, types as well.
            let _ = self.input.set_led(code::LED_CAPS_LOCK, on);
        }
    }
}
