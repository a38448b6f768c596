//! Requests as futures, without a heap and for any executor.
//!
//! An [`AsyncPort`] is a [`Port`] whose requests are awaited, and a [`Bell`] is what the interrupt handler rings. Nothing is
//! allocated: the waker of a request in flight has a seat in the queue's private memory, one per request, and a task that
//! waits for descriptors has its place in line in its own future.
//!
//! ```text
//!    device ──interrupt──► handler: acknowledge, BELL.ring() ──► wakes the one task that listens
//!                                                                    │ polls: takes all that was used
//!    task A ◄── seat of A's request ◄────────────────────────────────┤
//!    task B ◄── seat of B's request ◄────────────────────────────────┤ then listens again, asks for
//!    task C ◄── first in line, enough descriptors free ◄─────────────┘ an interrupt and looks once more
//! ```
//!
//! # Example
//! ```
//! use virtio_core::queue::{AsyncPort, Bell, Failed, Request};
//! use virtio_core::{Error, Hal, Transport};
//!
//! static BELL: Bell = Bell::new();
//!
//! /// In a kernel, the interrupt handler of the device.
//! fn interrupt_handler(transport: &impl Transport) {
//!     transport.ack_interrupt();
//!     BELL.ring();
//! }
//!
//! /// Two requests at once; they may be answered in any order.
//! async fn two<T: Transport, H: Hal>(port: &AsyncPort<'_, (), T, H>) -> Result<[u8; 2], Failed<()>> {
//!     let (mut one, mut two) = ([0], [0]);
//!     let first = port.start(Request::new(()).header(b"1").response(1), &mut one)?;
//!     let second = port.start(Request::new(()).header(b"2").response(1), &mut two)?;
//!     second.await?; // Shows the device both, with one notification.
//!     first.await?;
//!     Ok([one[0], two[0]])
//! }
//! # use core::{future::Future, pin::pin, task::{Context, Poll, Waker}};
//! # use std::{sync::{Arc, atomic::{AtomicBool, Ordering}}, task::Wake};
//! # use virtio_core::device::{Init, Wanted};
//! # use virtio_core::queue::QueueSpec;
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//!
//! /// The least that runs a future. A kernel would halt until an interrupt where this has its `idle`.
//! fn block_on<F: Future>(future: F, mut idle: impl FnMut()) -> F::Output {
//!     struct Flag(AtomicBool);
//!     impl Wake for Flag {
//!         fn wake(self: Arc<Self>) {
//!             self.0.store(true, Ordering::Release);
//!         }
//!     }
//!     let flag = Arc::new(Flag(AtomicBool::new(true)));
//!     let (mut future, waker) = (pin!(future), Waker::from(flag.clone()));
//!     loop {
//!         if !flag.0.swap(false, Ordering::Acquire) {
//!             idle();
//!         } else if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
//!             return output;
//!         }
//!     }
//! }
//! # let hal = TestHal::new();
//! # let fake = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Hold).build(&hal);
//! # let wire = fake.transport();
//! # let init = Init::start(fake.transport(), hal.clone(), DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
//! # let mut device = init.queues(&[QueueSpec::new::<()>(0, 8).header(1).response(1)])?.live()?;
//!
//! let port = AsyncPort::new(device.port::<()>(0)?, &BELL).unwrap();
//! # let mut answers = vec![(1, [b'b']), (0, [b'a'])].into_iter();
//! let idle = || {
//!     // The device answers the second request first, then the other one.
//! #   let (nth, answer) = answers.next().unwrap();
//! #   fake.complete(0, nth, &answer);
//!     interrupt_handler(&wire);
//! };
//! assert_eq!(&block_on(two(&port), idle).unwrap(), b"ab");
//! # Ok::<(), Error>(())
//! ```
//!
//! # What holds
//! * **Any order**: a used request wakes the task that waits for it, whichever requests are older, and no other.
//! * **No lost wake-up** (*Somebody Listens*): one of those who wait listens to the bell. It leaves its waker first, asks for an
//!   interrupt then, and looks at the ring last. Who ends or is dropped hands over to another who waits.
//! * **Cancelling is dropping**: neither memory that the device may use is freed nor anybody blocked. The request stays in
//!   flight; its descriptors are free, and its payload is dropped, at the first look at the ring after the device has used it:
//!   in a poll or drop of some future, never in an interrupt handler.
//! * **Fair waiting**: who waits for descriptors gets all it needs at once, first come, first served. Nobody overtakes, not
//!   even a request that would fit.
//! * **Bounded**: a poll takes no more than was in flight. A device that says one thing and the other gets another look
//!   later, not a spinning CPU.
//! * **An end for all**: if the queue breaks, everybody is woken and gets the error.
//!
//! # What it asks for
//! * Tasks that share a port run on one thread or CPU at a time: a port is `Send`, and not `Sync`. Other queues are driven
//!   from other CPUs ([`Device::ports`](crate::device::Device::ports)); the bell may be rung from anywhere.
//! * A future that was woken is polled or dropped soon: it may be the one that listens. One that is kept, neither polled nor
//!   dropped, holds up all others of its port until one of them is polled, or [`AsyncPort::service`] is called. A future that
//!   was forgotten (`mem::forget`) keeps its place in line for ever.
//! * A Hal's methods do not use a port while it is being used.
//!
//! # What does not compile
//! Dropping a device while a request is awaited:
//!
//! ```compile_fail,E0505
//! use virtio_core::{device::Device, queue::{AsyncPort, Bell, Request}, Hal, Transport};
//! async fn no<T: Transport, H: Hal + Clone>(mut device: Device<T, H>, bell: &Bell) {
//!     let port = AsyncPort::new(device.port::<()>(0).unwrap(), bell).unwrap();
//!     let request = port.start(Request::new(()).response(1), &mut []).unwrap();
//!     drop(device);
//!     request.await.unwrap();
//! }
//! ```
//!
//! Taking the port back while a request is awaited:
//!
//! ```compile_fail,E0505
//! use virtio_core::{queue::{AsyncPort, Request}, Hal, Transport};
//! async fn no<T: Transport, H: Hal>(port: AsyncPort<'_, (), T, H>) {
//!     let request = port.start(Request::new(()).response(1), &mut []).unwrap();
//!     let port = port.into_port();
//!     request.await.unwrap();
//! }
//! ```
//!
//! Using one port from two threads:
//!
//! ```compile_fail,E0277
//! use virtio_core::{queue::{AsyncPort, Request}, Hal, Transport};
//! fn no<T: Transport + Sync, H: Hal>(port: AsyncPort<'_, (), T, H>) {
//!     std::thread::scope(|threads| threads.spawn(|| port.service()).join().unwrap());
//! }
//! ```

