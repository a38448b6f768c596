//! MSI-X (PCI Local Bus 3.0 §6.8.2): messages instead of a line (VIRTIO 1.4 §4.1.5.1.2).

mod capability;
mod table;
mod vectors;

pub(crate) use capability::{Msix, turn_off};
pub use table::MsixMessage;
pub(crate) use table::{ENTRY, program};
pub(crate) use vectors::{CONFIG_VECTOR, Vectors};
