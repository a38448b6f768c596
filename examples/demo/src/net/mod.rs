//! The network: an address by DHCP, a ping of the gateway, and a page served over HTTP. It goes on beside the shell.
//!
//! ```text
//!   Card (virtio-net) ─ smoltcp::phy::Device ─ Stack ─┬─ DHCP: the lease
//!                                                     ├─ ICMP: pings
//!                                                     └─ TCP port 80: http ─ page
//! ```
//!
//! [`Stack`] is asked to go on when the card interrupts, or when a time has come that it names. All its memory is a static.

pub mod http;
pub mod page;
pub mod stack;

#[cfg(test)]
mod tests;

pub use stack::{Lease, Progress, Stack, Storage};

/// What the kernel's line about its page ends in.
pub const SERVED: &str = "is served until power-off";
