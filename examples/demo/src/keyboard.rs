//! The virtio keyboard: which input device is one, and what is typed on it.

use crate::keymap;
use virtio::device::DeviceEvent;
use virtio::input::{EventType, Events, Input, InputError, InputEvent, code};
use virtio::queue::Bell;
use virtio::transport::InterruptStatus;
use virtio::{Hal, Transport};

/// A keyboard and its modifiers.
#[derive(Debug)]
pub struct Keyboard<T: Transport, H: Hal + Clone> {
    input: Input<T, H>,
    keys: Keys,
}

/// A keyboard whose characters are awaited. Made by [`Keyboard::listen`].
#[derive(Debug)]
pub struct Typing<'k, T: Transport, H: Hal + Clone> {
    events: Events<'k, T, H>,
    keys: &'k mut Keys,
}

/// What the keys stand for just now.
#[derive(Debug, Default)]
struct Keys {
    map: keymap::Keyboard,
    /// What the LED shows.
    caps_lock: bool,
}

impl<T: Transport, H: Hal + Clone> Keyboard<T, H> {
    /// Takes an input device; `None` if it has no Enter key.
    ///
    /// # Errors
    ///
    /// It cannot be driven.
    pub fn new(transport: T, hal: H) -> Result<Option<Self>, InputError> {
        let mut input = Input::new(transport, hal)?;
        if !input.supports(EventType::KEY)?.contains(code::KEY_ENTER) {
            return Ok(None);
        }
        Ok(Some(Self { input, keys: Keys::default() }))
    }

    /// The device.
    pub fn input(&self) -> &Input<T, H> {
        &self.input
    }

    /// Follows up on an interrupt about something else than keys. The device is brought up again if it asks for that; keys
    /// that were held down count as released then.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn attend(mut self) -> Result<Self, InputError> {
        match self.input.attend(InterruptStatus::CONFIG)? {
            Some(DeviceEvent::NeedsReset) => Ok(Self { input: self.input.recover()?, keys: Keys::default() }),
            // Nothing in its configuration matters here.
            _ => Ok(self),
        }
    }

    /// Lends the keyboard to a task; `bell` is rung by the handler of its interrupt.
    ///
    /// # Errors
    ///
    /// Those of [`Input::events`].
    pub fn listen<'k>(&'k mut self, bell: &'k Bell) -> Result<Typing<'k, T, H>, InputError> {
        Ok(Typing { events: self.input.events(bell)?, keys: &mut self.keys })
    }

    /// The next character typed; `None` when nothing waits.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn read(&mut self) -> Result<Option<u8>, InputError> {
        loop {
            let event = match self.input.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                // One event less; the device goes on.
                Err(InputError::ShortEvent { .. }) => continue,
                Err(error) => return Err(error),
            };
            let typed = self.keys.feed(event, |led, on| self.input.set_led(led, on));
            if typed.is_some() {
                return Ok(typed);
            }
        }
    }
}

