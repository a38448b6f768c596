//! Which queue is whose (VIRTIO 1.4 §5.3.2).

/// Queue of control messages from the device; with `MULTIPORT`.
pub const CONTROL_RECEIVEQ: u16 = 2;
/// Queue of control messages to the device; with `MULTIPORT`.
pub const CONTROL_TRANSMITQ: u16 = 3;

/// Queue by which a port receives: 0 for port 0, then 4, 6, 8 …
///
/// ```
/// use virtio_console::abi::{receiveq, transmitq};
/// assert_eq!((receiveq(0), transmitq(0)), (0, 1));
/// assert_eq!((receiveq(1), transmitq(1)), (4, 5));
/// assert_eq!((receiveq(31), transmitq(31)), (64, 65));
/// ```
#[must_use]
pub const fn receiveq(port: u16) -> u16 {
    match port {
        0 => 0,
        _ => port.saturating_mul(2).saturating_add(2),
    }
}

/// Queue by which a port transmits: 1 for port 0, then 5, 7, 9 …
#[must_use]
pub const fn transmitq(port: u16) -> u16 {
    receiveq(port).saturating_add(1)
}

const _: () = {
    assert!(receiveq(0) == 0 && transmitq(0) == 1);
    assert!(receiveq(1) == 4 && transmitq(1) == 5);
    assert!(receiveq(2) == 6 && transmitq(2) == 7);
};
