//! A driver for the virtio GPU (VIRTIO 1.4 §5.7), for any kernel: no `std`, no heap.
//!
//! It shows pictures: it finds the displays and what their monitors can do, draws into plain memory, sends what was touched,
//! and moves a hardware cursor. It has no 3D and no blob resources.
//!
//! ```text
//!   your drawing ──► Canvas ──► bytes of the Screen (pages, a static, a box …)
//!                      │ damage        │ TRANSFER_TO_HOST_2D, only the damage
//!                      ▼               ▼
//!                 Framebuffer::flush   resource on the host ── RESOURCE_FLUSH ──► display
//! ```
//!
//! # Ten lines to a picture
//!
//! The transport comes from `virtio-mmio` or `virtio-pci`, the [`Hal`](virtio_core::Hal) is your kernel's.
//!
//! ```
//! use virtio_core::{Hal, Transport};
//! use virtio_gpu::{CursorImage, CursorPosition, Gpu, GpuError, Rect, Rgb};
//!
//! static ARROW: CursorImage = CursorImage::from_pattern(&["#", "##", "#o#", "#oo#", "####"]);
//!
//! fn picture<T: Transport, H: Hal + Clone + 'static>(transport: T, hal: H) -> Result<(), GpuError> {
//!     let mut gpu = Gpu::new(transport, hal)?;
//!     let mut screen = gpu.screen()?;
//!
//!     let mut frame = gpu.framebuffer(&mut screen)?;
//!     frame.clear(Rgb::BLACK)?;
//!     frame.fill(Rect::new(8, 8, 16, 16), Rgb::new(255, 64, 0))?;
//!     frame.flush()?;
//!
//!     gpu.set_cursor(&ARROW, 0, 0, CursorPosition { x: 12, y: 12, ..Default::default() })?;
//!     # assert_eq!(FAKE.get().unwrap().glass(0).unwrap()[4 * (8 * 64 + 8)..][..4], [0, 64, 255, 255]);
//!     gpu.close(screen)?;
//!     Ok(())
//! }
//! # mod bench { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/device/bench.rs")); }
//! # static FAKE: std::sync::OnceLock<bench::FakeGpu> = std::sync::OnceLock::new();
//! # let hal = virtio_testkit::TestHal::new();
//! # let fake = FAKE.get_or_init(|| bench::FakeGpu::new(&hal));
//! # picture(fake.transport(), hal.clone()).unwrap();
//! # hal.finish();
//! ```
//!
//! With the feature `embedded-graphics`, [`Framebuffer`] and [`Canvas`] are `DrawTarget`s for text, shapes and images.
//!
//! # What it does
//!
//! | VIRTIO 1.4 | here |
//! |---|---|
//! | GET_DISPLAY_INFO, all 16 displays | [`Gpu::display_info`] |
//! | GET_EDID | [`Gpu::edid`] (parsed), [`Gpu::edid_bytes`] |
//! | 2D resources in all 8 formats | [`Gpu::screen_on`], [`Format`] |
//! | backing from scattered pages | [`Gpu::screen_over`] |
//! | SET_SCANOUT | [`Gpu::screen`], [`Gpu::show`], [`Gpu::close`] |
//! | TRANSFER_TO_HOST_2D, RESOURCE_FLUSH | [`Framebuffer::flush`] |
//! | DETACH_BACKING, UNREF, fenced | [`Gpu::close`] |
//! | UPDATE_CURSOR, MOVE_CURSOR | [`Gpu::set_cursor`], [`Gpu::move_cursor`], [`Gpu::hide_cursor`] |
//! | EVENT_DISPLAY | [`Gpu::poll_display_change`], by interrupt [`Gpu::attend`] |
//! | DEVICE_NEEDS_RESET | [`Gpu::attend`], [`Gpu::recover`] |
//! | VIRGL, RESOURCE_UUID, RESOURCE_BLOB, CONTEXT_INIT | not accepted |
//!
//! Commands are waited for, not interrupted for: of a GPU's interrupts, only those for its configuration tell anything.
//!
//! # When something goes wrong
//!
//! [`GpuError`] says who is at fault and keeps the device's code. A step that fails is undone on the device. Memory that the
//! device was told of goes back only when the device has confirmed, behind a fence, that it has let go of it, or after its
//! reset; that is `virtio-core`'s to guard, and holds on every path, panics included. Every command waits for its answer, for
//! at most [`DEFAULT_TIMEOUT`](virtio_core::hal::DEFAULT_TIMEOUT); after that the device is taken down, and everything
//! answers [`Error::Down`](virtio_core::Error::Down).
//!
//! # Features
//!
//! Nothing is on by default.
//!
//! * `embedded-graphics`: `DrawTarget` for [`Framebuffer`] and [`Canvas`].
//! * `alloc`: screens over `Box<[u8]>` and `Vec<u8>`.
//! * `log`, `defmt`: logging; with `defmt`, data types and errors implement `defmt::Format`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate alloc;

pub mod abi;
mod canvas;
mod command;
mod cursor;
mod damage;
mod device;
mod display;
mod edid;
mod error;
mod event;
mod format;
mod framebuffer;
mod rect;
mod resource;
mod screen;

pub use canvas::Canvas;
pub use cursor::{CURSOR_SIZE, CursorImage, CursorPosition};
pub use damage::Damage;
pub use device::Gpu;
pub use display::{Display, DisplayInfo, ScanoutId};
pub use edid::{BLOCK_LEN, Edid, EdidError, Letters, Mode, Name};
pub use error::{CloseError, GpuError, Kept, ScreenError};
pub use event::GpuEvent;
pub use format::{BYTES_PER_PIXEL, Format, Rgb};
pub use framebuffer::Framebuffer;
pub use rect::Rect;
pub use screen::{Screen, ScreenBuffer};

// What stands in public signatures.
#[cfg(feature = "embedded-graphics")]
pub use embedded_graphics_core;
pub use virtio_core;
pub use zerocopy;
