//! An input device made of Rust.

use virtio_core::DeviceId;
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, TestHal};

use virtio_input::Input;

/// What a device answers to a selector, and the size it states.
pub(crate) type Answer = (u8, Vec<u8>);

/// An answer that states its own size.
pub(crate) fn honest(bytes: impl Into<Vec<u8>>) -> Option<Answer> {
    let bytes = bytes.into();
    Some((u8::try_from(bytes.len()).unwrap(), bytes))
}

/// A device with an event queue of `events` entries, whose configuration space shows what `answer` says for `select` and
/// `subsel`. A write to any other field is a violation, which no answer survives.
pub(crate) fn builder(events: u16, answer: impl Fn(u8, u8) -> Option<Answer> + Send + 'static) -> Builder {
    FakeDevice::builder(DeviceId::INPUT)
        .config(vec![0; 136])
        .on_config_write(move |space, offset, bytes| {
            assert!(offset <= 1 && bytes.len() == 1, "a write of {} bytes at {offset}", bytes.len());
            let (size, data) = answer(space[0], space[1]).unwrap_or_default();
            space[2] = size;
            space[8..].fill(0);
            let len = data.len().min(128);
            space[8..8 + len].copy_from_slice(&data[..len]);
        })
        .event_queue(0, events)
        .queue(1, 8, |_| Reply::Hold)
}

/// What a keyboard with one key and three LEDs says.
pub(crate) fn keyboard(select: u8, subsel: u8) -> Option<Answer> {
    match (select, subsel) {
        (0x01, 0) => honest(*b"Test Keyboard"),
        (0x02, 0) => honest(*b"s-1\xff"),
        (0x03, 0) => honest([6, 0, 0x27, 0x06, 1, 0, 2, 0]),
        (0x10, 0) => honest([0b10]),
        // Enter: bit 28.
        (0x11, 0x01) => honest([0, 0, 0, 0x10]),
        (0x11, 0x11) => honest([0b111]),
        (0x12, 0) => honest(
            [(-5_i32).to_le_bytes(), 32767_i32.to_le_bytes(), [1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0]]
                .concat(),
        ),
        _ => None,
    }
}

/// A driver on the device.
pub(crate) fn drive(device: &FakeDevice, hal: &TestHal) -> Input<FakeTransport, TestHal> {
    Input::new(device.transport(), hal.clone()).unwrap()
}

/// An event, as it goes over the wire.
pub(crate) fn wire(kind: u16, code: u16, value: u32) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &code.to_le_bytes(), &value.to_le_bytes()].concat()
}
