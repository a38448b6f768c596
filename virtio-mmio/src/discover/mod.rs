//! Where the slots of a machine are, by those who describe machines: a kernel command line, a device tree.

mod command_line;
#[cfg(feature = "dtoolkit")]
mod device_tree;
mod number;

#[cfg(test)]
mod tests;

pub use command_line::{CommandLine, ParameterError, ParameterFault, Placed, command_line};
#[cfg(feature = "dtoolkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "dtoolkit")))]
pub use device_tree::{DeviceTree, Specifier, TreeError, TreeFault, TreeSlot, device_tree};

use virtio_core::PhysAddr;

use crate::Slot;

/// Registers are 4 bytes wide, and so is the least alignment of a mapping.
const ALIGN: u64 = 4;

/// A slot, if it has registers at all, they are aligned, and its end does not wrap.
fn slot(base: u64, len: u64) -> Option<Slot> {
    base.checked_add(len)?;
    let len = usize::try_from(len).ok()?;
    (len != 0 && base & ALIGN.wrapping_sub(1) == 0).then_some(Slot { base: PhysAddr::new(base), len })
}
