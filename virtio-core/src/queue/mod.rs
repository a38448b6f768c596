//! The virtqueue (VIRTIO 1.4 §2.6–2.9): split and packed, behind one type.
//!
//! ```text
//!  split      descriptor table                 available ring            used ring
//!            ┌──────┬─────┬───────┬──────┐    ┌───────┬─────┬────┐      ┌───────┬─────┬─────────┐
//!  driver ──►│ addr │ len │ flags │ next │    │ flags │ idx │ id │      │ flags │ idx │ id, len │◄── device
//!  writes    ├──────┼─────┼───────┼──────┤    └───────┴──┬──┼────┤      └───────┴──┬──┼─────────┤    writes
//!            │      │     │ NEXT ─┼──►   │               │  │ id │                 │  │ id, len │
//!            └──────┴─────┴───────┴──────┘     release ──┘  └────┘       acquire ──┘  └─────────┘
//!
//!  packed     descriptor ring                                      lap 1: available = AVAIL, used = AVAIL + USED
//!            ┌──────┬─────┬────┬──────────────────────┐            lap 2: available = USED,  used = neither
//!  driver ──►│ addr │ len │ id │ NEXT WRITE AVAIL USED │◄── device
//!  and       ├──────┼─────┼────┼──────────────────────┤    overwrites the first descriptor of a list that it has used;
//!  device    │ addr │ len │ id │ NEXT WRITE AVAIL USED │    the flags of the driver's first descriptor come last (release)
//!            └──────┴─────┴────┴──────────────────────┘
//! ```
//!
//! A device owns its queues and lends [`Port`]s. Which format a queue has is decided by negotiation, its size at run time;
//! nothing here is generic over either. Completions come in any order, each with the payload that was submitted.
//!
//! # Three layers, and futures
//!
//! **Borrowed slices, blocking.** [`Device::call`](crate::device::Device::call) lends slices of any length and number for one
//! request and gives them back with it; on a timeout the device is reset first (I-LOAN).
//!
//! ```
//! # use core::time::Duration;
//! # use virtio_core::device::{Device, Init, Wanted};
//! # use virtio_core::queue::QueueSpec;
//! # use virtio_core::{DeviceId, Error, Hal, Transport};
//! fn entropy<T: Transport, H: Hal + Clone>(device: &mut Device<T, H>) -> Result<[u8; 32], Error> {
//!     let mut bytes = [0; 32];
//!     device.call(0, &[], &mut [&mut bytes], Duration::from_secs(1))?;
//!     Ok(bytes)
//! }
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let fake = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Write(vec![4; 32])).build(&hal);
//! # let init = Init::start(fake.transport(), hal.clone(), DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
//! # let mut device = init.queues(&[QueueSpec::new::<()>(0, 8)])?.live()?;
//! # assert_eq!(entropy(&mut device)?, [4; 32]);
//! # Ok::<(), Error>(())
//! ```
//!
//! **Owned payloads.** A [`Port`] takes a payload and gives it back with its completion, whenever that comes. A request is
//! *added*, then *published*, then the device is *kicked*: three steps, so that a batch costs one store of the index and at
//! most one notification. A payload may have any number of buffers ([`Lend`](crate::dma::Lend)), and a header and a response
//! travel in DMA memory of the queue's own.
//!
//! ```
//! # use virtio_core::device::{Device, Init, Wanted};
//! # use virtio_core::dma::Writable;
//! # use virtio_core::queue::QueueSpec;
//! # use virtio_core::{DeviceId, Error, Hal, Transport};
//! use virtio_core::queue::Request;
//!
//! type Sector = Writable<Vec<u8>>;
//!
//! fn read_many<T: Transport, H: Hal + Clone>(
//!     device: &mut Device<T, H>,
//!     sectors: Vec<Vec<u8>>,
//! ) -> Result<usize, Error> {
//!     let mut port = device.port::<Sector>(0)?;
//!     for sector in sectors {
//!         port.add(Request::new(Writable(sector)).header(b"read").response(1))?;
//!     }
//!     port.publish();
//!     port.kick();
//!     let mut good = 0;
//!     // No more than 16 at a time, so that others have their turn.
//!     port.drain(16, |mut done| {
//!         let status: Result<u8, Error> = done.response();
//!         good += usize::from(status == Ok(0));
//!         let _sector: Option<Sector> = done.take_payload();
//!     })?;
//!     Ok(good)
//! }
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let fake = FakeDevice::builder(DeviceId::BLOCK).queue(0, 16, |_| Reply::Write(vec![0; 513])).build(&hal);
//! # let init = Init::start(fake.transport(), hal.clone(), DeviceId::BLOCK)?.negotiate(&Wanted::default())?;
//! # let mut device = init.queues(&[QueueSpec::new::<Sector>(0, 16).header(4).response(1)])?.live()?;
//! # let sectors = vec![vec![0; 512]; 3];
//! # assert_eq!(read_many(&mut device, sectors)?, 3);
//! # Ok::<(), Error>(())
//! ```
//!
//! **Addresses.** [`Port::add_raw`] is `unsafe` and takes device addresses: for kernels that manage their own memory. Nothing
//! is shared through the Hal and nothing is copied; everything else, checks included, is the same.
//!
//! ```
//! # use core::time::Duration;
//! # use virtio_core::device::{Device, Init, Wanted};
//! # use virtio_core::dma::{Both, Dma};
//! # use virtio_core::queue::QueueSpec;
//! # use virtio_core::{DeviceId, Error, Hal, Transport};
//! use virtio_core::queue::{Cookie, RawBuffer};
//!
//! fn fill<T, H>(device: &mut Device<T, H>, page: &Dma<[u8], H, Both>) -> Result<u32, Error>
//! where
//!     T: Transport,
//!     H: Hal + Clone,
//! {
//!     let mut port = device.port::<Cookie>(0)?;
//!     let buffer = RawBuffer { device: page.paddr(), len: 4096 };
//!     // SAFETY: the page is DMA memory that outlives the device, and nobody touches it until the request is used.
//!     let token = unsafe { port.add_raw(&[], &[buffer], Cookie(7)) }?;
//!     port.publish();
//!     port.kick();
//!     let mut done = port.wait(token, Duration::from_secs(1))?;
//!     assert_eq!(done.take_payload(), Some(Cookie(7)));
//!     Ok(done.written())
//! }
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let fake = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Write(vec![4; 100])).build(&hal);
//! # let page = Dma::zeroed_slice(hal.clone(), 4096)?;
//! # let init = Init::start(fake.transport(), hal.clone(), DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
//! # let mut device = init.queues(&[QueueSpec::new::<Cookie>(0, 8)])?.live()?;
//! # assert_eq!(fill(&mut device, &page)?, 100);
//! # Ok::<(), Error>(())
//! ```
//!
//! **Futures.** [`AsyncPort`] is a port whose requests are awaited, without a heap: see [`asynchronous`].
//!
//! # Interrupts
//! A queue starts with interrupts disabled. [`Port::enable_interrupts`] asks for one at the next completion,
//! [`Port::enable_interrupts_after`] after some; both answer whether there is something to poll for *already*, which may bring
//! no interrupt of its own, and must not be ignored. [`Port::disable_interrupts`] works with `EVENT_IDX` too.
//!
//! ```
//! # use virtio_core::queue::Port;
//! # use virtio_core::{Error, Hal, Transport};
//! /// Takes all there is; returns when the next completion will interrupt.
//! fn drain<T: Transport, H: Hal>(port: &mut Port<'_, (), T, H>) -> Result<(), Error> {
//!     port.disable_interrupts();
//!     loop {
//!         while let Some(_done) = port.poll()? {}
//!         if !port.enable_interrupts() {
//!             return Ok(());
//!         }
//!     }
//! }
//! ```
//!
//! # Several CPUs
//! Queues share nothing: [`Device::ports`](crate::device::Device::ports) lends each to a CPU of its own, without a lock. A
//! [`Port`] is `Send`; it is not for two CPUs at once.
//!
//! # Indirect tables, order, reset
//! * [`QueueSpec::indirect`] gives each request a table of its own in DMA memory: a request of several segments takes one
//!   descriptor of the ring then (VIRTIO 1.4 §2.7.5.3, §2.8.7). A longer one goes to the ring; one that begins there
//!   and ends in a table is for devices that are known to read it ([`QueueSpec::mixed_chains`]).
//! * With `IN_ORDER` descriptors are taken and given back in a circle, and one used element stands for a whole run.
//! * With `RING_RESET` a queue is stopped, its payloads come back, and it starts again, while the device lives, if it is idle or was
//!   [declared](QueueSpec::drains_on_reset) for a device that ends what it has begun:
//!   [`Device::stop_queue`](crate::device::Device::stop_queue), [`Device::start_queue`](crate::device::Device::start_queue).
//!   That is also what a queue needs that saw a violated invariant.
//!
//! # Invariants
//! *Rings In Place*, *Packed In Place*, *Shadow Agrees*, *Slots In Place*, *Slot In Range*, *Parked Once*, *Area In Place*,
//! *Cold In Place*, *Given Up Whole*, *Typed Once*, *Set In Place* and *State Honest* are stated where the unsafe code that
//! needs them lives, in this module's files. The four that a reader of the API should know:
//!
//! * **I-SHADOW**: shared memory is write-only for the driver. What it needs later, it keeps in private memory.
//! * **I-ALLEGE**: what a device says is checked: id in range and in flight, index moved by no more than what is in flight,
//!   length clamped to what was posted. A violated ring invariant breaks the queue; nothing panics.
//! * **I-ORDER**: descriptors, ring entry, index (or a list's first flags), full barrier, suppression field; index or flags,
//!   acquire, element. The hand-shakes are generic code (`split::protocol`, `packed::protocol`), so that a model checker runs
//!   the very same.
//! * **I-LOAN**: no safe call returns while the device still holds memory that the caller gets back.
//!
//! # What does not compile
//! Taking a port of one payload type for one of another, however alike they are:
//!
//! ```compile_fail,E0308
//! use virtio_core::{queue::Port, Hal};
//! fn no<'d, T, H: Hal>(port: Port<'d, for<'a> fn(&'a u8), T, H>) -> Port<'d, fn(&'static u8), T, H> {
//!     port
//! }
//! ```
//!
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
//!     core::mem::swap(a.typed, b.typed);
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
//! Keeping a device's rings by the port of another:
//!
//! ```compile_fail,E0505
//! use virtio_core::{device::Device, Hal, Transport};
//! fn no<T: Transport, H: Hal + Clone>(mut a: Device<T, H>, mut b: Device<T, H>) {
//!     let (mut one, mut two) = (a.port::<()>(0).unwrap(), b.port::<()>(0).unwrap());
//!     core::mem::swap(&mut one, &mut two);
//!     drop(b);
//!     one.kick();
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
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use virtio_core::{queue::Port, Hal, Transport};
//! fn no<T: Transport, H: Hal>(port: &mut Port<'_, (), T, H>) {
//!     port.enable_interrupts_after(8);
//! }
//! ```
//!
//! Sending read-only memory to be written does not compile either ([`WriteBuffer`](crate::dma::WriteBuffer)), nor does notifying
//! a device before `DRIVER_OK` ([`Init`](crate::device::Init)).

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
pub use borrowed::{Slices, Transferred};
pub use done::Done;
pub use kind::PayloadKind;
pub use port::Port;
pub use raw::{Cookie, RawBuffer};
pub use request::{Rejected, Request};
pub(crate) use set::QueueSet;
pub use spec::QueueSpec;
pub use virtqueue::Token;
pub(crate) use virtqueue::{Queue, Setup};
