//! The driver against a disk made of Rust, under a Hal that bounces, poisons and counts.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

extern crate alloc;

mod awaited;
mod bench;
mod blocking;
mod bring_up;
#[cfg(feature = "block-device-driver")]
mod driver;
mod executor;
mod legacy;
mod lifecycle;
mod owned;
mod queues;
mod ranges;
#[cfg(feature = "embedded-sdmmc")]
mod sdmmc;
mod splitting;
mod zones;
