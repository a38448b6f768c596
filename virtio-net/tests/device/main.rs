//! The driver against scripted devices, under a Hal that bounces, poisons and counts.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

extern crate alloc;

mod awaited;
mod bench;
mod bring_up;
mod clauses;
mod control;
mod drops;
mod events;
mod lifecycle;
mod merged;
mod odd_pieces;
mod pairs;
mod receive;
mod simple;
#[cfg(feature = "smoltcp")]
mod stack;
#[cfg(feature = "smoltcp")]
mod stack_limits;
mod transmit;
