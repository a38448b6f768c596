//! The driver against scripted devices, under a Hal that bounces, poisons and counts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod bring_up;
mod requests;
