//! The virtio MMIO transport (VIRTIO 1.4 §4.2): devices behind a window of memory-mapped registers.
//!
//! Machines without PCI put their virtio devices there, and so do many with PCI: QEMU's `virt` machines for aarch64 and
//! riscv64, its `microvm`, Firecracker, crosvm. A machine has a row of such windows, its *slots*; most are empty.
//!
//! Both versions of the registers are served behind one constructor, [`probe()`]. **Version 1 ("legacy") is what QEMU
//! offers by default**, whatever the device; a driver that speaks only version 2 waits there for ever.
//!
//! * [`probe()`] looks at one window, through any [`Registers`](virtio_core::regs::Registers); [`probe_modern`] refuses version 1
//!   by name.
//! * Where the windows are, the platform says: [`slots()`] for a row of them, [`command_line()`] for
//!   `virtio_mmio.device=` parameters, `device_tree` (feature `dtoolkit`) for the nodes of a device tree.
//! * [`find`] and [`probe_all`] walk them, mapping each through the kernel's [`Hal`](virtio_core::Hal).
//! * [`MmioTransport`] is the [`Transport`](virtio_core::Transport) that a device driver takes; [`MmioEndpoint`] is for the
//!   interrupt handler.
//!
//! This crate has no unsafe code, needs no heap and does not panic.
//!
//! # Example
//!
//! A slot with a version 1 GPU in it. Instead of mapped memory ([`NativeRegs`](virtio_core::regs::NativeRegs)) the registers are an array here,
//! which any back-end could be:
//!
//! ```
//! use std::cell::RefCell;
//! use virtio_core::regs::Registers;
//! use virtio_core::{DeviceId, Transport};
//!
//! #[derive(Debug)]
//! struct Array(RefCell<[u8; 0x200]>);
//!
//! impl Array {
//!     fn get<const N: usize>(&self, at: usize) -> [u8; N] {
//!         self.0.borrow()[at..at + N].try_into().unwrap()
//!     }
//!     fn set(&self, at: usize, bytes: &[u8]) {
//!         self.0.borrow_mut()[at..at + bytes.len()].copy_from_slice(bytes);
//!     }
//! }
//!
//! impl Registers for Array {
//!     fn len(&self) -> usize { 0x200 }
//!     fn read8(&self, at: usize) -> u8 { u8::from_le_bytes(self.get(at)) }
//!     fn read16(&self, at: usize) -> u16 { u16::from_le_bytes(self.get(at)) }
//!     fn read32(&self, at: usize) -> u32 { u32::from_le_bytes(self.get(at)) }
//!     fn write8(&self, at: usize, value: u8) { self.set(at, &value.to_le_bytes()) }
//!     fn write16(&self, at: usize, value: u16) { self.set(at, &value.to_le_bytes()) }
//!     fn write32(&self, at: usize, value: u32) { self.set(at, &value.to_le_bytes()) }
//! }
//!
//! let regs = Array(RefCell::new([0; 0x200]));
//! regs.write32(0x000, 0x7472_6976); // MagicValue
//! regs.write32(0x004, 1); // Version
//! assert!(virtio_mmio::probe(&regs)?.is_none()); // DeviceID 0: an empty slot is no error
//!
//! regs.write32(0x008, 16); // DeviceID
//! let transport = virtio_mmio::probe(&regs)?.expect("a device");
//! assert_eq!(transport.device_id(), DeviceId::GPU);
//! assert!(transport.is_legacy());
//! assert_eq!(transport.info().to_string(), "virtio-mmio legacy (v1)");
//!
//! // Who wants no legacy device is told of it by name.
//! assert_eq!(virtio_mmio::probe_modern(&regs).unwrap_err(), virtio_mmio::ProbeError::LegacyRefused);
//! # Ok::<(), virtio_mmio::ProbeError>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod discover;
mod endpoint;
mod error;
mod probe;
mod queue;
mod regs;
mod shared;
mod slots;
mod transport;

#[cfg(test)]
mod tests;

pub use discover::{CommandLine, ParameterError, ParameterFault, Placed, command_line};
#[cfg(feature = "dtoolkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "dtoolkit")))]
pub use discover::{DeviceTree, Specifier, TreeError, TreeFault, TreeSlot, device_tree};
// What stands in public signatures.
#[cfg(feature = "dtoolkit")]
#[cfg_attr(docsrs, doc(cfg(feature = "dtoolkit")))]
pub use dtoolkit;
pub use endpoint::MmioEndpoint;
pub use error::ProbeError;
pub use probe::{Probed, probe, probe_modern};
pub use slots::{Slot, find, probe_all, slots};
pub use transport::{MmioTransport, Version};
