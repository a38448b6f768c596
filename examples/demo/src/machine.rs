//! Where on this machine virtio devices may be. Plain data: the kernel fills it in, from a device tree
//! ([`crate::fdt`]) or from what it knows of the machine.

use core::ops::RangeInclusive;
use virtio::PhysAddr;
use virtio::pci::Windows;

/// What a device writes, and where, to interrupt (PCI Local Bus 3.0 §6.8).
pub use virtio::pci::MsixMessage;

/// A place for a virtio-mmio device (VIRTIO 1.4 §4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioSlot {
    /// Physical address of its registers.
    pub base: PhysAddr,
    /// Their length in bytes.
    pub len: usize,
    /// Its interrupt, by the number that [`Platform::enable_interrupt`](crate::Platform::enable_interrupt) takes.
    pub interrupt: Option<u32>,
}

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
    /// The interrupt lines of the devices on the first bus, where the machine tells.
    pub intx: Option<Intx>,
}

/// Which interrupt a PCI function's pin is wired to: by device number modulo 4, then pin (INTA# first).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intx(pub [[u32; 4]; 4]);

impl Intx {
    /// The interrupt of a device's pin, which is 1 (INTA#) to 4 (INTD#) as the function's configuration space has it.
    pub fn line(&self, device: u8, pin: u8) -> Option<u32> {
        let pins = self.0.get(usize::from(device % 4))?;
        pins.get(usize::from(pin.checked_sub(1)?)).copied()
    }
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
