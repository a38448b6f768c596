//! The disk, driven by `virtio-drivers`.
//!
//! Its queue has 16 descriptors, and with a heap a request takes one: so there are 16 in flight at the most. It tells the
//! device of each request at once; requests are completed in the order in which the device has used them, as the same buffers
//! have to be given again.

use virtio_drivers::device::blk::{BlkReq, BlkResp, VirtIOBlk};
use virtio_drivers::transport::Transport;

use super::{Disk, Plan, QUEUE, buffers};
use crate::Work;
use crate::flow::{self, Queue};
use crate::theirs::Identity;

/// Its own number.
const SIZE: usize = 16;

struct Place {
    request: BlkReq,
    response: BlkResp,
    buffer: &'static mut [u8],
}

/// The contestant.
pub struct Theirs<T: Transport> {
    disk: VirtIOBlk<Identity, T>,
    places: [Place; SIZE],
    /// Which place a token stands for.
    of_token: [u8; SIZE],
    free: [u8; SIZE],
    free_count: usize,
    /// Bytes of a queued read.
    len: usize,
}

impl<T: Transport> Theirs<T> {
    /// Brings the disk up.
    pub fn new(transport: T) -> Self {
        let mut buffers = buffers().into_iter();
        let mut place = |_| Place {
            request: BlkReq::default(),
            response: BlkResp::default(),
            buffer: buffers.next().expect("there are more"),
        };
        Self {
            disk: VirtIOBlk::new(transport).expect("a disk"),
            places: core::array::from_fn(&mut place),
            of_token: [0; SIZE],
            // Place 0 is taken first.
            free: core::array::from_fn(|nth| (SIZE - 1 - nth) as u8),
            free_count: SIZE,
            len: super::SMALL,
        }
    }
}

impl<T: Transport> Disk for Theirs<T> {
    fn read(&mut self, sector: u64, len: usize) {
        self.disk.read_blocks(sector as usize, &mut self.places[0].buffer[..len]).expect("it reads");
    }

    fn deepest(&self) -> usize {
        usize::from(self.disk.virt_queue_size())
    }

    fn queued(&mut self, plan: Plan) {
        flow::run(Held { of: self, plan }, QUEUE, plan.depth, plan.requests);
    }

    fn awaited(&mut self, _plan: Plan) -> bool {
        false
    }

    fn each_buffer(&mut self, look: &mut dyn FnMut(&mut [u8])) {
        self.places.iter_mut().for_each(|place| look(place.buffer));
    }
}

/// Its queue.
struct Held<'d, T: Transport> {
    of: &'d mut Theirs<T>,
    plan: Plan,
}

impl<T: Transport> Queue for Held<'_, T> {
    #[inline]
    fn add(&mut self, nth: usize) {
        let sector = self.plan.sector(nth);
        self.of.free_count -= 1;
        let nth = self.of.free[self.of.free_count];
        let Place { request, response, buffer } = &mut self.of.places[usize::from(nth)];
        // SAFETY: nobody touches the place before it is completed in `take`.
        let token = unsafe {
            self.of.disk.read_blocks_nb(sector as usize, request, &mut buffer[..self.of.len], response)
        };
        self.of.of_token[usize::from(token.expect("room"))] = nth;
    }

    /// It has kicked already.
    fn kick(&mut self) {}

    #[inline]
    fn take(&mut self) -> usize {
        let mut taken = 0;
        while let Some(token) = self.of.disk.peek_used() {
            let nth = self.of.of_token[usize::from(token)];
            let Place { request, response, buffer } = &mut self.of.places[usize::from(nth)];
            // SAFETY: what was given to `read_blocks_nb` for this token.
            let outcome = unsafe {
                self.of.disk.complete_read_blocks(token, request, &mut buffer[..self.of.len], response)
            };
            outcome.expect("it reads");
            self.of.free[self.of.free_count] = nth;
            self.of.free_count += 1;
            taken += 1;
        }
        taken
    }
}

/// Measures.
pub struct Run<'a>(pub Work<'a>);

impl crate::theirs::Visit for Run<'_> {
    fn with<T: Transport>(self, transport: T) {
        super::measure(&mut Theirs::new(transport), self.0);
    }
}
