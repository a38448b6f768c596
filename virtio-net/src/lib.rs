//! The virtio network device (VIRTIO 1.4 §5.1): Ethernet frames in and out, with checksum and segmentation offload, frames in several
//! buffers, a control queue, and several pairs of queues.
//!
//! * [`Net::new`] brings a card up on any [`Transport`](virtio_core::Transport), with receive buffers of its own;
//!   [`Net::with_buffers`] takes yours. [`Options`] say what the device is to do.
//! * [`Net::send`] and [`Net::receive`] are the simple way, for slices.
//! * [`Net::pair`] lends the two halves of a pair of queues, [`Receiver`] and [`Sender`]: owned buffers that nobody copies, in
//!   batches with one notification. [`Net::split`] lends those of all pairs, the control queue and the state of the link at once,
//!   each to a CPU of its own.
//! * [`Receiver::into_async`], [`Sender::into_async`] and [`Control::into_async`] are for tasks that await, on any executor, woken by
//!   the interrupt handler.
//! * [`Net::control`]: what is let through, VLANs, the address, offloads, interrupts held back.
//! * [`Net::link`] is the link; [`Net::attend`] follows up on interrupts about it, and [`Net::recover`] brings a device up again that
//!   asks for it.
//! * With the feature `smoltcp`, a pair of queues is a device of the TCP/IP stack of that name: `Phy`.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit` that sends everything back. A kernel has its own [`Hal`](virtio_core::Hal), and a
//! transport from `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use virtio_net::{MacAddress, Net, NetError, Options};
//! # use virtio_core::{DeviceId, Features};
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let device = FakeDevice::builder(DeviceId::NET)
//! #     .features(Features::VERSION_1 | virtio_net::abi::F_MAC)
//! #     .config([0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0])
//! #     .event_queue(0, 64)
//! #     .event_queue(1, 64)
//! #     .build(&hal);
//! # let transport = device.transport();
//! # let wire = device.clone();
//! # hal.on_relax(move || {
//! #     for mut frame in wire.held_readable(1) {
//! #         frame[10] = 1;
//! #         wire.complete(1, 0, &[]);
//! #         wire.send(0, &frame);
//! #     }
//! # });
//!
//! let mut net = Net::new(transport, hal.clone(), &Options::default())?;
//! let mac = net.mac()?.unwrap_or(MacAddress::local(1));
//!
//! let mut frame = [0; 60];
//! frame[..6].copy_from_slice(&MacAddress::BROADCAST.0);
//! frame[6..12].copy_from_slice(&mac.0);
//! frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes()); // for experiments
//! net.send(&frame)?;
//!
//! let mut bytes = [0; 1514];
//! let len = net.receive(&mut bytes)?; // `None` if nothing came
//! assert_eq!(len, Some(60));
//! assert_eq!(bytes[..60], frame);
//! # Ok::<(), NetError>(())
//! ```
//!
//! The halves, with buffers of the heap (feature `alloc`; a kernel without one has `&'static mut [u8]`, or DMA memory):
//!
//! ```
//! use virtio_core::dma::{Part, Readable};
//! use virtio_core::{Hal, Transport};
//! use virtio_net::{Net, NetError, Options, TxOffload};
//!
//! type Card<T, H> = Net<T, H, Vec<u8>, Readable<Part<Vec<u8>>>>;
//!
//! fn card<T: Transport, H: Hal + Clone>(transport: T, hal: H) -> Result<Card<T, H>, NetError> {
//!     Net::with_buffers(transport, hal, &Options::default(), |slot| Some(vec![0; slot.good_len]))
//! }
//!
//! /// Sends every frame back to where it came from, in the buffer that it came in with.
//! fn reflect<T: Transport, H: Hal + Clone>(net: &mut Card<T, H>) -> Result<(), NetError> {
//!     let (mut receiver, mut sender) = net.pair(0)?;
//!     while let Some(mut frame) = receiver.receive()? {
//!         let Some(mut piece) = frame.take() else { continue };
//!         drop(frame);
//!         let (to, from) = piece.bytes_mut()[..12].split_at_mut(6);
//!         to.swap_with_slice(from);
//!         if let Ok(part) = piece.into_part() {
//!             sender.add(Readable(part), TxOffload::NONE)?;
//!         }
//!     }
//!     sender.kick(); // one notification for all of them
//!     while let Some(sent) = sender.poll()? {
//!         if let Some(Readable(part)) = sent.payload {
//!             receiver.post(part.into_inner())?; // and one for the buffers that go back
//!         }
//!     }
//!     receiver.kick();
//!     Ok(())
//! }
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let fake = FakeDevice::builder(DeviceId::NET).event_queue(0, 64).queue(1, 64, |_| Reply::Write(vec![]));
//! # let fake = fake.build(&hal);
//! # let mut net = card(fake.transport(), hal.clone())?;
//! # fake.send(0, &[1; 72]);
//! # reflect(&mut net)?;
//! # assert_eq!(fake.held(0), 64);
//! # Ok::<(), NetError>(())
//! ```
//!
//! # Received frames
//! Each comes in the buffers that the device put it into: one, as long as they hold the longest frame that may come, or with
//! [`F_MRG_RXBUF`](abi::F_MRG_RXBUF) up to 18, as many as 64 KiB take of a page each. What the device says of a frame is checked:
//! one that is shorter than its headers, or longer than its buffers, or in more buffers than were used, or put together as nobody
//! asked for, is dropped and [counted](Receiver::drops) with a [`Fault`]; its buffers go back to the device, which serves on.
//! A checksum counts only if the device says so ([`RxChecksum`]).
//!
//! # What is left out
//! Receive-side scaling and hashes, statistics, flow filters, tunnels and IPsec (`RSS`, `HASH_REPORT`, `DEVICE_STATS`, …), UDP
//! fragmentation, which is deprecated, standby devices; and legacy devices without `ANY_LAYOUT`.
//!
//! This crate is safe Rust throughout, needs no heap, and does not panic on what a device does.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod abi;
mod awaited;
mod control;
mod device;
mod error;
mod events;
mod fault;
mod link;
mod mac;
mod offload;
mod options;
mod payload;
#[cfg(feature = "smoltcp")]
mod phy;
mod receive;
mod simple;
mod split;
mod transmit;
mod wire;

pub use control::{AsyncControl, Coalescing, Command, Control, NetQueue, RxMode, Switch};
pub use device::{Net, Slot};
pub use error::{NetError, Rejected};
pub use events::NetEvent;
pub use fault::{Drops, Fault};
pub use link::{Duplex, Link, Status};
pub use mac::MacAddress;
pub use offload::{Gso, Partial, RxChecksum, RxOffload, Segments, TxOffload};
pub use options::Options;
pub use payload::{Buffer, Payload};
#[cfg(feature = "smoltcp")]
pub use phy::{Phy, PhyDrops, RxToken, TxToken};
pub use receive::{AsyncReceiver, Frame, Piece, Receiver};
pub use split::Split;
pub use transmit::{AsyncSender, Sender, Sent};
