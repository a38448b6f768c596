//! The driver against scripted devices, under a Hal that bounces, poisons and counts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

extern crate alloc;

mod awaited;
mod bench;
mod blocking;
mod buffers;
mod lifecycle;
#[cfg(feature = "rand_core")]
mod rand;
