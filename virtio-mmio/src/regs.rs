//! The register tables (VIRTIO 1.4 §4.2.2 and §4.2.4): the one source of offsets and access modes.
//!
//! Every register is 32 bits wide. What both versions have stands at the same place in both; [`Legacy`] names only what
//! version 1 has besides.

use core::mem::{offset_of, size_of};

use virtio_core::regs::{RO, RW, Register, WO, register};

/// `MagicValue`: "virt" (VIRTIO 1.4 §4.2.2).
pub(crate) const MAGIC: u32 = 0x7472_6976;
/// Where the configuration space starts (VIRTIO 1.4 §4.2.2).
pub(crate) const CONFIG: usize = 0x100;

/// Registers of version 2 (VIRTIO 1.4 §4.2.2).
// true by construction: mmio.regs.2, mmio.regs.3, mmio.regs.4 — RO has no `write`, WO has no `read`, and all are `u32`
#[allow(dead_code, reason = "the table is the specification's, whole; not every register is used")]
#[repr(C)]
pub(crate) struct Modern {
    magic_value: RO<u32>,
    version: RO<u32>,
    device_id: RO<u32>,
    vendor_id: RO<u32>,
    device_features: RO<u32>,
    device_features_sel: WO<u32>,
    _018: [u32; 2],
    driver_features: WO<u32>,
    driver_features_sel: WO<u32>,
    _028: [u32; 2],
    queue_sel: WO<u32>,
    queue_size_max: RO<u32>,
    queue_size: WO<u32>,
    _03c: [u32; 2],
    queue_ready: RW<u32>,
    _048: [u32; 2],
    queue_notify: WO<u32>,
    _054: [u32; 3],
    interrupt_status: RO<u32>,
    interrupt_ack: WO<u32>,
    _068: [u32; 2],
    status: RW<u32>,
    _074: [u32; 3],
    queue_desc_low: WO<u32>,
    queue_desc_high: WO<u32>,
    _088: [u32; 2],
    queue_driver_low: WO<u32>,
    queue_driver_high: WO<u32>,
    _098: [u32; 2],
    queue_device_low: WO<u32>,
    queue_device_high: WO<u32>,
    _0a8: [u32; 1],
    shm_sel: WO<u32>,
    shm_len_low: RO<u32>,
    shm_len_high: RO<u32>,
    shm_base_low: RO<u32>,
    shm_base_high: RO<u32>,
    queue_reset: RW<u32>,
    _0c4: [u32; 14],
    config_generation: RO<u32>,
}

/// Registers of version 1 (VIRTIO 1.4 §4.2.4).
#[allow(dead_code, reason = "the table is the specification's, whole; not every register is used")]
#[repr(C)]
pub(crate) struct Legacy {
    _same_000: [u32; 10],
    guest_page_size: WO<u32>,
    _02c: [u32; 1],
    _same_030: [u32; 3],
    queue_align: WO<u32>,
    queue_pfn: RW<u32>,
    _044: [u32; 3],
    _same_050: [u32; 9],
    _074: [u32; 35],
}

