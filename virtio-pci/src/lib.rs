//! The virtio PCI transport (VIRTIO 1.4 §4.1), and as much of PCI as it takes to get there without firmware.
//!
//! ```text
//! ConfigAccess ── Ecam, LegacyPorts, AccessFns        reach configuration space
//!      │
//!  number_buses ─► BarAllocator ─► walk               bridges get buses, BARs get addresses, functions are found
//!      │                            │
//!      └──────────► PciTransport ◄──┘                 a modern virtio device: give it to a driver
//! ```
//!
//! * **Configuration space** is reached through [`ConfigAccess`]: [`Ecam`] (memory-mapped, windows of any size),
//!   [`LegacyPorts`] (0xCF8/0xCFC on x86), or [`AccessFns`] over two functions that a kernel already has. The `pci_types`
//!   feature converts addresses.
//! * **With firmware** (a PC), buses are numbered and BARs assigned: [`walk()`] and go.
//! * **Without** (QEMU's `virt` machines booted directly), call [`number_buses`] and [`BarAllocator::assign_all`] once,
//!   with the [`Windows`] of the host bridge from the device tree's `ranges`.
//! * [`PciTransport`] is the [`Transport`](virtio_core::Transport) that a device driver takes. It serves the modern interface,
//!   of modern and transitional devices; a device with the legacy interface alone is refused by name
//!   ([`PciError::LegacyOnly`]). Interrupts are INTx, or none: see [below](#interrupts).
//!
//! This crate has no unsafe code, needs no heap and does not panic, whatever a function or a bridge answers.
//!
//! # Interrupts
//!
//! A device signals by its INTx line, or the kernel polls. MSI-X is not used: if firmware or a kernel before this one
//! left it on, the constructors of [`PciTransport`] switch it off ([`PciError::MsixRefused`] if it stays on), for with
//! MSI-X a device may leave its ISR status alone (VIRTIO 1.4 §4.1.4.5). Nothing else of the MSI-X capability and its
//! table is touched.
//!
//! The command register's Interrupt Disable bit is cleared when the first queue is enabled, that is after the reset, and
//! not earlier: what a device had to say before is of no interest. It is never set. So a device in use may assert its
//! line; a kernel that polls leaves the line masked at its interrupt controller, or sets the bit through its own
//! [`ConfigAccess`] once the driver is up. Which interrupt the line is, only the platform knows (a device tree's
//! `interrupt-map`, ACPI's `_PRT`).
//!
//! # Example
//!
//! A walk over one bus. The configuration space is made up here; in a kernel it is `Ecam::map(hal, base, len)?`:
//!
//! ```
//! use virtio_core::DeviceId;
//! use virtio_pci::{walk, AccessFns};
//!
//! let access = AccessFns::new(
//!     |function, offset| match (function.number(), offset) {
//!         (0x0008, 0x00) => 0x1050_1af4, // 00:01.0: a virtio GPU
//!         (0x0008, 0x08) => 0x0380_0001,
//!         (0x0008, _) => 0,
//!         _ => u32::MAX,
//!     },
//!     |_, _, _| {},
//! );
//!
//! let gpu = walk(&access, 0).find(|function| function.virtio_id() == Some(DeviceId::GPU)).unwrap();
//! assert_eq!(gpu.address.to_string(), "00:01.0");
//! // PciTransport::new(hal, &access, gpu.address)? is what the GPU driver takes.
//! ```
//!
//! # Without firmware, end to end
//!
//! QEMU's aarch64 `virt`, whose numbers a device tree has too. The Hal must know both windows and the ECAM as registers:
//!
//! ```
//! use virtio_core::regs::Mapped;
//! use virtio_core::{DeviceId, Hal, PhysAddr};
//! use virtio_pci::{BarAllocator, Ecam, PciError, PciTransport, Window, Windows, number_buses, walk};
//!
//! type Config<H> = Ecam<Mapped<H>>;
//!
//! fn config<H: Hal>(hal: H) -> Result<Config<H>, PciError> {
//!     Ok(Ecam::map(hal, PhysAddr::new(0x40_1000_0000), 256 << 20)?)
//! }
//!
//! /// The way to the GPU, if there is one: what `Gpu::new` takes.
//! fn gpu<H: Hal + Clone>(
//!     hal: H,
//!     config: &Config<H>,
//! ) -> Result<Option<PciTransport<Mapped<H>, &Config<H>>>, PciError> {
//!     let windows = Windows {
//!         mem32: Some(Window::identity(0x1000_0000, 0x2eff_0000)),
//!         mem64: Some(Window::identity(0x80_0000_0000, 0x80_0000_0000)),
//!         ..Windows::default()
//!     };
//!     number_buses(config, 0, 255)?;
//!     BarAllocator::new(windows).assign_all(config, 0)?;
//!     let found = walk(config, 0).find(|function| function.virtio_id() == Some(DeviceId::GPU));
//!     found.map(|function| PciTransport::in_windows(hal, config, function.address, &windows)).transpose()
//! }
//! # let _ = (config::<virtio_core::OffsetHal<Nothing>>, gpu::<&dyn Hal>);
//! # struct Nothing;
//! # unsafe impl virtio_core::Frames for Nothing {
//! #     fn alloc(&self, _: core::num::NonZeroUsize) -> Option<PhysAddr> { None }
//! #     unsafe fn free(&self, _: PhysAddr, _: core::num::NonZeroUsize) {}
//! # }
//! ```

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate alloc;

mod access;
mod address;
mod allocate;
mod bar;
mod bridge;
pub mod caps;
mod endpoint;
mod error;
mod function;
mod header;
mod locate;
mod msix;
mod notify;
mod number;
mod queue_reset;
mod regs;
mod rom;
mod transport;
mod walk;
mod window;

#[cfg(test)]
mod tests;

pub use access::{AccessFns, ConfigAccess, Ecam, LegacyPorts};
pub use address::FunctionAddress;
pub use allocate::BarAllocator;
pub use bar::{BARS, BarInfo, BarKind, Bars, bars};
pub use endpoint::PciEndpoint;
pub use error::PciError;
pub use function::{Function, Header, VIRTIO_VENDOR};
pub use number::number_buses;
pub use transport::PciTransport;
pub use walk::{BusFunctions, Walk, functions_on, walk};
pub use window::{Window, Windows};
