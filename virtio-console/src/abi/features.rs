//! Feature bits of the console (VIRTIO 1.4 §5.3.3).

use virtio_core::Features;

/// The configuration holds the size of the console.
pub const F_SIZE: Features = Features::bit(0);
/// There may be several ports, and there are control queues.
pub const F_MULTIPORT: Features = Features::bit(1);
/// Characters can be written to the configuration space.
pub const F_EMERG_WRITE: Features = Features::bit(2);

/// The specification's name of a feature bit of the console, without the prefix `VIRTIO_CONSOLE_F_`.
///
/// ```
/// assert_eq!(virtio_console::abi::feature_name(1), Some("MULTIPORT"));
/// assert_eq!(virtio_console::abi::feature_name(3), None);
/// ```
#[must_use]
pub const fn feature_name(bit: u32) -> Option<&'static str> {
    Some(match bit {
        0 => "SIZE",
        1 => "MULTIPORT",
        2 => "EMERG_WRITE",
        _ => return None,
    })
}
