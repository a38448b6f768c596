//! Which of QEMU's two machines this is, and so where virtio devices may be.

use crate::{paging, port};
use demo::{MmioSlot, PciConfig, PciHost};
use virtio::PhysAddr;
use virtio::pci::{Window, Windows};
use virtio::regs::PortRegs;

/// Ports of PCI's first configuration mechanism: address, then data.
const PCI_ADDRESS: u16 = 0xcf8;
const PCI_DATA: u16 = 0xcfc;
const PCI_PORTS: usize = 8;

/// microvm: so many virtio-mmio slots, one behind the other.
const SLOTS: usize = 24;
const SLOT_LEN: usize = 0x200;
const FIRST_SLOT: u64 = 0xfeb0_0000;

/// The slots of microvm.
pub static MMIO: [MmioSlot; SLOTS] = {
    let mut slots = [MmioSlot { base: PhysAddr::new(FIRST_SLOT), len: SLOT_LEN }; SLOTS];
    let mut number = 0;
    while number < SLOTS {
        slots[number].base = PhysAddr::new(FIRST_SLOT + (number * SLOT_LEN) as u64);
        number += 1;
    }
    slots
};

/// The host bridge of q35, if there is one. No firmware has to have run: nothing is in its windows then.
pub fn pci() -> Option<PciHost> {
    let below_4g = 0xc000_0000..0xfec0_0000;
    let above = paging::HIGH_WINDOW;
    has_pci().then(|| PciHost {
        config: PciConfig::Ports,
        buses: 0..=255,
        windows: Windows {
            io: None,
            mem32: Some(Window::identity(below_4g.start, below_4g.end - below_4g.start)),
            mem64: Some(Window::identity(above.start, above.end - above.start)),
        },
    })
}

/// The ports of PCI configuration space.
///
/// # Safety
///
/// To be called once: two users of the ports would select for one another.
pub unsafe fn pci_ports() -> PortRegs {
    // SAFETY: the ports belong to the host bridge, and by the caller's promise to one user.
    unsafe { PortRegs::new(PCI_ADDRESS, PCI_PORTS) }
}

/// Does a PCI host bridge answer? It does on q35; microvm has none, and unused ports there read as all ones.
fn has_pci() -> bool {
    // SAFETY: selects the identification of bus 0, device 0, function 0. Nothing else uses these ports yet.
    unsafe { port::write32(PCI_ADDRESS, 1 << 31) };
    // SAFETY: reading it has no effect.
    unsafe { port::read32(PCI_DATA) != u32::MAX }
}
