//! Where on this machine virtio devices may be. Plain data: the kernel fills it in, from a device tree
//! ([`crate::fdt`]) or from what it knows of the machine.

use core::ops::RangeInclusive;
use virtio::PhysAddr;
use virtio::pci::Windows;

/// The registers of one virtio-mmio slot (VIRTIO 1.4 §4.2.2).
pub use virtio::mmio::Slot as MmioSlot;

/// Every place to look for virtio devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine<'a> {
    /// Every virtio-mmio slot, the empty ones too.
    pub mmio: &'a [MmioSlot],
    /// The PCI host bridge, if there is one.
    pub pci: Option<PciHost>,
}

/// A PCI host bridge: how to reach configuration space, and which addresses its devices may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciHost {
    /// How configuration space is reached.
    pub config: PciConfig,
    /// The bus numbers behind this bridge.
    pub buses: RangeInclusive<u8>,
    /// The addresses that the bridge forwards to its devices.
    pub windows: Windows,
}

/// How PCI configuration space is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciConfig {
    /// Memory-mapped: 4 KiB a function, 1 MiB a bus.
    Ecam {
        /// Physical address of the first bus's configuration space.
        base: PhysAddr,
        /// Length in bytes.
        len: u64,
    },
    /// The x86 ports 0xCF8 and 0xCFC: [`Platform::pci_ports`](crate::Platform::pci_ports) has them.
    Ports,
}
