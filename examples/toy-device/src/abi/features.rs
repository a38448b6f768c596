//! Feature bits.

use virtio_core::Features;

/// The configuration space says how many sides a die has.
pub(crate) const F_SIDES: Features = Features::bit(0);
