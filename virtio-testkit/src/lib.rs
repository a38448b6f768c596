//! Test your kernel's virtio drivers on the host, under `cargo test`.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a test kit runs on a host and fails tests by panicking"
)]

mod device;
mod hal;
mod memory;
mod queue;
mod registers;
mod ring;
mod trace;
mod transport;

pub use device::{Builder, FakeDevice, Reset};
pub use hal::{Call, DeviceMemory, Outstanding, TestHal};
pub use queue::{Lie, Reply, Request};
pub use registers::FakeRegisters;
pub use ring::{Buffer, Chain, DeviceQueue};
pub use trace::Event;
pub use transport::FakeTransport;
