//! The commands `blk` and `ports` on devices that have something to say: their models are those of the drivers' own tests.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

extern crate alloc;

mod disk;
mod ports;

#[allow(dead_code, reason = "these tests use their own part of it")]
#[path = "../../../../virtio-blk/tests/device/bench.rs"]
mod blk_bench;
#[allow(dead_code, reason = "these tests use their own part of it")]
#[path = "../../../../virtio-console/tests/device/bench.rs"]
mod console_bench;

use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// What a text says without its colours.
fn plain(text: &str) -> String {
    let mut pieces = text.split('\x1b');
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').unwrap().1)
}

/// A future that ends: its device answers at once.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("it does not end")
}
