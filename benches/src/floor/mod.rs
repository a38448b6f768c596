//! The floor: what a driver costs when it is written by hand for one kernel and trusts its device blindly.
//!
//! No checks of ids, lengths or room; the free list runs through the descriptors that the device can write. Kept are the
//! things without which a queue does not work: the barriers (release before the index, a full one between the index and
//! the suppression field, acquire on the used side), a free list, and one cookie per request, so that completions may come
//! in any order. Indirect tables are allocated once, one per descriptor. Ring, indirect and EVENT_IDX are compile-time
//! choices.
//!
//! **Floor's Rings**: pointers are to rings of [`QUEUE_SIZE`](crate::row::QUEUE_SIZE) entries that Stay, no more than
//! that many descriptors are in flight, and the device names only requests in flight, once each. Nobody checks.

mod packed;
mod split;

pub use packed::FloorPacked;
pub use split::FloorSplit;

use crate::bell::Bell;
use crate::device::Rings;
use crate::drive::{Driver, Sink};
use crate::pool::{Buffer, Request};

/// Bytes from one indirect table to the next: room for three entries, by a power of two.
const TABLE_STRIDE: usize = 64;

/// A hand-written ring.
pub trait Floor {
    /// Builds it over memory of its own.
    fn new() -> Self;

    /// Where the device finds it.
    fn rings(&self) -> Rings;

    /// Adds a request.
    ///
    /// # Safety
    /// Floor's Rings.
    unsafe fn add(&mut self, readable: &[Buffer], writable: &[Buffer], cookie: u64);

    /// Shows the device what was added; answers whether it wants to be notified.
    ///
    /// # Safety
    /// Floor's Rings.
    unsafe fn publish(&mut self) -> bool;

    /// Takes all used requests.
    ///
    /// # Safety
    /// Floor's Rings.
    unsafe fn drain(&mut self, done: impl FnMut(u64, u32));
}

/// The floor as a contestant.
pub struct FloorDriver<F, const R: usize, const W: usize> {
    ring: F,
    requests: Vec<Request<R, W>>,
    bell: Bell,
}

impl<F: Floor, const R: usize, const W: usize> FloorDriver<F, R, W> {
    /// A ring for these requests.
    pub fn new(requests: Vec<Request<R, W>>, bell: Bell) -> Self {
        Self { ring: F::new(), requests, bell }
    }
}

impl<F: Floor, const R: usize, const W: usize> Driver for FloorDriver<F, R, W> {
    fn rings(&self) -> Rings {
        self.ring.rings()
    }

    #[inline(always)]
    fn submit(&mut self, from: usize, batch: usize) {
        // SAFETY: the harness stays within the pool.
        let requests = unsafe { self.requests.get_unchecked(from..from + batch) };
        for (cookie, request) in (from..).zip(requests) {
            // SAFETY: Floor's Rings: a batch fits, and is completed before the next.
            unsafe { self.ring.add(&request.readable, &request.writable, cookie as u64) };
        }
        // SAFETY: as above.
        if unsafe { self.ring.publish() } {
            self.bell.ring();
        }
    }

    #[inline(always)]
    fn complete(&mut self) -> Sink {
        let mut sink = Sink::default();
        // SAFETY: the device of this harness is honest.
        unsafe { self.ring.drain(|cookie, written| sink.take(cookie, written)) };
        sink
    }
}
