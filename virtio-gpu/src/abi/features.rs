//! Feature bits of the GPU (VIRTIO 1.4 §5.7.3).

use virtio_core::Features;

/// EDIDs can be read.
pub const F_EDID: Features = Features::bit(1);

/// The specification's name of a feature bit of the GPU, without the prefix `VIRTIO_GPU_F_`.
///
/// ```
/// assert_eq!(virtio_gpu::abi::feature_name(1), Some("EDID"));
/// assert_eq!(virtio_gpu::abi::feature_name(32), None);
/// ```
#[must_use]
pub const fn feature_name(bit: u32) -> Option<&'static str> {
    Some(match bit {
        0 => "VIRGL",
        1 => "EDID",
        2 => "RESOURCE_UUID",
        3 => "RESOURCE_BLOB",
        4 => "CONTEXT_INIT",
        5 => "BLOB_ALIGNMENT",
        _ => return None,
    })
}
