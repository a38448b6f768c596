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
//!   ([`PciError::LegacyOnly`]): that one is for [`LegacyTransport`], which drives legacy and transitional devices through their
//!   I/O ports. [`Interfaces`] tells one from the other. Interrupts are MSI-X, INTx, or none: see [below](#interrupts).
//! * [`PciTransport::through_window`] drives a device whose BARs cannot be mapped, through configuration space alone.
//!
//! This crate has no unsafe code, needs no heap and does not panic, whatever a function or a bridge answers.
//!
//! # Interrupts
//!
//! A device signals by its INTx line, or by MSI-X messages if the kernel gives it some, or the kernel polls.
//!
//! **By the line**, which is where every transport begins. MSI-X that firmware or a kernel before this one left on is
//! switched off by the constructors of [`PciTransport`] ([`PciError::MsixRefused`] if it stays on), for with MSI-X a device
//! may leave its ISR status alone (VIRTIO 1.4 §4.1.4.5). The command register's Interrupt Disable bit is cleared when the
//! first queue is enabled, that is after the reset, and not earlier: what a device had to say before is of no interest. It
//! is set again only when the device is cut off the bus. So a device in use may assert its line; a kernel that polls leaves the
//! line masked at its interrupt controller, or calls [`PciTransport::keep_line_quiet`]. Which interrupt the line is, only the
//! platform knows (a device tree's `interrupt-map`, ACPI's `_PRT`), asked with [`PciTransport::interrupt_pin`]. A function without a line has no vector at all.
//!
//! **By messages**, after [`PciTransport::enable_msix`] with one [`MsixMessage`] for each vector. Vector 0 is for
//! configuration changes, queue `q` has vector `1 + q % (n - 1)`; with one vector, all share it. The table is written while
//! the function is mute, and it stays mute until the device has been reset and its first queue is enabled. After each reset
//! the vectors are mapped again and read back (VIRTIO 1.4 §4.1.5.1.2). A queue whose vector the device refuses gets vector
//! 0; a device that refuses this too, or the configuration vector, goes back to its line with MSI-X off, and where there is
//! no line, [`Incompatible::InterruptRefused`](virtio_core::Incompatible) says so. What came of it is settled when the device
//! is live, which is when [`Device::endpoint`](virtio_core::device::Device::endpoint) is called: a [`PciEndpoint`] of a
//! vector touches no register. [`Device::signals_by_message`](virtio_core::device::Device::signals_by_message) says which it has
//! become.
//!
//! Dropping the transport switches MSI-X off, so that no message goes to a vector whose handler may be gone. A driver that
//! gives the transport back, but for [`NotStopped`](virtio_core::device::NotStopped), has reset the device, which unmaps its vectors:
//! MSI-X may stay on for the next driver. A message
//! that is on its way meanwhile still arrives, so a handler is taken away after the transport.
//!
//! ```
//! use virtio_core::regs::Mapped;
//! use virtio_core::Hal;
//! use virtio_pci::{ConfigAccess, MsixMessage, PciError, PciTransport};
//!
//! /// On x86: vectors 0x40 and 0x41 of the CPU whose local APIC has id 0.
//! fn with_messages<H: Hal + Clone, A: ConfigAccess>(
//!     hal: H,
//!     transport: &mut PciTransport<Mapped<H>, A>,
//! ) -> Result<u16, PciError> {
//!     let message = |data| MsixMessage { address: 0xfee0_0000, data };
//!     transport.enable_msix(hal, &[message(0x40), message(0x41)])
//! }
//! # let _ = with_messages::<&'static dyn Hal, &dyn ConfigAccess>;
//! ```
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
#[cfg(test)]
extern crate std;

mod access;
mod address;
mod allocate;
mod bar;
mod bridge;
pub mod caps;
mod endpoint;
mod error;
mod extended;
mod function;
mod header;
mod legacy;
mod locate;
mod msix;
mod notify;
mod number;
mod queue_reset;
mod regs;
mod rom;
mod shared_memory;
mod transport;
mod walk;
mod window;
mod window_regs;

#[cfg(test)]
mod tests;

pub use access::{AccessFns, ConfigAccess, Ecam, LegacyPorts};
pub use address::FunctionAddress;
pub use allocate::BarAllocator;
pub use bar::{BARS, BarInfo, BarKind, Bars, bars};
pub use endpoint::PciEndpoint;
pub use error::PciError;
pub use function::{Function, Header, VIRTIO_VENDOR};
pub use legacy::{Interfaces, IoRange, LegacyEndpoint, LegacyTransport};
pub use msix::MsixMessage;
pub use number::number_buses;
pub use transport::PciTransport;
pub use walk::{BusFunctions, Walk, functions_on, walk};
pub use window::{Window, Windows};
pub use window_regs::ConfigWindow;
