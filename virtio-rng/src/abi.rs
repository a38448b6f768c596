//! What the specification numbers (VIRTIO 1.4 §5.4.2). There is nothing else: no features, no configuration, no header, and
//! answers have no form.

/// The only queue, of empty buffers for the device to fill.
pub(crate) const REQUESTQ: u16 = 0;
