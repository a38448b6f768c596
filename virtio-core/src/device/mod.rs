//! A device, from reset to live and back (VIRTIO 1.4 §3).
//!
//! [`Init`] brings a device up, step by step, as types: what may not happen yet does not compile. [`Device`] is a live
//! one: it owns transport, queues and attached memory, and lends [`Port`](crate::queue::Port)s. One guard, which both
//! carry, knows how to take a device down: reset, wait for the confirmation, then free (I-RESET).

mod attached;
mod events;
mod guard;
mod init;
mod lifecycle;
mod live;
mod loan;
mod negotiate;
mod ports;
mod renew;
#[cfg(test)]
mod threads;

pub use attached::NotDetached;
pub use events::DeviceEvent;
pub use init::{Driver, FeaturesOk, Init, QueuesReady};
pub use live::{Device, NotStopped};
pub use negotiate::Wanted;
pub use ports::Ports;

use core::time::Duration;

/// How long a device may take to confirm its reset before its memory is given up.
pub const RESET_TIMEOUT: Duration = Duration::from_secs(5);
