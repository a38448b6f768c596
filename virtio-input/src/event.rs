//! Events, numbered as Linux's evdev numbers them (VIRTIO 1.4 §5.8.6).

use core::fmt;

use crate::abi;

/// The type of an event. An open set: a type that has no name here is kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EventType(u16);

impl EventType {
    /// Ends a group of events that belong together.
    pub const SYN: Self = Self(0x00);
    /// A key or button: value 0 is released, 1 pressed, 2 repeated.
    pub const KEY: Self = Self(0x01);
    /// A relative axis moved: the value is a signed distance.
    pub const REL: Self = Self(0x02);
    /// An absolute axis: the value is its position.
    pub const ABS: Self = Self(0x03);
    /// Miscellaneous.
    pub const MSC: Self = Self(0x04);
    /// A switch, such as a lid.
    pub const SW: Self = Self(0x05);
    /// An LED, to the device: value 1 is on.
    pub const LED: Self = Self(0x11);
    /// A sound, to the device.
    pub const SND: Self = Self(0x12);
    /// Automatic repetition of keys.
    pub const REP: Self = Self(0x14);

    /// Wraps a number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Its name in evdev, without the `EV_` prefix; `None` if it has none here.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::SYN => "SYN",
            Self::KEY => "KEY",
            Self::REL => "REL",
            Self::ABS => "ABS",
            Self::MSC => "MSC",
            Self::SW => "SW",
            Self::LED => "LED",
            Self::SND => "SND",
            Self::REP => "REP",
            _ => return None,
        })
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "EventType({:#x})", self.0),
        }
    }
}

/// Codes of the events that most kernels meet. The device may send any other.
pub mod code {
    /// End of a group ([`EventType::SYN`](super::EventType::SYN)).
    pub const SYN_REPORT: u16 = 0;
    /// Horizontal movement ([`EventType::REL`](super::EventType::REL)).
    pub const REL_X: u16 = 0;
    /// Vertical movement.
    pub const REL_Y: u16 = 1;
    /// The wheel.
    pub const REL_WHEEL: u16 = 8;
    /// Horizontal position ([`EventType::ABS`](super::EventType::ABS)).
    pub const ABS_X: u16 = 0;
    /// Vertical position.
    pub const ABS_Y: u16 = 1;
    /// Enter ([`EventType::KEY`](super::EventType::KEY)): keyboards have it, pointers have not.
    pub const KEY_ENTER: u16 = 28;
    /// Left button of a pointer.
    pub const BTN_LEFT: u16 = 0x110;
    /// Num lock ([`EventType::LED`](super::EventType::LED)).
    pub const LED_NUM_LOCK: u16 = 0;
    /// Caps lock.
    pub const LED_CAPS_LOCK: u16 = 1;
    /// Scroll lock.
    pub const LED_SCROLL_LOCK: u16 = 2;
}

/// One event, in either direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InputEvent {
    /// What kind of event. Ignore the ones you do not know.
    pub kind: EventType,
    /// Which key, axis or LED.
    pub code: u16,
    /// What became of it.
    pub value: u32,
}

impl InputEvent {
    /// The value of a relative axis, or of an absolute one with a negative range.
    #[must_use]
    pub const fn signed_value(&self) -> i32 {
        i32::from_ne_bytes(self.value.to_ne_bytes())
    }

    pub(crate) fn from_wire(event: abi::Event) -> Self {
        Self { kind: EventType(event.kind.get()), code: event.code.get(), value: event.value.get() }
    }

    pub(crate) fn to_wire(self) -> abi::Event {
        abi::Event { kind: self.kind.0.into(), code: self.code.into(), value: self.value.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::IntoBytes;

    #[test]
    fn the_wire_form_is_little_endian() {
        let event = InputEvent { kind: EventType::KEY, code: 0x1234, value: 0x89ab_cdef };
        let wire = event.to_wire();
        assert_eq!(wire.as_bytes(), [1, 0, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x89]);
        assert_eq!(InputEvent::from_wire(wire), event);
    }

    #[test]
    fn distances_have_a_sign() {
        let event = InputEvent { kind: EventType::REL, code: code::REL_X, value: u32::MAX };
        assert_eq!(event.signed_value(), -1);
    }
}
