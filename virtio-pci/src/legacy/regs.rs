//! The legacy registers (VIRTIO 1.4 §4.1.4.10): the one source of offsets and access modes.

use core::mem::{offset_of, size_of};

use virtio_core::regs::{RO, RW, Register, register};

/// The general header. Its fields are little-endian, what follows it is in the guest's own order.
#[repr(C)]
pub(super) struct Header {
    device_features: RO<u32>,
    guest_features: RW<u32>,
    queue_address: RW<u32>,
    queue_size: RO<u16>,
    queue_select: RW<u16>,
    queue_notify: RW<u16>,
    device_status: RW<u8>,
    isr_status: RO<u8>,
}

/// Where the device's own configuration space starts. With MSI-X on it would be 4 bytes further, behind the two vectors;
/// MSI-X is off.
pub(super) const CONFIG: usize = 20;

pub(super) const DEVICE_FEATURES: Register<RO<u32>> = register!(Header, device_features);
pub(super) const GUEST_FEATURES: Register<RW<u32>> = register!(Header, guest_features);
pub(super) const QUEUE_ADDRESS: Register<RW<u32>> = register!(Header, queue_address);
pub(super) const QUEUE_SIZE: Register<RO<u16>> = register!(Header, queue_size);
pub(super) const QUEUE_SELECT: Register<RW<u16>> = register!(Header, queue_select);
pub(super) const QUEUE_NOTIFY: Register<RW<u16>> = register!(Header, queue_notify);
pub(super) const DEVICE_STATUS: Register<RW<u8>> = register!(Header, device_status);
pub(super) const ISR_STATUS: Register<RO<u8>> = register!(Header, isr_status);

const _: () = {
    assert!(offset_of!(Header, device_features) == 0);
    assert!(offset_of!(Header, guest_features) == 4);
    assert!(offset_of!(Header, queue_address) == 8);
    assert!(offset_of!(Header, queue_size) == 12);
    assert!(offset_of!(Header, queue_select) == 14);
    assert!(offset_of!(Header, queue_notify) == 16);
    assert!(offset_of!(Header, device_status) == 18);
    assert!(offset_of!(Header, isr_status) == 19);
    assert!(size_of::<Header>() == CONFIG);
};
