//! Test your kernel's virtio drivers on the host, under `cargo test`.
//!
//! Three things make a test:
//!
//! * [`TestHal`], a strict [`Hal`](virtio_core::Hal): it bounces every shared buffer, poisons what is freed, counts what is
//!   outstanding, moves a virtual clock, fails the n-th allocation on request, and fails the test when anything is left.
//! * [`FakeDevice`], a device written as closures: a request comes in, a [`Reply`] goes out; at once, later, out of order,
//!   never, or against the rules ([`Lie`]).
//! * [`FakeTransport`], the driver's side of it. Hand it to the driver under test where a kernel hands over MMIO or PCI.
//!
//! # A driver against a scripted device
//!
//! ```
//! use std::time::Duration;
//! use virtio_core::device::{Device, Init, Wanted};
//! use virtio_core::queue::QueueSpec;
//! use virtio_core::{DeviceId, Error, Hal, Misbehaved, Transport, Wait};
//! use virtio_testkit::{Event, FakeDevice, Reply, TestHal};
//!
//! // The driver under test: an entropy source (VIRTIO 1.4 §5.4).
//! struct Entropy<T: Transport, H: Hal + Clone>(Device<T, H>);
//!
//! impl<T: Transport, H: Hal + Clone> Entropy<T, H> {
//!     fn new(transport: T, hal: H) -> Result<Self, Error> {
//!         let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
//!         Ok(Self(init.queues(&[QueueSpec::new::<()>(0, 8)])?.live()?))
//!     }
//!     fn fill(&mut self, bytes: &mut [u8]) -> Result<u32, Error> {
//!         self.0.call(0, &[], &mut [bytes], Duration::from_secs(1))
//!     }
//! }
//!
//! // A device that answers.
//! let hal = TestHal::new();
//! let device = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 64, |_| Reply::Write(vec![4; 3])).build(&hal);
//! let mut entropy = Entropy::new(device.transport(), hal.clone())?;
//! let mut bytes = [0; 8];
//! assert_eq!(entropy.fill(&mut bytes)?, 3);
//! assert_eq!(bytes, [4, 4, 4, 0, 0, 0, 0, 0]);
//! drop(entropy);
//!
//! // What happened, in order: the device confirmed its reset before the first page was freed.
//! let trace = hal.trace();
//! let freed = trace.iter().position(|event| matches!(event, Event::DmaDealloc { .. })).unwrap();
//! assert!(trace[..freed].iter().rev().any(Event::confirms_reset));
//!
//! // A device that never answers. The clock is virtual: the second passes at once.
//! let device = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 64, |_| Reply::Hold).build(&hal);
//! let mut entropy = Entropy::new(device.transport(), hal.clone())?;
//! let queue = virtio_core::QueueIndex::new(0);
//! assert_eq!(entropy.fill(&mut bytes), Err(Misbehaved::Timeout(Wait::Completion(queue)).into()));
//! drop(entropy);
//!
//! // Everything was given back, and no rule was broken; dropping `hal` would check it as well.
//! hal.finish();
//! # Ok::<(), Error>(())
//! ```
//!
//! # Every allocation fails once
//!
//! Bring-up that survives *out of memory* at every step is a loop:
//!
//! ```
//! # use virtio_core::device::{Init, Wanted};
//! # use virtio_core::queue::QueueSpec;
//! # use virtio_core::{DeviceId, Error};
//! # use virtio_testkit::{FakeDevice, FakeTransport, Reply, TestHal};
//! # fn bring_up(transport: FakeTransport, hal: TestHal) -> Result<(), Error> {
//! #     let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
//! #     init.queues(&[QueueSpec::new::<()>(0, 8)])?.live().map(drop)
//! # }
//! for n in 1.. {
//!     let hal = TestHal::new();
//!     let device = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 64, |_| Reply::Hold).build(&hal);
//!     hal.fail_nth(n);
//!     let outcome = bring_up(device.transport(), hal.clone());
//!     assert_eq!(outcome.is_err(), hal.has_failed());
//!     if outcome.is_ok() {
//!         assert!(n > 3);
//!         break;
//!     }
//!     // Here `hal` goes, and fails the test if a page was forgotten.
//! }
//! ```
//!
//! # What a device can do
//!
//! | you want | write |
//! |---|---|
//! | an answer | [`Reply::Write`] |
//! | an answer with a wrong length | [`Reply::Claim`] |
//! | no answer, or a late one, or answers out of order | [`Reply::Hold`], then [`FakeDevice::complete`] |
//! | events (a keyboard) | [`Builder::event_queue`], then [`FakeDevice::send`] |
//! | a broken ring | [`Reply::Lie`] or [`FakeDevice::lie`] |
//! | packed queues, and every feature of a queue | [`Builder::features`]: what is offered and accepted is in force, and checked |
//! | one used element for many requests (`IN_ORDER`) | [`Reply::Hold`], then [`FakeDevice::complete_batch`] |
//! | fewer notifications, or at a certain place | [`FakeDevice::suppress_notifications`], [`FakeDevice::set_avail_event`] |
//! | a device that works in its own time | [`Builder::manual`], then [`FakeDevice::poll`], perhaps from [`TestHal::on_relax`] |
//! | to read memory named in a request | [`Request::memory`] |
//! | a device on a thread of its own, with nothing but the rings between it and the driver | [`DeviceMemory::pin`], and a [`DeviceQueue`] on that |
//! | a reset that takes long, or for ever | [`Builder::reset`] |
//! | the reset of one queue, done, slow or ignored | [`Builder::queue_reset`] |
//! | state of a model that goes with a reset | [`Builder::on_reset`] |
//! | configuration that changes | [`FakeDevice::set_config`], [`FakeDevice::unsettle_config`], [`Builder::on_config_write`] |
//!
//! The device's side of the rings, split and packed, is written from the specification and shares nothing with the driver's.
//! It is strict: chains that are too long, descriptors and ids that are in flight already, flags that must not be set,
//! positions that are not where the driver is, an order that `IN_ORDER` does not allow, each is recorded with what was wrong,
//! and fails the test.
//!
//! Everything works under Miri, on big-endian and 32-bit hosts too: pointers are kept, never invented.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a test kit runs on a host and fails tests by panicking"
)]

mod builder;
mod device;
mod guest;
mod hal;
mod memory;
mod queue;
mod registers;
mod ring;
mod trace;
mod transport;

pub use builder::Builder;
pub use device::{FakeDevice, QueueResetStyle, Reset};
pub use guest::GuestMemory;
pub use hal::{Call, DeviceMemory, Outstanding, Pinned, TestHal};
pub use queue::{Lie, Reply, Request};
pub use registers::FakeRegisters;
pub use ring::{Buffer, Chain, DeviceQueue, PackedDeviceSide, SplitDeviceSide};
pub use trace::Event;
pub use transport::{FakeEndpoint, FakeTransport};
