//! The virtio input device (VIRTIO 1.4 §5.8): keyboards, mice, tablets, and their LEDs.
//!
//! Events are evdev's: the code of a key says which key it is, not what is printed on it.
//!
//! ```no_run
//! use virtio_core::{Hal, Transport};
//! use virtio_input::{EventType, Input, code};
//!
//! fn run(transport: impl Transport, hal: impl Hal + Clone) -> Result<(), virtio_input::Error> {
//!     let mut input = Input::new(transport, hal)?;
//!     let is_keyboard = input.supports(EventType::KEY)?.contains(code::KEY_ENTER);
//!     let _ = (input.name()?.as_str(), is_keyboard);
//!     input.set_led(code::LED_CAPS_LOCK, true)?;
//!     loop {
//!         while let Some(event) = input.next_event()? {
//!             let _ = (event.kind, event.code, event.value);
//!         }
//!     }
//! }
//! ```
//!
//! This crate has no unsafe code, needs no heap and does not panic on what a device does.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod abi;
mod config;
mod device;
mod error;
mod event;

pub use config::{AbsInfo, Bits, DeviceIds, Text};
pub use device::Input;
pub use error::Error;
pub use event::{EventType, InputEvent, code};
