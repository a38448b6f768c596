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
    pub fn new(transport: T, hal: H) -> Result<Option<Self>, input::InputError> {
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
    pub fn read(&mut self) -> Result<Option<u8>, input::InputError> {
        loop {
            let event = match self.input.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                // One event less; the device goes on.
                Err(input::InputError::ShortEvent { .. }) => continue,
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

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_lost_keyboard_says_so() {
        let hal = TestHal::new();
        let device = device(&hal, 0x10);
        let mut keyboard = keyboard(&device, &hal);
        device.lie(0, Lie::UsedIndex(1000));
        assert!(keyboard.read().is_err());
    }
}
