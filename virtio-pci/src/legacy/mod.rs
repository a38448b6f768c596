//! Legacy devices, and transitional ones driven as such: registers in the I/O ports of BAR 0 (VIRTIO 1.4 §4.1.4.10).

mod detect;
mod endpoint;
mod locate;
mod queue;
mod regs;
mod transport;

#[cfg(test)]
mod tests;

pub use detect::Interfaces;
pub use endpoint::LegacyEndpoint;
pub use locate::IoRange;
pub use transport::LegacyTransport;
