//! QEMU's `virt` machine for aarch64: where things are. Fixed, and what its device tree says too.

/// How a device is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bus {
    /// Registers in one of the machine's slots, version 2.
    Mmio,
    /// A PCI function, modern.
    Pci,
}

/// The first slot.
pub const SLOTS: u64 = 0x0a00_0000;
/// Bytes from slot to slot.
pub const SLOT_LEN: usize = 0x200;
/// Slots.
pub const SLOT_COUNT: usize = 32;
/// Configuration space of 256 buses.
pub const ECAM: u64 = 0x40_1000_0000;
/// Its length.
pub const ECAM_LEN: usize = 256 << 20;
/// Addresses for BARs of 32 bits.
pub const MEM32: u64 = 0x1000_0000;
/// How many.
pub const MEM32_LEN: u64 = 0x2eff_0000;
/// Addresses for BARs of 64 bits.
pub const MEM64: u64 = 0x80_0000_0000;
/// How many.
pub const MEM64_LEN: u64 = 0x80_0000_0000;
