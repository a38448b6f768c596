//! Walking a list of slots: from a fixed range of the machine, or from a device tree.

use virtio_core::regs::Mapped;
use virtio_core::{Hal, MmioKind, PhysAddr};

use crate::{ProbeError, Probed, probe};

/// Where the registers of one slot are. A device tree has one node `virtio,mmio` for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot {
    /// Physical address of the first register.
    pub base: PhysAddr,
    /// Length of the window in bytes.
    pub len: usize,
}

/// The slots of a machine that has `count` of them, `stride` bytes apart and as long, from `base` on. Slots beyond the
/// end of the address space are left out.
///
/// ```
/// use virtio_core::PhysAddr;
/// // QEMU's aarch64 `virt` machine.
/// let slots = virtio_mmio::slots(PhysAddr::new(0x0a00_0000), 0x200, 32);
/// assert_eq!(slots.last().unwrap().base, PhysAddr::new(0x0a00_3e00));
/// ```
pub fn slots(base: PhysAddr, stride: usize, count: usize) -> impl DoubleEndedIterator<Item = Slot> + Clone {
    (0..count).filter_map(move |number| {
        let offset = u64::try_from(number).ok()?.checked_mul(u64::try_from(stride).ok()?)?;
        Some(Slot { base: base.checked_add(offset)?, len: stride })
    })
}

/// Maps each slot through the Hal and looks for a device in it ([`probe`]), one slot per step of the iterator. Mappings
/// of empty slots and of what cannot be served are undone at once.
pub fn probe_all<H: Hal + Clone, S: IntoIterator<Item = Slot>>(
    hal: H,
    slots: S,
) -> impl Iterator<Item = (Slot, Probed<Mapped<H>>)> {
    slots.into_iter().map(move |slot| {
        let regs = Mapped::new(hal.clone(), slot.base, slot.len, MmioKind::Registers);
        (slot, regs.map_err(ProbeError::from).and_then(probe))
    })
}
