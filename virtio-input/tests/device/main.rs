//! The driver against scripted devices, under a Hal that bounces, poisons and counts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

extern crate alloc;

mod awaited;
mod bench;
mod config;
mod events;
