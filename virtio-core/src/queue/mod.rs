//! The virtqueue (VIRTIO 1.4 §2.6, §2.7).
//!
//! ```text
//!              descriptor table               available ring          used ring
//!             ┌──────┬─────┬───────┬──────┐  ┌───────┬─────┬────┐   ┌───────┬─────┬──────────┐
//!   driver ──►│ addr │ len │ flags │ next │  │ flags │ idx │ id │   │ flags │ idx │ id, len  │◄── device
//!   writes    ├──────┼─────┼───────┼──────┤  └───────┴──┬──┼────┤   └───────┴──┬──┼──────────┤    writes
//!             │      │     │ NEXT ─┼──►   │             │  │ id │              │  │ id, len  │
//!             └──────┴─────┴───────┴──────┘   release ──┘  └────┘    acquire ──┘  └──────────┘
//! ```
//!
//! A device owns its queues and lends [`Port`]s (`Device::port`). A request is added, then published, then the device is
//! notified: three steps, so that a batch costs one index store and at most one notification. Completions come in any
//! order, each with the payload that was submitted.
//!
//! # Invariants
//! *Rings In Place*, *Shadow Agrees*, *Slots In Place*, *Parked Once*, *Area In Place* and *State Honest* are stated where
//! the unsafe code that needs them lives, in this module's files. The four that a reader of the API should know:
//!
//! * **I-SHADOW**: shared memory is write-only for the driver. What it needs later, it keeps in private memory.
//! * **I-ALLEGE**: what a device says is checked: id in range and in flight, index moved by no more than what is in flight,
//!   length clamped to what was posted. A violated ring invariant breaks the queue; nothing panics.
//! * **I-ORDER**: descriptors, ring entry, index, full barrier, suppression field; index, acquire, element.
//! * **I-LOAN**: no safe call returns while the device still holds memory that the caller gets back.
//!
//! # What does not compile
//! Using a buffer after it was lent:
//!
//! ```compile_fail,E0503
//! use virtio_core::{dma::Writable, queue::{Port, Request}, Hal, Transport};
//! fn no<T: Transport, H: Hal>(port: &mut Port<'_, Writable<&'static mut [u8]>, T, H>, buffer: &'static mut [u8]) {
//!     let token = port.submit(Request::new(Writable(buffer)));
//!     buffer[0] = 1;
//! }
//! ```
//!
//! Lending a borrow that could end while the device writes:
//!
//! ```compile_fail,E0597
//! use virtio_core::{dma::Writable, queue::{Port, Request}, Hal, Transport};
//! fn no<T: Transport, H: Hal>(port: &mut Port<'_, Writable<&'static mut [u8]>, T, H>) {
//!     let mut local = [0; 512];
//!     let token = port.submit(Request::new(Writable(&mut local[..])));
//! }
//! ```
//!
//! Swapping the queues of two devices, to drop one and keep the other's rings:
//!
//! ```compile_fail,E0616
//! use virtio_core::{device::Device, Hal, Transport};
//! fn no<T: Transport, H: Hal + Clone>(a: &mut Device<T, H>, b: &mut Device<T, H>) {
//!     let (a, b) = (a.port::<()>(0).unwrap(), b.port::<()>(0).unwrap());
//!     core::mem::swap(a.queue, b.queue);
//! }
//! ```
//!
//! Keeping a port when its device is gone:
//!
//! ```compile_fail,E0505
//! use virtio_core::{device::Device, Hal, Transport};
//! fn no<T: Transport, H: Hal + Clone>(mut device: Device<T, H>) {
//!     let mut port = device.port::<()>(0).unwrap();
//!     drop(device);
//!     port.kick();
//! }
//! ```
//!
//! Ignoring what enabling interrupts has to say:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use virtio_core::{queue::Port, Hal, Transport};
//! fn no<T: Transport, H: Hal>(port: &mut Port<'_, (), T, H>) {
//!     port.enable_interrupts();
//! }
//! ```

mod add;
mod area;
pub mod asynchronous;
mod bell;
mod borrowed;
mod build;
mod cold;
mod done;
mod event;
mod format;
mod kind;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(feature = "packed")]
mod packed;
mod port;
mod quick;
mod raw;
mod request;
mod restart;
mod ring;
mod set;
mod slots;
mod spec;
mod split;
mod take;
mod virtqueue;
mod waiters;

pub use asynchronous::{AsyncPort, Completion, Failed, InFlight};
pub use bell::Bell;
pub use done::Done;
pub use kind::PayloadKind;
pub use port::Port;
pub use raw::{Cookie, RawBuffer};
pub use request::{Rejected, Request};
pub(crate) use set::QueueSet;
pub use spec::QueueSpec;
pub use virtqueue::Token;
pub(crate) use virtqueue::{Queue, Setup};
