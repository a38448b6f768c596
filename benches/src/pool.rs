//! The requests: the same buffers for every contestant.

use std::ptr::NonNull;

use crate::device::Tally;
use crate::memory;
use crate::row::{QUEUE_SIZE, Shape};

/// How many requests there are; they are used round and round.
pub const REQUESTS: usize = QUEUE_SIZE as usize;

/// Bytes from one request's memory to the next.
const STRIDE: usize = 1024;

/// One buffer of a request.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Where it is, for driver and device.
    pub address: u64,
    /// Its bytes.
    pub len: u32,
}

impl Buffer {
    /// The buffer as a slice.
    ///
    /// # Safety
    /// The buffer is from a [`Pool`], and nobody uses another slice of it.
    pub unsafe fn slice(self) -> &'static mut [u8] {
        // SAFETY: the memory Stays, is as long as this, and is ours by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(memory::pointer(self.address).as_ptr(), self.len as usize) }
    }
}

/// A request with `R` buffers that the device reads and `W` that it writes.
#[derive(Clone, Copy, Debug)]
pub struct Request<const R: usize, const W: usize> {
    /// What the device reads.
    pub readable: [Buffer; R],
    /// What the device writes.
    pub writable: [Buffer; W],
}

/// Memory for all requests of one contestant.
#[derive(Clone, Copy)]
pub struct Pool {
    base: NonNull<u8>,
    shape: Shape,
}

impl Pool {
    /// Memory for requests of this shape.
    pub fn new(shape: Shape) -> Self {
        Self { base: memory::pages(REQUESTS * STRIDE), shape }
    }

    fn buffer(&self, index: usize, offset: u64, len: u32) -> Buffer {
        Buffer { address: memory::address(self.base) + (index * STRIDE) as u64 + offset, len }
    }

    /// All requests, which must have the shape asked for.
    pub fn requests<const R: usize, const W: usize>(&self) -> Vec<Request<R, W>> {
        let make = |index| {
            let (readable, writable) = self.buffers(index);
            Request {
                readable: readable.try_into().expect("as many as the shape has"),
                writable: writable.try_into().expect("as many as the shape has"),
            }
        };
        (0..REQUESTS).map(make).collect()
    }

    fn buffers(&self, index: usize) -> (Vec<Buffer>, Vec<Buffer>) {
        // Not page-aligned, so that not all buffers fall on the same cache set.
        let data = self.buffer(index, 128, 512);
        match self.shape {
            Shape::One => (vec![], vec![data]),
            Shape::Three | Shape::ThreeIndirect => {
                (vec![self.buffer(index, 0, 16)], vec![data, self.buffer(index, 64, 1)])
            }
        }
    }

    /// What the device must have seen after `count` requests.
    pub fn tally(&self, count: u64) -> Tally {
        let one = |mut tally: Tally, index| {
            let (readable, writable) = self.buffers(index);
            let readable = readable.iter().map(|buffer| (buffer, false));
            for (buffer, writes) in readable.chain(writable.iter().map(|buffer| (buffer, true))) {
                tally.take(buffer.address, buffer.len, writes);
            }
            tally.requests += 1;
            tally
        };
        let lap = (0..REQUESTS).fold(Tally::default(), one);
        let rest = (0..(count % REQUESTS as u64) as usize).fold(Tally::default(), one);
        let laps = count / REQUESTS as u64;
        let times = |lap: u64, rest: u64| lap.wrapping_mul(laps).wrapping_add(rest);
        Tally {
            requests: times(lap.requests, rest.requests),
            addresses: times(lap.addresses, rest.addresses),
            shapes: times(lap.shapes, rest.shapes),
        }
    }

    /// Bytes that the device writes per request.
    pub fn written(&self) -> u64 {
        self.buffers(0).1.iter().map(|buffer| u64::from(buffer.len)).sum()
    }
}
