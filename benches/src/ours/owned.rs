//! The owned layer: payload in, payload out. A request of three descriptors has a header, which is copied to the request's
//! place in DMA memory, a payload, and a response in that place: what a driver for disks does.

use virtio_core::dma::Writable;
use virtio_core::queue::{Cookie, Request};

use super::Found;
use crate::bell::Bell;
use crate::device::Rings;
use crate::drive::{Driver, Sink};
use crate::pool;
use crate::row::Row;

/// A buffer that the device writes, and a number to know it by.
pub type Payload = (Cookie, Writable<&'static mut [u8]>);

/// The contestant. `R` is the number of headers, 0 or 1, and tells the shape.
pub struct Owned<const R: usize, const W: usize> {
    queue: Found<Payload>,
    /// Payloads that are not on their way.
    payloads: Vec<Option<Payload>>,
}

/// What is in front of and behind the payload.
const HEADER: [u8; 16] = [0x5a; 16];
const RESPONSE: usize = 1;

impl<const R: usize, const W: usize> Owned<R, W> {
    /// A queue for these requests.
    pub fn new(requests: &[pool::Request<R, W>], row: Row, bell: Bell) -> Self {
        let payload = |(cookie, request): (usize, &pool::Request<R, W>)| {
            // SAFETY: the data of each request is sliced once, here.
            let data = unsafe { request.writable[0].slice() };
            Some((Cookie(cookie as u64), Writable(data)))
        };
        let queue = Found::new(row, bell, |spec| match R {
            0 => spec,
            _ => spec.header(HEADER.len()).response(RESPONSE),
        });
        Self { queue, payloads: requests.iter().enumerate().map(payload).collect() }
    }
}

impl<const R: usize, const W: usize> Driver for Owned<R, W> {
    fn rings(&self) -> Rings {
        self.queue.rings
    }

    #[inline(always)]
    fn submit(&mut self, from: usize, batch: usize) {
        // SAFETY: the harness stays within the pool.
        let payloads = unsafe { self.payloads.get_unchecked_mut(from..from + batch) };
        for payload in payloads {
            let request = Request::new(payload.take().expect("it has come back"));
            let request = if R == 0 { request } else { request.header(&HEADER).response(RESPONSE) };
            if self.queue.port.add(request).is_err() {
                panic!("no room");
            }
        }
        self.queue.port.publish();
        self.queue.port.kick();
    }

    #[inline(always)]
    fn complete(&mut self) -> Sink {
        let mut sink = Sink::default();
        let payloads = &mut self.payloads;
        let drained = self.queue.port.drain(usize::MAX, |mut done| {
            let written = done.written();
            let payload = done.take_payload().expect("nobody took it");
            let Cookie(cookie) = payload.0;
            payloads[cookie as usize] = Some(payload);
            sink.take(cookie, written);
        });
        drained.expect("an honest device");
        sink
    }
}
