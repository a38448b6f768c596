//! A network card made of Rust.

use alloc::sync::Arc;
use std::sync::Mutex;

use virtio_core::dma::{Part, Readable};
use virtio_core::{DeviceId, Features, QueueIndex};
use virtio_net::{Net, Options, abi};
use virtio_testkit::{Builder, Event, FakeDevice, FakeTransport, Reply, Request, TestHal};

/// A driver with DMA memory for buffers.
pub(crate) type Card = Net<FakeTransport, TestHal>;
/// A driver with buffers of the heap.
pub(crate) type HeapCard<X = Readable<Part<Vec<u8>>>> = Net<FakeTransport, TestHal, Vec<u8>, X>;

pub(crate) const MODERN: Features = Features::VERSION_1;
pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/// Bytes of a header of every device but the oldest.
pub(crate) const HEADER: usize = 12;

/// A configuration space, as a device of this age lays it out.
#[derive(Clone, Copy)]
pub(crate) struct Space {
    pub(crate) legacy: bool,
    pub(crate) status: u16,
    pub(crate) pairs: u16,
    pub(crate) mtu: u16,
    pub(crate) speed: u32,
    pub(crate) duplex: u8,
}

impl Default for Space {
    fn default() -> Self {
        Self { legacy: false, status: 1, pairs: 1, mtu: 1500, speed: 10_000, duplex: 1 }
    }
}

impl Space {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let two = |number: u16| if self.legacy { number.to_ne_bytes() } else { number.to_le_bytes() };
        let speed = if self.legacy { self.speed.to_ne_bytes() } else { self.speed.to_le_bytes() };
        let mut bytes = MAC.to_vec();
        bytes.extend([two(self.status), two(self.pairs), two(self.mtu)].concat());
        bytes.extend(speed);
        bytes.push(self.duplex);
        bytes.extend([0; 11]);
        bytes
    }
}

/// What went through a queue, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Request>>>);

impl Seen {
    pub(crate) fn push(&self, request: Request) {
        self.0.lock().unwrap().push(request);
    }

    pub(crate) fn take(&self) -> Vec<Request> {
        core::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The readable bytes of each.
    pub(crate) fn bytes(&self) -> Vec<Vec<u8>> {
        self.take().into_iter().map(|request| request.readable).collect()
    }
}

/// A device with `pairs` pairs of queues that keeps what it is given to receive into, takes what is sent at once, and answers
/// commands with `answer`.
pub(crate) struct Model {
    pub(crate) device: FakeDevice,
    /// What was sent, header included.
    pub(crate) sent: Seen,
    /// Commands.
    pub(crate) commands: Seen,
}

pub(crate) fn answering(
    builder: Builder,
    pairs: u16,
    answer: impl FnMut(Request) -> Reply + Send + 'static,
    hal: &TestHal,
) -> Model {
    let (sent, commands) = (Seen::default(), Seen::default());
    let mut builder = builder;
    for pair in 0..pairs {
        let seen = sent.clone();
        builder = builder.event_queue(2 * pair, 64).queue(2 * pair + 1, 64, move |request| {
            seen.push(request);
            Reply::Write(vec![])
        });
    }
    let (seen, mut answer) = (commands.clone(), answer);
    let builder = builder.queue(2 * pairs, 64, move |request| {
        seen.push(request.clone());
        answer(request)
    });
    Model { device: builder.build(hal), sent, commands }
}

/// A device with one pair of queues that says yes to everything.
pub(crate) fn offering(features: Features, hal: &TestHal) -> Model {
    let builder = FakeDevice::builder(DeviceId::NET).features(features).config(Space::default().bytes());
    answering(builder, 1, |_| Reply::Write(vec![0]), hal)
}

/// The same behind a legacy interface.
pub(crate) fn legacy(features: Features, hal: &TestHal) -> Model {
    let space = Space { legacy: true, ..Space::default() };
    let builder = FakeDevice::builder(DeviceId::NET).features(features).config(space.bytes()).legacy();
    answering(builder, 1, |_| Reply::Write(vec![0]), hal)
}

pub(crate) fn drive(model: &Model, hal: &TestHal, options: &Options) -> Card {
    Net::new(model.device.transport(), hal.clone(), options).unwrap()
}

/// A driver with `count` buffers of `len` bytes of the heap.
pub(crate) fn drive_heap(
    model: &Model,
    hal: &TestHal,
    options: &Options,
    count: u16,
    len: usize,
) -> HeapCard {
    let supply = |slot: virtio_net::Slot| (slot.nth < count).then(|| vec![0xee; len]);
    Net::with_buffers(model.device.transport(), hal.clone(), options, supply).unwrap()
}

/// Everything that this driver can do.
pub(crate) fn all(pairs: u16) -> Options {
    Options { offloads: abi::OFFLOADS, pairs, ..Options::DEFAULT }
}

/// A frame that comes in: a header of a modern device, and `len` bytes that count up from `first`.
pub(crate) fn incoming(first: u8, len: usize) -> Vec<u8> {
    [header(1).as_slice(), &counting(first, len)].concat()
}

/// A header that says nothing but in how many buffers the frame lies.
pub(crate) fn header(buffers: u16) -> [u8; HEADER] {
    let [low, high] = buffers.to_le_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, low, high]
}

pub(crate) fn counting(first: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| first.wrapping_add(at.to_le_bytes()[0])).collect()
}

/// How often the device was notified of a queue since the trace was cleared.
pub(crate) fn kicks(hal: &TestHal, queue: u16) -> usize {
    let this = QueueIndex::new(queue);
    hal.trace().iter().filter(|event| **event == Event::Notify(this)).count()
}
