//! The virtio input device (VIRTIO 1.4 §5.8): keyboards, mice, tablets, and their LEDs.
//!
//! Events are evdev's: the code of a key says which key it is, not what is printed on it.
//!
//! * [`Input::new`] brings a device up on any [`Transport`](virtio_core::Transport).
//! * [`Input::next_event`] answers what has happened, and does not block. [`Input::set_led`] talks back.
//! * [`Input::events`] lends the device to a task that awaits events, on any executor, woken by the interrupt handler.
//! * [`Input::enable_interrupts`] asks for an interrupt with the next event; [`Input::attend`] follows up on one for the configuration,
//!   and [`Input::recover`] brings a device up again that asks for it.
//! * [`Input::name`], [`Input::ids`], [`Input::supports`] and [`Input::abs_info`] say what kind of device it is: one that
//!   has the key Enter is a keyboard, one with absolute axes a tablet.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit`. A kernel has its own [`Hal`](virtio_core::Hal), and a transport from
//! `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use virtio_input::{EventType, Input, InputEvent, code};
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let device = FakeDevice::builder(DeviceId::INPUT)
//! #     .config([0; 136])
//! #     .on_config_write(|space, _, _| {
//! #         let enter = space[0] == 0x11 && space[1] == 1;
//! #         (space[2], space[11]) = if enter { (4, 0x10) } else { (0, 0) };
//! #     })
//! #     .event_queue(0, 64)
//! #     .queue(1, 64, |_| Reply::Write(vec![]))
//! #     .build(&hal);
//! # let transport = device.transport();
//!
//! let mut input = Input::new(transport, hal.clone())?;
//! assert!(input.supports(EventType::KEY)?.contains(code::KEY_ENTER)); // a keyboard
//!
//! # device.send(0, &[1, 0, 28, 0, 1, 0, 0, 0]); // somebody presses Enter
//! let event = input.next_event()?;
//! assert_eq!(event, Some(InputEvent { kind: EventType::KEY, code: code::KEY_ENTER, value: 1 }));
//! assert_eq!(input.next_event()?, None); // no more for now
//!
//! input.set_led(code::LED_CAPS_LOCK, true)?;
//! # Ok::<(), virtio_input::InputError>(())
//! ```
//!
//! This crate is safe Rust throughout, needs no heap, and does not panic on what a device does.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod abi;
mod config;
mod device;
mod error;
mod event;
mod events;

pub use config::{AbsInfo, Bits, DeviceIds, Text};
pub use device::Input;
pub use error::InputError;
pub use event::{EventType, InputEvent, code};
pub use events::Events;
