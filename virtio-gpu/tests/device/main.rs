//! The driver against scripted devices, under a Hal that bounces, poisons and counts.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod bench;
mod bring_up;
mod cursor;
mod display;
mod events;
mod faults;
mod screen;
