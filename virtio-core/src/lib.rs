//! wip
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;

#[macro_use]
mod fmt;
pub mod abi;
mod addr;
pub mod config;
pub mod device;
pub mod dma;
mod error;
pub mod hal;
mod index;
pub mod queue;
pub mod regs;
pub mod transport;

pub use abi::device_id::DeviceId;
pub use abi::features::Features;
pub use abi::status::Status;
pub use addr::{DeviceAddr, PhysAddr};
pub use dma::Dma;
pub use error::{Error, Incompatible, Misbehaved, Misuse, Wait};
pub use hal::{Deadline, Direction, DmaMemory, Frames, Hal, HalError, Leaked, MmioKind, OffsetHal, Segment};
pub use index::{QueueIndex, QueueSize};
pub use transport::Transport;

/// For the macros of this family only.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "defmt")]
    pub use defmt;
    #[cfg(feature = "log")]
    pub use log;
}
