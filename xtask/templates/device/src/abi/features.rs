//! Feature bits (VIRTIO 1.4 §5.N.3).

use virtio_core::Features;

/// The device has a limit, and says it in its configuration space.
pub(crate) const F_LIMIT: Features = Features::bit(0);
