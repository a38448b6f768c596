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
mod receive;
mod recheck;
mod threads;

use virtio_core::queue::{AsyncPort, Request};
use virtio_testkit::{FakeTransport, TestHal};

/// A port for requests without payload.
type Plain<'d> = AsyncPort<'d, (), FakeTransport, TestHal>;

/// Two descriptors: a header of one byte, a response of one byte.
fn ask(header: &[u8]) -> Request<'_, ()> {
    Request::new(()).header(header).response(1)
}
