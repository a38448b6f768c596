//! Virtio drivers for any kernel, hypervisor guest, unikernel or boot loader written in Rust.
//!
//! You tell it how your kernel allocates pages and maps registers; it finds the devices, over MMIO (legacy and modern)
//! and PCI, and drives them: GPU, keyboard, mouse. It needs no `std`, no heap and no interrupts, keeps no global state,
//! bounds every wait, and does not panic on what a device does. Drivers and transports have no unsafe code.
//!
//! # Use it in your kernel
//!
//! One dependency (default features off take away what you do not need):
//!
//! ```toml
//! [dependencies]
//! # Until the first release: the address of this repository.
//! virtio = { git = "…", features = ["embedded-graphics"] }
//! ```
//!
//! The whole kernel side, if *virtual = physical + offset* holds for your page frames and registers, as it does with an
//! identity map (offset 0). For any other kernel implement [`Hal`]: four methods.
//!
//! ```
//! # mod kernel {
//! #     pub const OFFSET: u64 = 0xffff_8000_0000_0000;
//! #     pub fn alloc_frames(_: usize) -> Option<u64> { None }
//! #     pub fn free_frames(_: u64, _: usize) {}
//! #     pub fn uptime() -> Option<core::time::Duration> { None }
//! # }
//! use core::num::NonZeroUsize;
//! use virtio::{Frames, OffsetHal, PhysAddr};
//!
//! #[derive(Clone, Copy)]
//! struct Pages;
//!
//! // SAFETY: the kernel's allocator hands out free, contiguous frames of RAM.
//! unsafe impl Frames for Pages {
//!     fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
//!         kernel::alloc_frames(count.get()).map(PhysAddr::new)
//!     }
//!     unsafe fn free(&self, first: PhysAddr, count: NonZeroUsize) {
//!         kernel::free_frames(first.get(), count.get());
//!     }
//! }
//!
//! // SAFETY: this kernel maps RAM at this offset, and the first GiB, where the devices are, as device memory.
//! let hal = unsafe { OffsetHal::new(kernel::OFFSET, Pages, &[0..0x4000_0000]) }.with_clock(kernel::uptime);
//! # let _ = hal;
//! ```
//!
//! Ten lines to a picture, on QEMU's aarch64 `virt` machine (a device tree lists the slots of others; for PCI see
//! [`pci`]):
//!
//! ```
//! # #[cfg(all(feature = "gpu", feature = "mmio"))] mod example {
//! use virtio::gpu::{Gpu, GpuError, Rect, Rgb};
//! use virtio::{DeviceId, Hal, PhysAddr, Transport, mmio};
//!
//! fn picture(hal: impl Hal + Clone + 'static) -> Result<(), GpuError> {
//!     let slots = mmio::slots(PhysAddr::new(0x0a00_0000), 0x200, 32);
//!     let mut devices = mmio::probe_all(hal.clone(), slots).filter_map(|(_slot, device)| device.ok()?);
//!     let Some(device) = devices.find(|device| device.device_id() == DeviceId::GPU) else { return Ok(()) };
//!     let mut gpu = Gpu::new(device, hal)?;
//!     let mut screen = gpu.screen()?;
//!     let mut framebuffer = gpu.framebuffer(&mut screen)?;
//!     framebuffer.clear(Rgb::new(0, 0, 96))?;
//!     framebuffer.fill(Rect::new(100, 100, 200, 50), Rgb::WHITE)?;
//!     framebuffer.flush()?;
//!     loop {} // the picture stays as long as `gpu` does: dropping it resets the device
//! }
//! # }
//! ```
//!
//! With the feature `embedded-graphics` a framebuffer is a `DrawTarget`: text and shapes come from there. What the keys
//! mean, and the rest of a small system, is in the example kernels.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `mmio` | yes | [`mmio`]: devices in memory-mapped slots, versions 1 (legacy) and 2 |
//! | `pci` | yes | [`pci`]: modern devices, with bus walk and BAR allocation |
//! | `gpu` | yes | [`gpu`]: 2D screens, EDID, hardware cursor |
//! | `input` | yes | [`input`]: keyboards, mice, tablets |
//! | `embedded-graphics` | no | draw with `embedded-graphics` |
//! | `alloc` | no | lend `Box<[u8]>` and `Vec<u8>`; boxed transports |
//! | `log`, `defmt` | no | what drivers have to say, through these crates (both may be on) |
//!
//! With `mmio` and `pci` both on, `AnyTransport` is one type for devices of either.

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

/// The README's examples compile and run too.
#[cfg(all(doctest, feature = "mmio", feature = "gpu"))]
#[doc = include_str!("../../README.md")]
mod readme {}
