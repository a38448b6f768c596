//! Walking a list of slots: from a fixed range of the machine, or from a device tree.

use virtio_core::regs::Mapped;
use virtio_core::{DeviceId, Hal, MmioKind, PhysAddr, Transport};

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

/// The first device of type `wanted` in these slots.
///
/// # Errors
/// There is none, and a slot could not be looked into: what was wrong with the first such slot. With
/// [`ProbeError::Platform`] the Hal refuses to map it: does it lie in the ranges that the Hal was given?
pub fn find<H: Hal + Clone, S: IntoIterator<Item = Slot>>(
    hal: H,
    slots: S,
    wanted: DeviceId,
) -> Probed<Mapped<H>> {
    let mut first_error = None;
    for (_slot, probed) in probe_all(hal, slots) {
        match probed {
            Ok(Some(device)) if device.device_id() == wanted => return Ok(Some(device)),
            Ok(_) => {}
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// Maps each slot through the Hal and looks for a device in it ([`probe()`]), one slot per step of the iterator. Mappings
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
