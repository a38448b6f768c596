//! The virtio console device (VIRTIO 1.4 §5.3): ports to the host, and its terminal.
//!
//! * [`Console::new`] brings a device up on any [`Transport`](virtio_core::Transport).
//! * [`Console::port`] lends a port: [`Port::read`] and [`Port::write`] do not wait, [`Port::read_within`], [`Port::write_all`] and
//!   [`Port::flush`] do, and no longer than they are told. A port takes `write!`, and, with the feature `embedded-io`, what that
//!   crate's traits have to say.
//! * A device with `MULTIPORT` says which ports there are: [`Console::wait_for`] waits for one, [`Console::next_event`] tells what
//!   happens to all of them, [`Console::open`] opens this end of one.
//! * [`Console::halves`] lends all ports at once, reader and writer of each apart, to be driven by several CPUs. Their
//!   [`awaited`](Reader::awaited) makes futures of them, for any executor, woken by the interrupt handler, which rings [`Bells`];
//!   with the feature `embedded-io-async`, those have that crate's traits.
//! * [`Emergency`] writes where there is nothing yet, or nothing any more: it needs no queue and no memory.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit`. A kernel has its own [`Hal`](virtio_core::Hal), and a transport from
//! `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use core::fmt::Write;
//! use core::time::Duration;
//! use virtio_console::{Console, PortId};
//! # use std::sync::{Arc, Mutex};
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let heard = Arc::new(Mutex::new(vec![]));
//! # let ear = heard.clone();
//! # let device = FakeDevice::builder(DeviceId::CONSOLE)
//! #     .event_queue(0, 8)
//! #     .queue(1, 8, move |request| {
//! #         ear.lock().unwrap().extend(request.readable);
//! #         Reply::Write(vec![])
//! #     })
//! #     .build(&hal);
//! # let transport = device.transport();
//!
//! let mut console = Console::new(transport, hal.clone())?;
//! let terminal = PortId::new(0);
//! console.wait_for(terminal, Duration::from_secs(1))?; // at once, where there is only one port
//!
//! let mut port = console.port(terminal)?;
//! write!(port, "what is your name? ").unwrap();
//! # device.send(0, b"Ada\n");
//! let mut name = [0; 80];
//! let len = port.read_within(&mut name, Duration::from_secs(60))?;
//! port.write_all(&name[..len])?;
//! port.flush()?; // it is there
//! # assert_eq!(*heard.lock().unwrap(), b"what is your name? Ada\n");
//! # Ok::<(), virtio_console::ConsoleError>(())
//! ```
//!
//! # What is copied
//! A `write` copies to the queue's own memory, 2048 bytes at the most until the device takes them, and so do the adapters for the
//! traits; [`Port::submit`] and [`AsyncWriter::send`] have the device read a buffer where it is. A `read` copies out of the buffer
//! that the device has written; [`Port::peek`], [`AsyncReader::fill`] and the traits' `BufRead` show it.
//!
//! # Ends of a port
//! A port has two ends, and each may be open or closed. A device may keep what it has for the guest until this end is open
//! ([`Console::open`]); QEMU does, and those of consoles open by themselves. While the other end is closed, writes are refused
//! ([`ConsoleError::Closed`]), and a read that waits answers 0 once all is read that came before.
//!
//! # Several CPUs
//! A port's state is read where it is used and written where control messages are read, which may be elsewhere; there is no lock.
//! A [`Port`] reads them itself while it waits; for [halves](Console::halves) somebody has to use the [`Control`], or
//! [`AsyncControl`].
//!
//! This crate is safe Rust throughout, needs no heap, and does not panic on what a device does.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate alloc;

pub mod abi;
mod awaited;
mod bells;
mod control;
mod device;
mod emergency;
mod error;
mod event;
mod halves;
mod id;
mod inbox;
#[cfg(feature = "embedded-io")]
mod io;
#[cfg(feature = "embedded-io-async")]
mod io_async;
mod line;
mod name;
mod options;
mod outbox;
mod port;
mod reader;
mod size;
mod state;
mod writer;

pub use awaited::{AsyncControl, AsyncReader, AsyncWriter};
pub use bells::Bells;
pub use control::Control;
pub use device::Console;
pub use emergency::Emergency;
pub use error::ConsoleError;
pub use event::Event;
pub use halves::Halves;
pub use id::PortId;
pub use name::Name;
pub use options::Options;
pub use port::Port;
pub use reader::Reader;
pub use size::Size;
pub use writer::{Buffer, NotSent, Sent, Writer};
