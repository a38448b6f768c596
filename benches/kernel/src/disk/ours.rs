//! The disk, driven by `virtio-blk`.

use virtio_blk::{DiskOptions, Owned, Sector};
use virtio_core::Transport;
use virtio_core::queue::Bell;

use super::{DEEPEST, Disk, Plan, QUEUE, SMALL, buffers};
use crate::Work;
use crate::executor;
use crate::flow::{self, Queue};
use crate::ours::Kernel;

type Buffer = &'static mut [u8];

/// The contestant.
pub struct Ours<T: Transport> {
    disk: virtio_blk::Disk<T, Kernel, Owned<Buffer>>,
    large: Buffer,
    small: [Option<Buffer>; DEEPEST],
    free: usize,
}

impl<T: Transport> Ours<T> {
    /// Brings the disk up.
    pub fn new(transport: T) -> Self {
        let disk = virtio_blk::Disk::open(transport, Kernel, DiskOptions::new()).expect("a disk");
        let mut buffers = buffers().into_iter();
        let large = buffers.next().expect("there are more");
        let mut small: [_; DEEPEST] = core::array::from_fn(|_| buffers.next());
        small[DEEPEST - 1].get_or_insert_with(|| crate::memory::buffer(SMALL));
        Self { disk, large, small, free: DEEPEST }
    }
}

impl<T: Transport> Disk for Ours<T> {
    fn read(&mut self, sector: u64, len: usize) {
        self.disk.read(Sector(sector), &mut self.large[..len]).expect("it reads");
    }

    fn deepest(&self) -> usize {
        DEEPEST
    }

    fn queued(&mut self, plan: Plan) {
        let Self { disk, small, free, .. } = self;
        let queue = disk.queue().expect("the queue");
        flow::run(Held { queue, small, free, plan }, QUEUE, plan.depth, plan.requests);
    }

    fn awaited(&mut self, plan: Plan) -> bool {
        let bell = Bell::new();
        let queue = self.disk.awaited(&bell).expect("the queue").in_batches();
        let each = plan.requests / plan.depth;
        let queue = &queue;
        let tasks = (0..).step_by(each).zip(&mut self.small[DEEPEST - plan.depth..]);
        let tasks = tasks.map(|(first, place)| async move {
            for nth in first..first + each {
                let buffer = place.take().expect("it came back");
                let read = queue.read_owned(Sector(plan.sector(nth)), buffer).await;
                *place = Some(read.expect("it reads"));
            }
        });
        executor::run(tasks, QUEUE, &bell, || {
            queue.kick();
        });
        true
    }

    fn each_buffer(&mut self, look: &mut dyn FnMut(&mut [u8])) {
        look(self.large);
        self.small.iter_mut().flatten().for_each(|buffer| look(buffer));
    }
}

/// Its queue.
struct Held<'d, T: Transport> {
    queue: virtio_blk::Queue<'d, T, Kernel, Owned<Buffer>>,
    small: &'d mut [Option<Buffer>; DEEPEST],
    free: &'d mut usize,
    plan: Plan,
}

impl<T: Transport> Queue for Held<'_, T> {
    #[inline]
    fn add(&mut self, nth: usize) {
        let sector = self.plan.sector(nth);
        *self.free -= 1;
        let buffer = self.small[*self.free].take().expect("it is free");
        assert!(self.queue.add_read(Sector(sector), buffer).is_ok(), "room");
    }

    #[inline]
    fn kick(&mut self) {
        self.queue.kick();
    }

    #[inline]
    fn take(&mut self) -> usize {
        let taken = self.queue.drain(usize::MAX, |answer| {
            assert!(answer.result.is_ok(), "it reads");
            self.small[*self.free] = answer.buffers;
            *self.free += 1;
        });
        taken.expect("an honest device")
    }
}

/// Measures.
pub struct Run<'a>(pub Work<'a>);

impl crate::ours::Visit for Run<'_> {
    fn with<T: Transport>(self, transport: T) {
        super::measure(&mut Ours::new(transport), self.0);
    }
}
