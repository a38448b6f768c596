//! The shared half of every virtio driver: memory, queues, lifecycle. One small `unsafe impl` away from your kernel.
//!
//! ```text
//!     your kernel implements Hal          a transport crate implements Transport
//!                  │                                      │
//!                  ▼                                      ▼
//!        hal ──► dma ──► queue ──────────► device ◄── transport (trait)
//!   pages, clock  regions, loans  rings, requests  reset → … → live
//! ```
//!
//! # What it is
//! * [`Hal`]: what a kernel provides. Four methods; [`OffsetHal`] is ready-made for most kernels.
//! * [`Dma<T, H>`](Dma): a typed, zeroed DMA region that frees itself.
//! * [`queue`]: the virtqueue, with its size chosen at run time and its rings in DMA memory, always.
//! * [`device`]: initialization as types, and the one guard that resets a device before it frees memory.
//! * [`Transport`]: plain numbers in and out; `virtio-mmio` and `virtio-pci` implement it.
//!
//! # What it is not
//! It drives no device by itself (`virtio-gpu`, `virtio-input`, `virtio-rng` do), knows no register layout, assumes no interrupt
//! controller, no executor and no heap, and has no global state.
//!
//! # For driver authors
//! Declare features and queues as data, bring the device up, exchange bytes:
//!
//! ```
//! use core::time::Duration;
//! use virtio_core::{device::{Init, Wanted}, queue::QueueSpec, DeviceId, Error, Hal, Transport};
//!
//! /// Asks an entropy device (VIRTIO 1.4 §5.4) for random bytes, 64 at the most: what its queue is declared for.
//! fn random<T: Transport, H: Hal + Clone>(transport: T, hal: H, bytes: &mut [u8]) -> Result<usize, Error> {
//!     let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
//!     let mut device = init.queues(&[QueueSpec::new::<()>(0, 8).response(64)])?.live()?;
//!     device.exchange(0, &[], bytes, Duration::from_secs(1))
//! }   // dropped here: reset, confirmed, and only then freed
//! ```
//!
//! [`Device::exchange`](device::Device::exchange) is for small requests, copied through the queue's own memory;
//! [`Device::call`](device::Device::call) shares your slices for the length of one request;
//! [`Device::port`](device::Device::port) takes owned payloads, many at a time, in any order. An answer that is too short to
//! be one is [`Misbehaved::ShortAnswer`].
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `alloc` | lending `Box<[u8]>` and `Vec<u8>`; boxed transports |
//! | `log` | messages through the `log` crate |
//! | `defmt` | messages through `defmt` on bare-metal targets, `defmt::Format` on data types and errors |
//!
//! # Safety
//! Unsafe code lives in named rooms (`hal`, `regs`, `dma`, ring access in `queue`, the loan in `device`), each of which opens
//! with the invariants it keeps; `SAFETY` comments cite them. Device and transport crates forbid unsafe code. No panic is
//! reachable from what a device does or a caller passes.
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
pub mod interrupt;
pub mod queue;
pub mod regs;
pub mod transport;

// The public interface, for those who do not look for it in its module:
pub use abi::device_id::DeviceId;
pub use abi::features::Features;
pub use abi::status::Status;
pub use addr::{DeviceAddr, PhysAddr};
pub use device::DeviceEvent;
pub use dma::Dma;
pub use error::{Error, Incompatible, Misbehaved, Misuse, Wait};
#[cfg(target_has_atomic = "ptr")]
pub use hal::BouncePool;
pub use hal::{
    Deadline, Direction, DmaMemory, Frames, Hal, HalError, Leaked, MmioKind, OffsetHal, Segment, Trust,
};
pub use index::{QueueIndex, QueueSize};
pub use interrupt::{Endpoint, Interrupts};
pub use transport::{InterruptStatus, Transport};
/// What stands in public signatures of this family.
pub use zerocopy;

/// For the macros of this family only.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "defmt")]
    pub use defmt;
    #[cfg(feature = "log")]
    pub use log;
}
