//! The configuration space (VIRTIO 1.4 §5.7.4).

use core::mem::offset_of;

use virtio_core::regs::{RO, RW};

/// The most displays a device can have (VIRTIO 1.4 §5.7.6.8).
pub const MAX_SCANOUTS: usize = 16;

bitflags::bitflags! {
    /// What has happened (VIRTIO 1.4 §5.7.4): bits of `events_read` and `events_clear`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Events: u32 {
        /// Display information has changed: a display was added, removed or resized.
        const DISPLAY = 1;
        const _ = !0;
    }
}
virtio_core::defmt_bits!(Events);

/// `virtio_gpu_config`: the one source of offsets. Never placed over the real thing.
#[allow(dead_code, reason = "the table is the specification's, whole; not every field is used")]
#[repr(C)]
struct Config {
    events_read: RO<u32>,
    /// Ones written here clear bits of `events_read`.
    events_clear: RW<u32>,
    num_scanouts: RO<u32>,
    num_capsets: RO<u32>,
    blob_alignment: RO<u32>,
}

// true by construction: basic.config.3 — these are there without any feature, and no other offset has a name; what an input
// device has goes with no feature either.
pub(crate) const EVENTS_READ: usize = offset_of!(Config, events_read);
pub(crate) const EVENTS_CLEAR: usize = offset_of!(Config, events_clear);
pub(crate) const NUM_SCANOUTS: usize = offset_of!(Config, num_scanouts);

const _: () = {
    assert!(size_of::<Config>() == 20);
    assert!(EVENTS_READ == 0);
    assert!(EVENTS_CLEAR == 4);
    assert!(NUM_SCANOUTS == 8);
    assert!(offset_of!(Config, num_capsets) == 12);
    assert!(offset_of!(Config, blob_alignment) == 16);
};
