//! Device status (VIRTIO 1.4 §2.1).

bitflags::bitflags! {
    /// The device status field (VIRTIO 1.4 §2.1). Bits are only ever added; writing 0 resets the device.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Status: u8 {
        /// The guest has noticed the device.
        const ACKNOWLEDGE = 1;
        /// The guest knows how to drive the device.
        const DRIVER = 2;
        /// The driver is ready: the device is live.
        const DRIVER_OK = 4;
        /// Feature negotiation is complete.
        const FEATURES_OK = 8;
        /// The device is suspended (new in 1.4).
        const SUSPEND = 16;
        /// The device has met an error it cannot recover from.
        const DEVICE_NEEDS_RESET = 64;
        /// The driver has given up on the device.
        const FAILED = 128;
        // A device may set what this list does not know: keep it.
        const _ = !0;
    }
}
crate::defmt_bits!(Status);
