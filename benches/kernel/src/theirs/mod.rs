//! What `virtio-drivers` needs of a kernel, and its transports.

mod find;
mod hal;
mod watched;

pub use find::{Visit, visit};
pub use hal::Identity;
pub use watched::Watched;
