//! vhost-user as a transport: our drivers in an ordinary process, their devices in another one, and no guest.
//!
//! ```text
//!   this process                                        back-end (qemu-storage-daemon)
//!     driver ─► VhostUser ── messages over a socket ──►  features, configuration space, where the rings are
//!        │          ├─────── an eventfd a queue ──────►  kick
//!        │          ◄─────── an eventfd a queue ───────  call: what an interrupt is elsewhere
//!        └────► Bouncing, Direct ─► a memfd ◄─────────── the same memory, mapped there too
//! ```
//!
//! * [`Memory`]: pages of a memfd, counted, and poisoned when they come back: a back-end that writes to one later is found out.
//! * [`Bouncing`], [`Direct`]: the kernel's side of a driver over that memory.
//! * [`VhostUser`]: the transport, and [`Call`], its interrupts.
//! * [`Daemon`]: a qemu-storage-daemon with disks, for as long as it is needed.
//!
//! # What vhost-user does not say
//! The type of the device, the length of its configuration space and the largest size of a queue: the first two are told to
//! [`VhostUser::connect`], the last is [`QUEUE_SIZE_MAX`]. The configuration space has no generation.
//! Packed rings, notifications with a position and resets of single queues are left out: no back-end at hand has them.
#![cfg(target_os = "linux")]

mod call;
mod daemon;
mod hal;
mod life;
mod link;
mod memory;
mod scratch;
mod transport;

pub use call::Call;
pub use daemon::{Daemon, Disk};
pub use hal::{Bouncing, Direct};
pub use link::QUEUE_SIZE_MAX;
pub use memory::{Memory, PAGE};
pub use transport::{Kind, VhostUser};
