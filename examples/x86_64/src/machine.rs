//! Which of QEMU's two machines this is, and so where virtio devices may be.

use crate::{ioapic, paging, port};
use core::ops::Range;
use demo::{Intx, MmioSlot, PciConfig, PciHost};
use virtio::pci::{IoRange, Window, Windows};
use virtio::regs::PortRegs;
use virtio::{HalError, PhysAddr};

/// Ports of PCI's first configuration mechanism: address, then data.
const PCI_ADDRESS: u16 = 0xcf8;
const PCI_DATA: u16 = 0xcfc;
const PCI_PORTS: usize = 8;

/// microvm: virtio-mmio slots, one behind the other.
const FIRST_SLOT: u64 = 0xfeb0_0000;
const SLOT_LEN: usize = 0x200;

/// The slots of microvm, and the lines they interrupt by. A second I/O APIC has lines for 24 slots. Without one there
/// are 8, on upper lines of the first or, where no ACPI describes the machine, on lines of old devices that it has not.
pub fn mmio(acpi: bool) -> &'static [MmioSlot] {
    const SECOND: u32 = 24;
    static MANY: [MmioSlot; 24] = slots(SECOND);
    static UPPER: [MmioSlot; 8] = slots(16);
    static LOWER: [MmioSlot; 8] = slots(5);
    match (ioapic::exists(SECOND), acpi) {
        (true, _) => &MANY,
        (false, true) => &UPPER,
        (false, false) => &LOWER,
    }
}

const fn slots<const N: usize>(first_line: u32) -> [MmioSlot; N] {
    let mut slots = [MmioSlot { base: PhysAddr::new(0), len: SLOT_LEN, interrupt: None }; N];
    let mut number = 0;
    while number < N {
        slots[number].base = PhysAddr::new(FIRST_SLOT + (number * SLOT_LEN) as u64);
        slots[number].interrupt = Some(first_line + number as u32);
        number += 1;
    }
    slots
}

/// Ports behind the host bridge: all. The lowest belong to the chipset, and nobody is given any of those.
const IO: Range<u64> = 0..0x1_0000;
const FIRST_BAR: u16 = 0x1000;

/// q35: the lines of a device's pins INTA# to INTD#, by its number modulo 4. What the machine wires without being told,
/// for all devices on the first bus but those of the chipset. Elsewhere it takes ACPI's `_PRT` to know.
const INTX: Intx = Intx([[20, 21, 22, 23], [21, 22, 23, 20], [22, 23, 20, 21], [23, 20, 21, 22]]);

/// The host bridge of q35, if there is one. No firmware has to have run: nothing is in its windows then.
pub fn pci() -> Option<PciHost> {
    let below_4g = 0xc000_0000..0xfec0_0000;
    let above = paging::HIGH_WINDOW;
    has_pci().then(|| PciHost {
        config: PciConfig::Ports,
        buses: 0..=255,
        windows: Windows {
            io: Some(Window::identity(IO.start, IO.end - IO.start)),
            mem32: Some(Window::identity(below_4g.start, below_4g.end - below_4g.start)),
            mem64: Some(Window::identity(above.start, above.end - above.start)),
        },
        intx: Some(INTX),
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

/// The ports of a BAR; refused below those that a BAR is ever given.
///
/// # Safety
///
/// They belong to a function that the caller drives.
pub unsafe fn bar_ports(range: IoRange) -> Result<PortRegs, HalError> {
    let first =
        u16::try_from(range.port).ok().filter(|&port| port >= FIRST_BAR).ok_or(HalError::CannotMap)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { PortRegs::new(first, range.len) })
}

/// Does a PCI host bridge answer? It does on q35; microvm has none, and unused ports there read as all ones.
fn has_pci() -> bool {
    // SAFETY: selects the identification of bus 0, device 0, function 0. Nothing else uses these ports yet.
    unsafe { port::write32(PCI_ADDRESS, 1 << 31) };
    // SAFETY: reading it has no effect.
    unsafe { port::read32(PCI_DATA) != u32::MAX }
}
