//! The configuration space (VIRTIO 1.4 §5.N.4).

virtio_core::config_space! {
    /// `virtio_newdev_config`.
    pub(crate) struct Space {
        /// No request may carry a value above it. With `F_LIMIT` only.
        LIMIT: u32 = 0,
    }
}
