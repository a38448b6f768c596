//! The virtio newdev device (VIRTIO 1.4 §5.N): what it is, in one line.
//!
//! * [`Newdev::new`] brings a device up on any [`Transport`](virtio_core::Transport).
//! * [`Newdev::echo`] is the one request of the device that this crate was laid out for; replace it by yours.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit`. A kernel has its own [`Hal`](virtio_core::Hal), and a transport from
//! `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use virtio_newdev::Newdev;
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let device = FakeDevice::builder(DeviceId::new(NUMBER))
//! #     .config(100_u32.to_le_bytes())
//! #     .queue(0, 8, |request| Reply::Write([&[0; 4][..], &request.readable[4..]].concat()))
//! #     .build(&hal);
//! # let transport = device.transport();
//!
//! let mut newdev = Newdev::new(transport, hal.clone())?;
//! assert_eq!(newdev.echo(7)?, 7);
//! # Ok::<(), virtio_newdev::NewdevError>(())
//! ```
//!
//! This crate is safe Rust throughout, needs no heap, and does not panic on what a device does.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod abi;
mod device;
mod error;

pub use device::Newdev;
pub use error::NewdevError;
