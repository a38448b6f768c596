//! Which of QEMU's two machines this is, and so where virtio devices may be.

use crate::port;

/// Ports of PCI's first configuration mechanism: address, then data.
const PCI_ADDRESS: u16 = 0xcf8;
const PCI_DATA: u16 = 0xcfc;

/// Does a PCI host bridge answer? It does on q35; microvm has none, and unused ports there read as all ones.
pub fn has_pci() -> bool {
    // SAFETY: selects the identification of bus 0, device 0, function 0. Nothing else uses these ports yet.
    unsafe { port::write32(PCI_ADDRESS, 1 << 31) };
    // SAFETY: reading it has no effect.
    unsafe { port::read32(PCI_DATA) != u32::MAX }
}
