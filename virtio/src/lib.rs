//! Virtio drivers.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(feature = "mmio", feature = "pci"))]
mod any;

#[cfg(all(feature = "mmio", feature = "pci"))]
pub use any::AnyTransport;
pub use virtio_core::*;
#[cfg(feature = "gpu")]
pub use virtio_gpu as gpu;
#[cfg(feature = "input")]
pub use virtio_input as input;
#[cfg(feature = "mmio")]
pub use virtio_mmio as mmio;
#[cfg(feature = "pci")]
pub use virtio_pci as pci;
