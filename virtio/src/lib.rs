//! Virtio drivers for any kernel, hypervisor guest, unikernel or boot loader written in Rust.
//!
//! You tell it how your kernel allocates pages and maps registers; it finds the devices, over MMIO (legacy and modern)
//! and PCI, and drives them: GPU, keyboard, mouse, disk, network card, console, entropy. It needs no `std`, no heap and no interrupts, keeps no global state,
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
//! identity map (offset 0). `kernel::…` stands for what you have. For any other kernel implement [`Hal`]: four methods.
//!
//! ```
//! # mod kernel {
//! #     pub const OFFSET: u64 = 0xffff_8000_0000_0000;
//! #     pub fn alloc_frames(_: usize) -> Option<u64> { None }
//! #     pub fn free_frames(_: u64, _: usize) {}
//! # }
//! use core::num::NonZeroUsize;
//! use virtio::{Frames, OffsetHal, PhysAddr};
//!
//! #[derive(Clone, Copy)]
//! struct Pages;
//! // SAFETY: the kernel's allocator hands out free, contiguous frames of RAM.
//! unsafe impl Frames for Pages {
//!     fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
//!         kernel::alloc_frames(count.get()).map(PhysAddr::new)
//!     }
//!     unsafe fn free(&self, first: PhysAddr, count: NonZeroUsize) {
//!         kernel::free_frames(first.get(), count.get())
//!     }
//! }
//! // SAFETY: this kernel maps RAM at this offset, and the first GiB, where the devices are, as device memory.
//! let hal = unsafe { OffsetHal::new(kernel::OFFSET, Pages, &[0..0x4000_0000]) };
//! // aarch64 has a timer to bound waits with; elsewhere: .with_clock(kernel::uptime) or .with_spin_budget(n)
//! # let _ = hal;
//! ```
//!
//! Ten lines to a picture, on QEMU's aarch64 `virt` machine started with `-device virtio-gpu-device` (a device tree lists
//! the slots of other machines; for PCI see [`pci`]):
//!
//! ```
//! # #[cfg(all(feature = "gpu", feature = "mmio", feature = "embedded-graphics"))] mod example {
//! use embedded_graphics::mono_font::{MonoTextStyle, ascii::FONT_10X20};
//! use embedded_graphics::{pixelcolor::Rgb888, prelude::*, text::Text};
//! use virtio::{DeviceId, PhysAddr, gpu::Gpu, mmio};
//!
//! # fn picture(hal: impl virtio::Hal + Copy + 'static) -> Result<(), Box<dyn core::error::Error>> {
//! let slots = mmio::slots(PhysAddr::new(0x0a00_0000), 0x200, 32);
//! let device = mmio::find(hal, slots, DeviceId::GPU)?.expect("QEMU was started with -device virtio-gpu-device");
//! let mut gpu = Gpu::new(device, hal)?;
//! let mut screen = gpu.screen()?; // width x height x 4 bytes of contiguous pages: 1000 of them for 1280x800
//! let mut frame = gpu.framebuffer(&mut screen)?;
//! let style = MonoTextStyle::new(&FONT_10X20, Rgb888::WHITE);
//! Text::new("Hello from my kernel", Point::new(100, 100), style).draw(&mut frame)?;
//! frame.flush()?;
//! loop {} // the screen lives as long as `gpu` does: dropping it resets the device
//! # }
//! # }
//! ```
//!
//! What the keys mean, and the rest of a small system, is in the example kernels. To test drivers on your host there is
//! the crate `virtio-testkit`.
//!
//! # Disk, network, console
//!
//! The same in every driver: a constructor that brings the device up, calls that wait, queues that take your buffers by value and
//! give them back, futures, and the traits that others have agreed on (`embedded-sdmmc`, `block-device-driver`, `smoltcp`,
//! `embedded-io`, `rand_core`), each behind a feature.
//!
//! ```
//! # #[cfg(all(feature = "blk", feature = "net", feature = "console"))] mod example {
//! use virtio::{Hal, Transport, blk, console, net};
//!
//! # fn example<T: Transport, H: Hal + Clone + 'static>(disk: T, card: T, serial: T, hal: H) -> Result<(), Box<dyn core::error::Error>> {
//! let mut disk = blk::Disk::new(disk, hal.clone())?;
//! let mut first = [0; 4096];
//! disk.read(blk::Sector(0), &mut first)?; // split where the device wants it
//!
//! let mut card = net::Net::new(card, hal.clone(), &net::Options::default())?;
//! card.send(b"\xff\xff\xff\xff\xff\xff......\x08\x06...")?;
//! let mut frame = [0; 1514];
//! if let Some(len) = card.receive(&mut frame)? {
//!     // frame[..len]
//! #   let _ = len;
//! }
//!
//! let mut serial: console::Console<T, H> = console::Console::new(serial, hal)?;
//! serial.port(console::PortId::new(0))?.write_all(b"Hello from my kernel\n")?;
//! # Ok(())
//! # }
//! # }
//! ```
//!
//! A transport comes from [`mmio::find`] or [`pci`], as above: `mmio::find(hal, slots, DeviceId::BLOCK)?`. A disk with many requests in
//! flight is opened for buffers of a type of yours, as `Disk<_, _, Owned<&'static mut [u8]>>` ([`blk::Disk::open`]); so is a card, by
//! [`net::Net::with_buffers`]. What a kernel keeps in a structure is called, for a device on MMIO,
//! `blk::Disk<mmio::MmioTransport<regs::Mapped<MyHal>>, MyHal>`. Finding a device and driving it have two types of errors: a function
//! that does both answers an enum of both, or a `Box<dyn core::error::Error>`.
//!
//! # Interrupts
//!
//! Everything works polled. To be woken instead, take the device's interrupt out of the driver, as a value that its handler
//! may use while somebody else drives the device:
//!
//! ```
//! # #[cfg(feature = "input")] mod example {
//! use core::sync::atomic::{AtomicU32, Ordering};
//! use virtio::input::{Input, InputError};
//! use virtio::{Endpoint, Error, Hal, InterruptStatus, Interrupts};
//!
//! static HAPPENED: AtomicU32 = AtomicU32::new(0);
//!
//! /// In the interrupt handler: no lock, and one register read at most. With MSI-X, none.
//! fn handler(endpoint: &impl Endpoint) {
//!     HAPPENED.fetch_or(endpoint.ack().bits(), Ordering::Release);
//! }
//!
//! /// In the driver, woken.
//! fn woken<T: Interrupts, H: Hal + Clone>(keyboard: &mut Input<T, H>) -> Result<(), InputError> {
//!     let status = InterruptStatus::from_bits_truncate(HAPPENED.swap(0, Ordering::Acquire));
//!     if let Some(event) = keyboard.attend(status)? {
//!         // virtio::device::DeviceEvent: the configuration has changed, or the device needs `keyboard.recover()`.
//! #       let _ = event;
//!     }
//!     while let Some(key) = keyboard.next_event()? {
//!         // key.code, key.value …
//! #       let _ = key;
//!     }
//!     Ok(()) // and sleep, if keyboard.enable_interrupts()? says that nothing waits
//! }
//! # fn endpoint<T: Interrupts, H: Hal + Clone>(keyboard: &Input<T, H>) -> Result<T::Endpoint, Error> {
//! #     keyboard.device().endpoint(0)
//! # }
//! # }
//! ```
//!
//! How the handler comes by the endpoint: bring the driver up, make the endpoints, put them where the handler finds them, and only
//! then unmask the interrupts. What came before is not lost if the queues are looked at, and `attend` is called, once afterwards.
//!
//! ```
//! # #[cfg(all(feature = "input", feature = "mmio"))] mod example {
//! use core::cell::RefCell;
//! use critical_section::Mutex;
//! use virtio::{input::{Input, InputError}, mmio::{MmioEndpoint, MmioTransport}, regs::Mapped};
//! # type MyHal = virtio::OffsetHal<Pages>;
//! # #[derive(Clone, Copy)] struct Pages;
//! # unsafe impl virtio::Frames for Pages {
//! #     fn alloc(&self, _: core::num::NonZeroUsize) -> Option<virtio::PhysAddr> { None }
//! #     unsafe fn free(&self, _: virtio::PhysAddr, _: core::num::NonZeroUsize) {}
//! # }
//! # mod kernel { pub fn unmask(_: u32) {} }
//!
//! /// For the handler. `PciEndpoint<Mapped<MyHal>>` for a device on PCI, `AnyEndpoint<…>` for either.
//! static KEYBOARD: Mutex<RefCell<Option<MmioEndpoint<Mapped<MyHal>>>>> = Mutex::new(RefCell::new(None));
//!
//! type Keyboard = Input<MmioTransport<Mapped<MyHal>>, MyHal>;
//!
//! fn start(transport: MmioTransport<Mapped<MyHal>>, hal: MyHal, line: u32) -> Result<Keyboard, InputError> {
//!     let keyboard = Input::new(transport, hal)?;
//!     let endpoint = keyboard.device().endpoint(0)?; // with MSI-X: one for each of `vectors()`
//!     critical_section::with(|section| KEYBOARD.borrow_ref_mut(section).replace(endpoint));
//!     kernel::unmask(line);
//!     Ok(keyboard)
//! }
//! # }
//! ```
//!
//! A PCI device signals by its line, or by MSI-X once it was given messages ([`pci::PciTransport::enable_msix`]): then there is an
//! endpoint for each vector, and [`device::Device::signals_by_message`] says, once the device is live, which of the two it has
//! become. A transport that is to live in a static needs configuration space that does: a `&'static Ecam<…>`. Futures without a heap are in [`queue::AsyncPort`], which an interrupt handler wakes by a
//! [`queue::Bell`] (which needs an implementation of `critical-section` to link; the kernels have one in `critical.rs`). The example kernels show all of it on five interrupt controllers.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `mmio` | yes | [`mmio`]: devices in memory-mapped slots, versions 1 (legacy) and 2 |
//! | `pci` | yes | [`pci`]: modern and legacy devices, with bus walk and BAR allocation |
//! | `gpu` | yes | [`gpu`]: 2D screens, EDID, hardware cursor |
//! | `input` | yes | [`input`]: keyboards, mice, tablets |
//! | `rng` | yes | [`rng`]: random bytes from the host |
//! | `blk` | yes | [`blk`]: disks |
//! | `net` | yes | [`net`]: network cards |
//! | `console` | yes | [`console`]: ports to the host, and its terminal |
//! | `packed` | yes | packed virtqueues, where a device offers them |
//! | `embedded-graphics` | no | draw with `embedded-graphics` |
//! | `rand_core` | no | seed generators from the entropy device, through `rand_core` |
//! | `embedded-sdmmc` | no | FAT volumes on a disk, through `embedded-sdmmc` 0.10 (needs Rust 1.87) |
//! | `block-device-driver` | no | a disk for asynchronous file systems, through `block-device-driver` 0.2 |
//! | `smoltcp` | no | TCP/IP over a network card, through `smoltcp` 0.14 (needs Rust 1.91) |
//! | `embedded-io`, `embedded-io-async` | no | console ports as readers and writers |
//! | `dtoolkit` | no | find MMIO slots in a device tree, with the `dtoolkit` crate 0.4 (needs Rust 1.88) |
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
pub use any::{AnyEndpoint, AnyTransport};
#[cfg(feature = "blk")]
pub use virtio_blk as blk;
#[cfg(feature = "console")]
pub use virtio_console as console;
pub use virtio_core::*;
#[cfg(feature = "gpu")]
pub use virtio_gpu as gpu;
#[cfg(feature = "input")]
pub use virtio_input as input;
#[cfg(feature = "mmio")]
pub use virtio_mmio as mmio;
#[cfg(feature = "net")]
pub use virtio_net as net;
#[cfg(feature = "pci")]
pub use virtio_pci as pci;
#[cfg(feature = "rng")]
pub use virtio_rng as rng;
