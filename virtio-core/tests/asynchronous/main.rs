//! Requests as futures, and the bell.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "tests fail by panicking; not every file uses every helper; the unsafe code is the tests' own"
)]

#[path = "../common/mod.rs"]
mod common;

mod allocations;
mod broken;
mod cancelled;
mod executor;
mod hostile;
mod line;
mod order;
mod parts;
mod receive;
mod recheck;
mod threads;

use virtio_core::Features;
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::Lend;
use virtio_core::queue::{AsyncPort, QueueSpec, Request};
use virtio_testkit::{FakeDevice, FakeTransport, TestHal};

/// A port for requests without payload.
type Plain<'d> = AsyncPort<'d, (), FakeTransport, TestHal>;

/// Two descriptors: a header of one byte, a response of one byte.
fn ask(header: &[u8]) -> Request<'_, ()> {
    Request::new(()).header(header).response(1)
}

/// Brings a device with one queue up, with all that it offers.
fn up_with_all<P: Lend>(device: &FakeDevice, hal: &TestHal, size: u16) -> common::Live {
    let init = Init::start(device.transport(), hal.clone(), common::ID).unwrap();
    let wanted = Wanted { optional: Features::all(), ..Wanted::default() };
    let specs = [QueueSpec::new::<P>(0, size).header(16).response(16).indirect(4)];
    init.negotiate(&wanted).unwrap().queues(&specs).unwrap().live().unwrap()
}

/// The kinds of rings to run a test over.
const RINGS: [Features; 6] = [
    Features::empty(),
    Features::EVENT_IDX,
    Features::INDIRECT_DESC,
    Features::RING_PACKED,
    Features::RING_PACKED.union(Features::EVENT_IDX),
    Features::RING_PACKED.union(Features::EVENT_IDX).union(Features::INDIRECT_DESC),
];