impl<T: Transport, H: Hal + Clone> Typing<'_, T, H> {
    /// Waits for the next character typed.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub async fn next(&mut self) -> Result<u8, InputError> {
        loop {
            let event = match self.events.next().await {
                Ok(event) => event,
                Err(InputError::ShortEvent { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Some(typed) = self.keys.feed(event, |led, on| self.events.set_led(led, on)) {
                return Ok(typed);
            }
        }
    }
}

impl Keys {
    /// Takes an event. Answers the character it types, and switches the LED with the state.
    fn feed(
        &mut self,
        event: InputEvent,
        set_led: impl FnOnce(u16, bool) -> Result<(), InputError>,
    ) -> Option<u8> {
        if event.kind != EventType::KEY {
            return None;
        }
        let typed = self.map.key(event.code, event.value);
        let on = self.map.caps_lock();
        if on != self.caps_lock {
            self.caps_lock = on;
            // A keyboard without LEDs, or with a full queue, types as well.
            let _ = set_led(code::LED_CAPS_LOCK, on);
        }
        typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Woken;
    use alloc::string::String;
    use alloc::vec::Vec;
    use virtio::DeviceId;
    use virtio_testkit::{FakeDevice, FakeTransport, Lie, Reply, TestHal};

    /// A device with the keys of `bits`, the bitmap of codes 24 to 31.
    fn device(hal: &TestHal, bits: u8) -> FakeDevice {
        FakeDevice::builder(DeviceId::INPUT)
            .config([0; 136])
            .on_config_write(move |space, _, _| {
                let keys = space[0] == 0x11 && space[1] == 1;
                (space[2], space[11]) = if keys { (4, bits) } else { (0, 0) };
            })
            .event_queue(0, 64)
            .queue(1, 64, |_| Reply::Hold)
            .build(hal)
    }

    fn keyboard(device: &FakeDevice, hal: &TestHal) -> Keyboard<FakeTransport, TestHal> {
        Keyboard::new(device.transport(), hal.clone()).unwrap().unwrap()
    }

    fn send(device: &FakeDevice, kind: u8, code: u8, value: u8) {
        assert!(device.send(0, &[kind, 0, code, 0, value, 0, 0, 0]));
    }

    fn press(device: &FakeDevice, code: u8) {
        for value in [1, 0] {
            send(device, 1, code, value);
            send(device, 0, 0, 0);
        }
    }

    fn typed(keyboard: &mut Keyboard<FakeTransport, TestHal>) -> String {
        core::iter::from_fn(|| keyboard.read().unwrap()).map(char::from).collect()
    }

    #[test]
    fn only_what_has_an_enter_key_is_a_keyboard() {
        let hal = TestHal::new();
        assert!(Keyboard::new(device(&hal, 0x10).transport(), hal.clone()).unwrap().is_some());
        assert!(Keyboard::new(device(&hal, 0xef).transport(), hal.clone()).unwrap().is_none());
    }

    #[test]
    fn keys_type_and_everything_else_does_not() {
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let mut keyboard = keyboard(&device, &hal);
        assert_eq!(keyboard.read(), Ok(None));
        send(&device, 1, 42, 1); // shift
        press(&device, 35);
        send(&device, 1, 42, 0);
        press(&device, 23);
        send(&device, 2, 30, 1); // a relative axis with the number of a key
        assert!(device.send(0, &[1, 0, 30]));
        press(&device, 28);
        assert_eq!(typed(&mut keyboard), "Hi\n");
    }

    #[test]
    fn caps_lock_has_its_led() {
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let mut keyboard = keyboard(&device, &hal);
        for code in [58, 30, 58, 30] {
            press(&device, code);
        }
        assert_eq!(typed(&mut keyboard), "Aa");
        let leds: Vec<u8> = device.held_readable(1).iter().map(|event| event[4]).collect();
        assert_eq!(leds, [1, 0]);
        assert!(device.held_readable(1).iter().all(|event| event.starts_with(&[0x11, 0, 1, 0])));
    }

    #[test]
    fn what_is_typed_can_be_awaited() {
        static WOKEN: Woken = Woken::new();
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let (mut keyboard, bell) = (keyboard(&device, &hal), Bell::new());
        let mut typing = keyboard.listen(&bell).unwrap();
        let mut left = [35, 58, 23, 28].into_iter();
        let line: Vec<u8> = WOKEN.block_on(
            async {
                let mut line = Vec::new();
                while !line.ends_with(b"\n") {
                    line.push(typing.next().await.unwrap());
                }
                line
            },
            |_| {
                // A key, and the interrupt that it brings.
                press(&device, left.next().unwrap());
                bell.ring();
            },
        );
        assert_eq!(line, b"hI\n");
        assert_eq!(device.held_readable(1).len(), 1, "the LED of caps lock");
    }

    #[test]
    fn a_keyboard_that_only_changed_goes_on() {
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let mut keyboard = keyboard(&device, &hal).attend().unwrap();
        press(&device, 35);
        assert_eq!(typed(&mut keyboard), "h");
    }

    #[test]
    fn one_that_asks_to_be_reset_is_brought_up_again() {
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let keyboard = keyboard(&device, &hal);
        send(&device, 1, 42, 1); // shift
        device.needs_reset();
        let mut keyboard = keyboard.attend().unwrap();
        press(&device, 35);
        assert_eq!(typed(&mut keyboard), "h");
    }

    #[test]
    fn a_lost_keyboard_says_so() {
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let mut keyboard = keyboard(&device, &hal);
        device.lie(0, Lie::UsedIndex(1000));
        assert!(keyboard.read().is_err());
    }
}