mod attend;
mod in_flight;
mod in_line;
mod outcome;
mod receive;
mod seats;
mod send;
#[cfg(test)]
mod threads;

use core::cell::{Cell, RefCell};
use core::fmt;

pub use in_flight::InFlight;
pub use outcome::{Completion, Failed};
pub(super) use seats::Seat;
use seats::Taker;

use super::bell::{Bell, Listening};
use super::port::Port;
use super::request::{Rejected, Request};
use super::slots::{Slot, State};
use super::virtqueue::Token;
use super::waiters::Line;
use crate::dma::Lend;
use crate::transport::Transport;
use crate::{Hal, Misbehaved, Misuse, QueueIndex, Status};

/// A queue whose requests are futures.
pub struct AsyncPort<'d, P, T: ?Sized, H: Hal> {
    port: RefCell<Port<'d, P, T, H>>,
    transport: &'d T,
    listening: Listening<'d>,
    /// Whether the bell may hold a waker, and the device was asked for interrupts.
    is_listening: Cell<bool>,
    /// Whether requests wait for [`AsyncPort::kick`].
    in_batches: bool,
    /// Who waits for descriptors.
    descriptors: Line,
    /// Who waits for the next request that nobody asks for by name.
    receivers: Line,
}

impl<P, T: ?Sized, H: Hal> fmt::Debug for AsyncPort<'_, P, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port.try_borrow() {
            Ok(port) => write!(f, "Async{port:?}"),
            Err(_) => f.write_str("AsyncPort(in use)"),
        }
    }
}

