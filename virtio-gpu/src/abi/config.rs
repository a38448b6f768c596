//! The configuration space (VIRTIO 1.4 §5.7.4).

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

// true by construction: basic.config.3 — these are there without any feature, and no other offset has a name; what an input
// device has goes with no feature either.
virtio_core::config_space! {
    /// `virtio_gpu_config`.
    pub(crate) struct Space {
        EVENTS_READ: u32 = 0,
        /// Ones written here clear bits of `EVENTS_READ`.
        EVENTS_CLEAR: u32 = 4,
        NUM_SCANOUTS: u32 = 8,
        NUM_CAPSETS: u32 = 12,
        /// With `F_BLOB_ALIGNMENT` only, which is never accepted.
        BLOB_ALIGNMENT: u32 = 16,
    }
}
