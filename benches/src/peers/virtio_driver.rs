//! libblkio's crate `virtio-driver` 0.6: `Virtqueue`, split and packed.
//!
//! It has no indirect descriptors. Its per-request data carries the cookie; it does not tell how many bytes were written.
//! Each request publishes itself; a batch is kicked once.
//!
//! A packed chain of one descriptor is beyond it: it is published with NEXT set, so that the device takes whatever lies in
//! the following slot for the rest of the request.

use virtio_driver::virtqueue::{Virtqueue, VirtqueueLayout};
use virtio_driver::{VirtioFeatureFlags, iovec};

use crate::bell::Bell;
use crate::device::Rings;
use crate::drive::{Driver, Sink};
use crate::memory;
use crate::peers::vhost_user;
use crate::pool::{Buffer, Request};
use crate::row::{QUEUE_SIZE, Ring, Row};

/// The contestant.
pub struct VirtioDriver<const R: usize, const W: usize> {
    queue: Virtqueue<'static, u64>,
    requests: Vec<Request<R, W>>,
    bell: Bell,
}

impl<const R: usize, const W: usize> VirtioDriver<R, W> {
    /// A queue for these requests.
    pub fn new(requests: Vec<Request<R, W>>, row: Row, bell: Bell) -> Self {
        let mut features = VirtioFeatureFlags::VERSION_1;
        features.set(VirtioFeatureFlags::RING_PACKED, row.ring == Ring::Packed);
        features.set(VirtioFeatureFlags::RING_EVENT_IDX, row.event_idx);
        let layout = VirtqueueLayout::new::<u64>(1, usize::from(QUEUE_SIZE), features).expect("a layout");
        let memory = memory::pages(layout.end_offset);
        // SAFETY: fresh memory that Stays.
        let memory = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), layout.end_offset) };
        let translator = vhost_user::translator().expect("a translator");
        let queue = Virtqueue::new(translator, memory, QUEUE_SIZE, features).expect("a queue");
        Self { queue, requests, bell }
    }
}

#[inline(always)]
fn vector(buffer: &Buffer) -> iovec {
    iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(buffer.address as usize),
        iov_len: buffer.len as usize,
    }
}

impl<const R: usize, const W: usize> Driver for VirtioDriver<R, W> {
    fn rings(&self) -> Rings {
        let address = |pointer: *const u8| pointer.expose_provenance() as u64;
        Rings {
            descriptor: address(self.queue.desc_table_ptr()),
            driver: address(self.queue.driver_area_ptr()),
            device: address(self.queue.device_area_ptr()),
        }
    }

    #[inline(always)]
    fn submit(&mut self, from: usize, batch: usize) {
        // SAFETY: the harness stays within the pool.
        let requests = unsafe { self.requests.get_unchecked(from..from + batch) };
        for (cookie, request) in (from..).zip(requests) {
            let added = self.queue.add_request(|data, add| {
                *data = cookie as u64;
                for buffer in &request.readable {
                    add(vector(buffer), false)?;
                }
                for buffer in &request.writable {
                    add(vector(buffer), true)?;
                }
                Ok(())
            });
            added.expect("room");
        }
        if self.queue.avail_notif_needed() {
            self.bell.ring();
        }
    }

    #[inline(always)]
    fn complete(&mut self) -> Sink {
        let mut sink = Sink::default();
        for completion in self.queue.completions() {
            sink.take(completion.req, 0);
        }
        sink
    }
}