impl<'d, P: Lend, T: Transport + ?Sized, H: Hal> AsyncPort<'d, P, T, H> {
    /// Makes a port's requests futures. `bell` is what the interrupt handler of the queue rings.
    ///
    /// # Errors
    /// The port comes back if the bell serves another port already.
    pub fn new(port: Port<'d, P, T, H>, bell: &'d Bell) -> Result<Self, Port<'d, P, T, H>> {
        let Some(listening) = Listening::to(bell) else { return Err(port) };
        // What is in flight already is for `next`.
        let slots = &mut port.typed.queue.slots;
        for slot in slots.all() {
            slots.set_taker(slot, Taker::Anybody);
        }
        Ok(Self {
            transport: port.transport,
            port: RefCell::new(port),
            listening,
            is_listening: Cell::new(false),
            in_batches: false,
            descriptors: Line::new(),
            receivers: Line::new(),
        })
    }

    /// Leaves it to the executor when the device is shown what was added, and notified: at [`AsyncPort::kick`], and not whenever
    /// a future is polled. Many tasks that each send a request cost one notification then, instead of one each.
    ///
    /// Somebody has to call it when no task can go on, before the CPU sleeps. An executor without a hook for that has a task for
    /// it, which is polled last.
    #[must_use]
    pub fn in_batches(mut self) -> Self {
        self.in_batches = true;
        self
    }

    /// The port, back. No future is left then; requests whose futures were dropped end when the port is polled. It asks for
    /// no interrupts.
    #[must_use]
    pub fn into_port(self) -> Port<'d, P, T, H> {
        let mut port = self.port.into_inner();
        port.disable_interrupts();
        let queue = &mut *port.typed.queue;
        // Futures that were forgotten: what they would have asked for belongs to whoever polls.
        for slot in queue.slots.all() {
            if queue.slots.taker(slot) == Taker::Future && queue.slots.head(slot).state == State::Used {
                queue.push_used(slot);
            }
        }
        port
    }

    /// Which queue this is.
    #[must_use]
    pub fn index(&self) -> QueueIndex {
        self.port.borrow().index()
    }

    /// Descriptors in the queue.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.port.borrow().size()
    }

    /// Descriptors that are free.
    #[must_use]
    pub fn free(&self) -> u16 {
        self.port.borrow().free()
    }

    /// Requests that were added and not used yet, cancelled ones included.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.port.borrow().in_flight()
    }

    /// Whether the device asks to be reset, as [`Port::needs_reset`]: nobody who waits hears of it by himself.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.transport.status().contains(Status::DEVICE_NEEDS_RESET)
    }

    /// Starts a request without waiting for descriptors. The device sees it at the next [`AsyncPort::kick`], or when any
    /// future of this port is polled: so many that are started in a row are shown with one index store and at most one
    /// notification. `response` is filled, up to its length, when the request completes.
    ///
    /// # Errors
    /// As for [`Port::add`]; [`Misuse::QueueFull`] also if others wait for descriptors, whom it would overtake. The payload
    /// comes back.
    pub fn start<'p, 'r>(
        &'p self,
        request: Request<'_, P>,
        response: &'r mut [u8],
    ) -> Result<InFlight<'p, 'd, 'r, P, T, H>, Rejected<P>> {
        self.start_in_parts(request, response, &mut [])
    }

    /// Starts a request as [`AsyncPort::start`] does, with a response that is taken apart: `first` is filled, and what follows
    /// goes to `rest`. For data that a device writes with a status behind them.
    ///
    /// # Errors
    /// As for [`AsyncPort::start`].
    pub fn start_in_parts<'p, 'r>(
        &'p self,
        request: Request<'_, P>,
        first: &'r mut [u8],
        rest: &'r mut [u8],
    ) -> Result<InFlight<'p, 'd, 'r, P, T, H>, Rejected<P>> {
        let token = self.add_if_nobody_waits(request, Taker::Future)?;
        Ok(InFlight::new(self, token, [first, rest]))
    }

    /// Adds a request that nobody waits for by name: [`AsyncPort::next`] takes it. It is shown to the device as those of
    /// [`AsyncPort::start`] are.
    ///
    /// # Errors
    /// As for [`AsyncPort::start`].
    pub fn post(&self, request: Request<'_, P>) -> Result<Token, Rejected<P>> {
        self.add_if_nobody_waits(request, Taker::Anybody)
    }

    fn add_if_nobody_waits(&self, request: Request<'_, P>, taker: Taker) -> Result<Token, Rejected<P>> {
        if self.descriptors.is_empty() {
            self.add(request, taker)
        } else {
            Err(Rejected { error: Misuse::QueueFull.into(), payload: request.into_payload() })
        }
    }

    fn add(&self, request: Request<'_, P>, taker: Taker) -> Result<Token, Rejected<P>> {
        let mut port = self.port.borrow_mut();
        let token = port.add(request)?;
        let queue = &mut *port.typed.queue;
        if let Ok(slot) = queue.find(token) {
            queue.slots.set_taker(slot, taker);
        }
        Ok(token)
    }

    /// As every poll does it.
    fn kick_by_itself(&self) {
        if !self.in_batches {
            self.kick();
        }
    }

    /// Shows the device all requests added so far, and notifies it if it wants to be. Answers whether it was.
    pub fn kick(&self) -> bool {
        let doorbell = {
            let port = &mut *self.port.borrow_mut();
            let queue = &mut *port.typed.queue;
            if queue.counts.shown == queue.counts.added {
                return false;
            }
            queue.publish(port.hal);
            queue.wants_notification(port.hal)
        };
        if let Some(doorbell) = doorbell {
            self.transport.notify(doorbell);
        }
        doorbell.is_some()
    }

    /// Takes what was used and wakes whoever waits for it, as every poll of a future does. For kernels that would rather do
    /// this in the lower half of an interrupt, or now and then, than rely on the task that listens.
    pub fn service(&self) {
        self.attend();
    }

    /// Gives the queue up, for a reason that it does not see itself: a device that asks to be reset, or does not answer in
    /// time. Everybody who waits is woken and gets the error. What is in flight stays so until the device, or the queue, is
    /// reset.
    pub fn fail(&self, why: Misbehaved) {
        self.port.borrow_mut().typed.queue.fail(why);
        self.attend();
    }
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Port<'_, P, T, H> {
    /// Ends a request that was used: its payload comes out, its descriptors become free.
    fn complete(&mut self, slot: Slot, response: [&mut [u8]; 2]) -> Option<Completion<P>> {
        let settled = self.typed.queue.slots.settle(self.hal, slot);
        let mut done = self.done(slot, settled);
        let [first, rest] = response;
        let behind = first.len();
        let copied = done.copy_response(first).saturating_add(done.copy_response_at(behind, rest));
        Some(Completion {
            token: done.token(),
            payload: done.take_payload()?,
            written: done.written(),
            claimed: done.claimed(),
            response: copied,
        })
    }
}
