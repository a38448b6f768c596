//! Control messages (VIRTIO 1.4 §5.3.6.2).

use core::mem::{offset_of, size_of};

use virtio_core::config::ByteOrder;

use crate::PortId;

/// Values of [`Message::event`].
pub(crate) mod event {
    /// To the device: the driver is there.
    pub(crate) const DEVICE_READY: u16 = 0;
    /// From the device: there is a port.
    pub(crate) const DEVICE_ADD: u16 = 1;
    /// From the device: a port is gone.
    pub(crate) const DEVICE_REMOVE: u16 = 2;
    /// To the device: the port is ready to be used (1), or could not be set up (0).
    pub(crate) const PORT_READY: u16 = 3;
    /// From the device: the port is a console.
    pub(crate) const CONSOLE_PORT: u16 = 4;
    /// From the device, with a size behind it: the console has another size.
    pub(crate) const RESIZE: u16 = 5;
    /// Both ways: the sender's end of the port is open (1) or closed (0).
    pub(crate) const PORT_OPEN: u16 = 6;
    /// From the device, with a text behind it: the port has a name.
    pub(crate) const PORT_NAME: u16 = 7;
}

/// `virtio_console_control`, for its layout.
#[repr(C)]
struct Control {
    id: u32,
    event: u16,
    value: u16,
}

/// `virtio_console_resize`, for its layout.
#[repr(C)]
struct Resize {
    cols: u16,
    rows: u16,
}

/// Bytes of a message, without what follows it.
pub(crate) const CONTROL_LEN: usize = size_of::<Control>();
/// Bytes of the size that follows a `RESIZE`.
pub(crate) const RESIZE_LEN: usize = size_of::<Resize>();

// The specification's numbers; the functions below take the fields apart in this order.
const _: () = {
    assert!(CONTROL_LEN == 8);
    assert!(
        offset_of!(Control, id) == 0 && offset_of!(Control, event) == 4 && offset_of!(Control, value) == 6
    );
    assert!(RESIZE_LEN == 4);
    assert!(offset_of!(Resize, cols) == 0 && offset_of!(Resize, rows) == 2);
};

/// A control message. It is little-endian, and in the guest's order on a legacy transport (VIRTIO 1.4 §5.3.6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// The port that it is about.
    pub(crate) port: PortId,
    /// What it says.
    pub(crate) event: u16,
    /// More of that.
    pub(crate) value: u16,
}

impl Message {
    pub(crate) fn from_wire(bytes: [u8; CONTROL_LEN], order: ByteOrder) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        let id = match order {
            ByteOrder::Little => u32::from_le_bytes([a, b, c, d]),
            ByteOrder::Native => u32::from_ne_bytes([a, b, c, d]),
        };
        Self { port: PortId::new(id), event: read16([e, f], order), value: read16([g, h], order) }
    }

    pub(crate) fn to_wire(self, order: ByteOrder) -> [u8; CONTROL_LEN] {
        let (id, event, value) = match order {
            ByteOrder::Little => {
                (self.port.get().to_le_bytes(), self.event.to_le_bytes(), self.value.to_le_bytes())
            }
            ByteOrder::Native => {
                (self.port.get().to_ne_bytes(), self.event.to_ne_bytes(), self.value.to_ne_bytes())
            }
        };
        let ([a, b, c, d], [e, f], [g, h]) = (id, event, value);
        [a, b, c, d, e, f, g, h]
    }
}

/// Columns and rows.
pub(crate) fn read_resize(bytes: [u8; RESIZE_LEN], order: ByteOrder) -> (u16, u16) {
    let [a, b, c, d] = bytes;
    (read16([a, b], order), read16([c, d], order))
}

fn read16(bytes: [u8; 2], order: ByteOrder) -> u16 {
    match order {
        ByteOrder::Little => u16::from_le_bytes(bytes),
        ByteOrder::Native => u16::from_ne_bytes(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Message = Message { port: PortId::new(0x0102_0304), event: 0x0506, value: 0x0708 };

    #[test]
    fn messages_are_little_endian() {
        let wire = [4, 3, 2, 1, 6, 5, 8, 7];
        assert_eq!(MESSAGE.to_wire(ByteOrder::Little), wire);
        assert_eq!(Message::from_wire(wire, ByteOrder::Little), MESSAGE);
        assert_eq!(read_resize([80, 0, 25, 1], ByteOrder::Little), (80, 0x0119));
    }

    // shows: console.op.legacy.1
    #[test]
    fn legacy_messages_are_in_the_guests_order() {
        let id = MESSAGE.port.get().to_ne_bytes();
        let wire = [&id[..], &0x0506_u16.to_ne_bytes(), &0x0708_u16.to_ne_bytes()].concat();
        let wire = wire.try_into().unwrap();
        assert_eq!(MESSAGE.to_wire(ByteOrder::Native), wire);
        assert_eq!(Message::from_wire(wire, ByteOrder::Native), MESSAGE);
        let ([a, b], [c, d]) = (80_u16.to_ne_bytes(), 25_u16.to_ne_bytes());
        assert_eq!(read_resize([a, b, c, d], ByteOrder::Native), (80, 25));
    }
}
