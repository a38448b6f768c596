//! What these crates need of a kernel, and their transports.

mod find;
mod hal;
mod watched;

pub use find::{Visit, pci, visit};
pub use hal::Kernel;
pub use watched::Watched;
