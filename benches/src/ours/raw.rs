//! The raw layer: addresses and a cookie, for kernels that manage their own memory.

use virtio_core::DeviceAddr;
use virtio_core::queue::{Cookie, RawBuffer};

use super::Found;
use crate::bell::Bell;
use crate::device::Rings;
use crate::drive::{Driver, Sink};
use crate::pool::Request;
use crate::row::Row;

/// A request as the raw layer takes it.
struct Item<const R: usize, const W: usize> {
    readable: [RawBuffer; R],
    writable: [RawBuffer; W],
}

/// The contestant.
pub struct Raw<const R: usize, const W: usize> {
    queue: Found<Cookie>,
    items: Vec<Item<R, W>>,
}

impl<const R: usize, const W: usize> Raw<R, W> {
    /// A queue for these requests.
    pub fn new(requests: &[Request<R, W>], row: Row, bell: Bell) -> Self {
        let raw = |buffer: crate::pool::Buffer| RawBuffer {
            device: DeviceAddr::new(buffer.address),
            len: buffer.len,
        };
        let item = |request: &Request<R, W>| Item {
            readable: request.readable.map(raw),
            writable: request.writable.map(raw),
        };
        Self { queue: Found::new(row, bell, |spec| spec), items: requests.iter().map(item).collect() }
    }
}

impl<const R: usize, const W: usize> Driver for Raw<R, W> {
    fn rings(&self) -> Rings {
        self.queue.rings
    }

    #[inline(always)]
    fn submit(&mut self, from: usize, batch: usize) {
        // SAFETY: the harness stays within the pool.
        let items = unsafe { self.items.get_unchecked(from..from + batch) };
        for (cookie, item) in (from..).zip(items) {
            // SAFETY: the buffers are left alone until the request is used.
            let added =
                unsafe { self.queue.port.add_raw(&item.readable, &item.writable, Cookie(cookie as u64)) };
            added.expect("room");
        }
        self.queue.port.publish();
        self.queue.port.kick();
    }

    #[inline(always)]
    fn complete(&mut self) -> Sink {
        let mut sink = Sink::default();
        let drained = self.queue.port.drain(usize::MAX, |mut done| {
            let written = done.written();
            let Cookie(cookie) = done.take_payload().expect("nobody took it");
            sink.take(cookie, written);
        });
        drained.expect("an honest device");
        sink
    }
}
