//! The common configuration structure (VIRTIO 1.4 §4.1.4.3): the one source of offsets and access modes.

use core::mem::{offset_of, size_of};

use virtio_core::regs::{RO, RW, Register, register};

// true by construction: pci.layout.common-cfg.1 — those fields are RO here, which has no `write`
/// `struct virtio_pci_common_cfg`, 64-bit fields as the two 32-bit halves that they are accessed in.
#[allow(dead_code, reason = "the structure is the specification's, whole; not every register is used")]
#[repr(C)]
pub(crate) struct Common {
    device_feature_select: RW<u32>,
    device_feature: RO<u32>,
    driver_feature_select: RW<u32>,
    driver_feature: RW<u32>,
    config_msix_vector: RW<u16>,
    num_queues: RO<u16>,
    device_status: RW<u8>,
    config_generation: RO<u8>,
    queue_select: RW<u16>,
    queue_size: RW<u16>,
    queue_msix_vector: RW<u16>,
    queue_enable: RW<u16>,
    queue_notify_off: RO<u16>,
    queue_desc_low: RW<u32>,
    queue_desc_high: RW<u32>,
    queue_driver_low: RW<u32>,
    queue_driver_high: RW<u32>,
    queue_device_low: RW<u32>,
    queue_device_high: RW<u32>,
    queue_notif_config_data: RO<u16>,
    queue_reset: RW<u16>,
    admin_queue_index: RO<u16>,
    admin_queue_num: RO<u16>,
}

/// Bytes that every modern device has: up to the end of `queue_device`.
pub(crate) const COMMON_NEEDED: u64 = 0x38;
/// Bytes up to the end of `queue_notif_config_data`: devices without `NOTIF_CONFIG_DATA` may end before it.
pub(crate) const COMMON_TO_NOTIF_CONFIG_DATA: u64 = 0x3a;
/// Bytes up to the end of `queue_reset`: devices without `RING_RESET` may end before it.
pub(crate) const COMMON_TO_QUEUE_RESET: u64 = 0x3c;
/// Bytes of the whole structure.
pub(crate) const COMMON_WHOLE: u64 = 0x40;
/// `VIRTIO_MSI_NO_VECTOR` (VIRTIO 1.4 §4.1.5.1.2).
pub(crate) const NO_VECTOR: u16 = 0xffff;

pub(crate) const DEVICE_FEATURE_SELECT: Register<RW<u32>> = register!(Common, device_feature_select);
pub(crate) const DEVICE_FEATURE: Register<RO<u32>> = register!(Common, device_feature);
pub(crate) const DRIVER_FEATURE_SELECT: Register<RW<u32>> = register!(Common, driver_feature_select);
pub(crate) const DRIVER_FEATURE: Register<RW<u32>> = register!(Common, driver_feature);
pub(crate) const CONFIG_MSIX_VECTOR: Register<RW<u16>> = register!(Common, config_msix_vector);
pub(crate) const NUM_QUEUES: Register<RO<u16>> = register!(Common, num_queues);
pub(crate) const DEVICE_STATUS: Register<RW<u8>> = register!(Common, device_status);
pub(crate) const CONFIG_GENERATION: Register<RO<u8>> = register!(Common, config_generation);
pub(crate) const QUEUE_SELECT: Register<RW<u16>> = register!(Common, queue_select);
pub(crate) const QUEUE_SIZE: Register<RW<u16>> = register!(Common, queue_size);
pub(crate) const QUEUE_MSIX_VECTOR: Register<RW<u16>> = register!(Common, queue_msix_vector);
pub(crate) const QUEUE_ENABLE: Register<RW<u16>> = register!(Common, queue_enable);
pub(crate) const QUEUE_NOTIFY_OFF: Register<RO<u16>> = register!(Common, queue_notify_off);
pub(crate) const QUEUE_DESC_LOW: Register<RW<u32>> = register!(Common, queue_desc_low);
pub(crate) const QUEUE_DESC_HIGH: Register<RW<u32>> = register!(Common, queue_desc_high);
pub(crate) const QUEUE_DRIVER_LOW: Register<RW<u32>> = register!(Common, queue_driver_low);
pub(crate) const QUEUE_DRIVER_HIGH: Register<RW<u32>> = register!(Common, queue_driver_high);
pub(crate) const QUEUE_DEVICE_LOW: Register<RW<u32>> = register!(Common, queue_device_low);
pub(crate) const QUEUE_DEVICE_HIGH: Register<RW<u32>> = register!(Common, queue_device_high);
pub(crate) const QUEUE_NOTIF_CONFIG_DATA: Register<RO<u16>> = register!(Common, queue_notif_config_data);
pub(crate) const QUEUE_RESET: Register<RW<u16>> = register!(Common, queue_reset);

const _: () = {
    assert!(offset_of!(Common, device_feature_select) == 0x00);
    assert!(offset_of!(Common, device_feature) == 0x04);
    assert!(offset_of!(Common, driver_feature_select) == 0x08);
    assert!(offset_of!(Common, driver_feature) == 0x0c);
    assert!(offset_of!(Common, config_msix_vector) == 0x10);
    assert!(offset_of!(Common, num_queues) == 0x12);
    assert!(offset_of!(Common, device_status) == 0x14);
    assert!(offset_of!(Common, config_generation) == 0x15);
    assert!(offset_of!(Common, queue_select) == 0x16);
    assert!(offset_of!(Common, queue_size) == 0x18);
    assert!(offset_of!(Common, queue_msix_vector) == 0x1a);
    assert!(offset_of!(Common, queue_enable) == 0x1c);
    assert!(offset_of!(Common, queue_notify_off) == 0x1e);
    assert!(offset_of!(Common, queue_desc_low) == 0x20);
    assert!(offset_of!(Common, queue_desc_high) == 0x24);
    assert!(offset_of!(Common, queue_driver_low) == 0x28);
    assert!(offset_of!(Common, queue_driver_high) == 0x2c);
    assert!(offset_of!(Common, queue_device_low) == 0x30);
    assert!(offset_of!(Common, queue_device_high) == 0x34);
    assert!(offset_of!(Common, queue_notif_config_data) == 0x38);
    assert!(offset_of!(Common, queue_reset) == 0x3a);
    assert!(offset_of!(Common, admin_queue_index) == 0x3c);
    assert!(offset_of!(Common, admin_queue_num) == 0x3e);
    assert!(size_of::<Common>() == 0x40);
};
