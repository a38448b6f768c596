//! The disk, driven by `virtio-core` alone: no check, no limit, no split. What of the cost is core's, and what `virtio-blk`'s.

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::Writable;
use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::queue::{Port, QueueSpec, Request, Slices};
use virtio_core::{DeviceId, Transport};

use super::{DEEPEST, Disk, Plan, QUEUE, SMALL, buffers};
use crate::Work;
use crate::flow::{self, Queue};
use crate::ours::Kernel;

/// Descriptors.
const SIZE: u16 = 128;
/// Bytes of a request's header (VIRTIO 1.4 §5.2.6).
const HEADER: usize = 16;

type Buffer = &'static mut [u8];

/// The contestant.
pub struct Bare<T: Transport> {
    device: Device<T, Kernel>,
    large: Buffer,
    small: [Option<Buffer>; DEEPEST],
    free: usize,
}

/// A header, aligned as it would be in a structure of numbers.
#[repr(C, align(8))]
struct Header([u8; HEADER]);

/// A request to read (type 0).
#[inline]
fn header(sector: u64) -> Header {
    let mut header = [0; HEADER];
    header[8..].copy_from_slice(&sector.to_le_bytes());
    Header(header)
}

impl<T: Transport> Bare<T> {
    /// Brings the disk up.
    pub fn new(transport: T) -> Self {
        let init = Init::start(transport, Kernel, DeviceId::BLOCK).expect("a disk");
        let init = init.negotiate(&Wanted::default()).expect("features");
        let spec = QueueSpec::new::<Writable<Buffer>>(QUEUE, SIZE).header(HEADER).response(1).indirect(3);
        let device = init.queues(&[spec]).and_then(Init::live).expect("a queue");
        let mut buffers = buffers().into_iter();
        let large = buffers.next().expect("there are more");
        let mut small: [_; DEEPEST] = core::array::from_fn(|_| buffers.next());
        small[DEEPEST - 1].get_or_insert_with(|| crate::memory::buffer(SMALL));
        Self { device, large, small, free: DEEPEST }
    }
}

impl<T: Transport> Disk for Bare<T> {
    fn read(&mut self, sector: u64, len: usize) {
        let (header, mut status) = (header(sector), [0xff]);
        let mut slices = [&mut self.large[..len]];
        let request = Request::new(Slices::to_write(&mut slices)).header(&header.0);
        self.device.transfer(QUEUE, request, &mut status, DEFAULT_TIMEOUT).expect("it reads");
        assert_eq!(status, [0], "it reads");
    }

    fn deepest(&self) -> usize {
        DEEPEST
    }

    fn queued(&mut self, plan: Plan) {
        let Self { device, small, free, .. } = self;
        let port = device.port(QUEUE).expect("the queue");
        flow::run(Held { port, small, free, plan }, QUEUE, plan.depth, plan.requests);
    }

    fn awaited(&mut self, _plan: Plan) -> bool {
        false
    }

    fn each_buffer(&mut self, look: &mut dyn FnMut(&mut [u8])) {
        look(self.large);
        self.small.iter_mut().flatten().for_each(|buffer| look(buffer));
    }
}

/// Its queue.
struct Held<'d, T> {
    port: Port<'d, Writable<Buffer>, T, Kernel>,
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
        let header = header(sector);
        let added = self.port.add(Request::new(Writable(buffer)).header(&header.0).response(1));
        assert!(added.is_ok(), "room");
    }

    #[inline]
    fn kick(&mut self) {
        self.port.publish();
        self.port.kick();
    }

    #[inline]
    fn take(&mut self) -> usize {
        let taken = self.port.drain(usize::MAX, |mut done| {
            assert_eq!(done.response::<u8>(), Ok(0), "it reads");
            self.small[*self.free] = done.take_payload().map(|Writable(buffer)| buffer);
            *self.free += 1;
        });
        taken.expect("an honest device")
    }
}

/// Measures.
pub struct Run<'a>(pub Work<'a>);

impl crate::ours::Visit for Run<'_> {
    fn with<T: Transport>(self, transport: T) {
        super::measure(&mut Bare::new(transport), self.0);
    }
}
