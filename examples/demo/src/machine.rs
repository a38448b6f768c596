//! Where on this machine virtio devices may be. Plain data: the kernel fills it in, from a device tree
//! ([`crate::fdt`]) or from what it knows of the machine.

use core::ops::{Range, RangeInclusive};

/// Every place to look for virtio devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine<'a> {
    /// Every virtio-mmio slot, the empty ones too.
    pub mmio: &'a [MmioSlot],
    /// The PCI host bridge, if there is one.
    pub pci: Option<PciHost>,
}

/// The registers of one virtio-mmio slot (VIRTIO 1.4 §4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmioSlot {
    /// Physical address of the first register.
    pub base: u64,
    /// Length in bytes.
    pub len: usize,
}

/// A PCI host bridge: how to reach configuration space, and which addresses its devices may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciHost {
    /// How configuration space is reached.
    pub config: PciConfig,
    /// The bus numbers behind this bridge.
    pub buses: RangeInclusive<u8>,
    /// Memory below 4 GiB for BARs. Empty if there is none.
    pub mem32: Window,
    /// Memory above 4 GiB for 64-bit BARs.
    pub mem64: Option<Window>,
    /// Port numbers for I/O BARs, and the memory through which a CPU without ports reaches them.
    pub io: Option<Window>,
}

/// How PCI configuration space is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciConfig {
    /// Memory-mapped: 4 KiB a function, 1 MiB a bus.
    Ecam {
        /// Physical address of the first bus's configuration space.
        base: u64,
        /// Length in bytes.
        len: u64,
    },
    /// The x86 ports 0xCF8 and 0xCFC.
    Ports,
}

/// A range of addresses that the host bridge forwards to its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The addresses as devices see them, and as BARs hold them.
    pub bus: Range<u64>,
    /// The address at which the CPU sees the first one. The same number on most machines.
    pub cpu: u64,
}

impl Window {
    /// A window that CPU and devices see at the same addresses.
    pub const fn identity(range: Range<u64>) -> Self {
        let cpu = range.start;
        Self { bus: range, cpu }
    }
}