pub(crate) const MAGIC_VALUE: Register<RO<u32>> = register!(Modern, magic_value);
pub(crate) const VERSION: Register<RO<u32>> = register!(Modern, version);
pub(crate) const DEVICE_ID: Register<RO<u32>> = register!(Modern, device_id);
pub(crate) const VENDOR_ID: Register<RO<u32>> = register!(Modern, vendor_id);
pub(crate) const DEVICE_FEATURES: Register<RO<u32>> = register!(Modern, device_features);
pub(crate) const DEVICE_FEATURES_SEL: Register<WO<u32>> = register!(Modern, device_features_sel);
pub(crate) const DRIVER_FEATURES: Register<WO<u32>> = register!(Modern, driver_features);
pub(crate) const DRIVER_FEATURES_SEL: Register<WO<u32>> = register!(Modern, driver_features_sel);
pub(crate) const QUEUE_SEL: Register<WO<u32>> = register!(Modern, queue_sel);
pub(crate) const QUEUE_SIZE_MAX: Register<RO<u32>> = register!(Modern, queue_size_max);
pub(crate) const QUEUE_SIZE: Register<WO<u32>> = register!(Modern, queue_size);
pub(crate) const QUEUE_READY: Register<RW<u32>> = register!(Modern, queue_ready);
pub(crate) const QUEUE_NOTIFY: Register<WO<u32>> = register!(Modern, queue_notify);
pub(crate) const INTERRUPT_STATUS: Register<RO<u32>> = register!(Modern, interrupt_status);
pub(crate) const INTERRUPT_ACK: Register<WO<u32>> = register!(Modern, interrupt_ack);
pub(crate) const STATUS: Register<RW<u32>> = register!(Modern, status);
pub(crate) const QUEUE_DESC_LOW: Register<WO<u32>> = register!(Modern, queue_desc_low);
pub(crate) const QUEUE_DESC_HIGH: Register<WO<u32>> = register!(Modern, queue_desc_high);
pub(crate) const QUEUE_DRIVER_LOW: Register<WO<u32>> = register!(Modern, queue_driver_low);
pub(crate) const QUEUE_DRIVER_HIGH: Register<WO<u32>> = register!(Modern, queue_driver_high);
pub(crate) const QUEUE_DEVICE_LOW: Register<WO<u32>> = register!(Modern, queue_device_low);
pub(crate) const QUEUE_DEVICE_HIGH: Register<WO<u32>> = register!(Modern, queue_device_high);
pub(crate) const SHM_SEL: Register<WO<u32>> = register!(Modern, shm_sel);
pub(crate) const SHM_LEN_LOW: Register<RO<u32>> = register!(Modern, shm_len_low);
pub(crate) const SHM_LEN_HIGH: Register<RO<u32>> = register!(Modern, shm_len_high);
pub(crate) const SHM_BASE_LOW: Register<RO<u32>> = register!(Modern, shm_base_low);
pub(crate) const SHM_BASE_HIGH: Register<RO<u32>> = register!(Modern, shm_base_high);
pub(crate) const QUEUE_RESET: Register<RW<u32>> = register!(Modern, queue_reset);
pub(crate) const CONFIG_GENERATION: Register<RO<u32>> = register!(Modern, config_generation);

pub(crate) const GUEST_PAGE_SIZE: Register<WO<u32>> = register!(Legacy, guest_page_size);
pub(crate) const QUEUE_ALIGN: Register<WO<u32>> = register!(Legacy, queue_align);
pub(crate) const QUEUE_PFN: Register<RW<u32>> = register!(Legacy, queue_pfn);

const _: () = {
    assert!(offset_of!(Modern, magic_value) == 0x000);
    assert!(offset_of!(Modern, version) == 0x004);
    assert!(offset_of!(Modern, device_id) == 0x008);
    assert!(offset_of!(Modern, vendor_id) == 0x00c);
    assert!(offset_of!(Modern, device_features) == 0x010);
    assert!(offset_of!(Modern, device_features_sel) == 0x014);
    assert!(offset_of!(Modern, driver_features) == 0x020);
    assert!(offset_of!(Modern, driver_features_sel) == 0x024);
    assert!(offset_of!(Modern, queue_sel) == 0x030);
    assert!(offset_of!(Modern, queue_size_max) == 0x034);
    assert!(offset_of!(Modern, queue_size) == 0x038);
    assert!(offset_of!(Modern, queue_ready) == 0x044);
    assert!(offset_of!(Modern, queue_notify) == 0x050);
    assert!(offset_of!(Modern, interrupt_status) == 0x060);
    assert!(offset_of!(Modern, interrupt_ack) == 0x064);
    assert!(offset_of!(Modern, status) == 0x070);
    assert!(offset_of!(Modern, queue_desc_low) == 0x080);
    assert!(offset_of!(Modern, queue_desc_high) == 0x084);
    assert!(offset_of!(Modern, queue_driver_low) == 0x090);
    assert!(offset_of!(Modern, queue_driver_high) == 0x094);
    assert!(offset_of!(Modern, queue_device_low) == 0x0a0);
    assert!(offset_of!(Modern, queue_device_high) == 0x0a4);
    assert!(offset_of!(Modern, shm_sel) == 0x0ac);
    assert!(offset_of!(Modern, shm_len_low) == 0x0b0);
    assert!(offset_of!(Modern, shm_len_high) == 0x0b4);
    assert!(offset_of!(Modern, shm_base_low) == 0x0b8);
    assert!(offset_of!(Modern, shm_base_high) == 0x0bc);
    assert!(offset_of!(Modern, queue_reset) == 0x0c0);
    assert!(offset_of!(Modern, config_generation) == 0x0fc);
    assert!(size_of::<Modern>() == CONFIG);

    assert!(offset_of!(Legacy, guest_page_size) == 0x028);
    assert!(offset_of!(Legacy, queue_align) == 0x03c);
    assert!(offset_of!(Legacy, queue_pfn) == 0x040);
    assert!(offset_of!(Legacy, _same_050) == 0x050);
    assert!(size_of::<Legacy>() == CONFIG);
};
