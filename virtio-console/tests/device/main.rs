//! The driver against scripted devices, under a Hal that bounces, poisons and counts.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

extern crate alloc;

#[cfg(feature = "embedded-io-async")]
mod async_traits;
mod awaited;
mod bench;
mod bring_up;
mod buffers;
mod clauses;
mod crowd;
mod dialogue;
mod emergency;
mod faults;
mod halves;
mod hostile;
mod lifecycle;
mod reading;
mod removed;
mod size;
#[cfg(feature = "embedded-io")]
mod traits;
mod writing;
