//! A driver for a device that does not exist: a table with dice on it, shared with other players.
//!
//! It shows how a driver is written on the public interface of `virtio-core`, outside its tree. `cargo xtask new-device`
//! lays out the same files. Read them in this order:
//!
//! 1. `src/abi/`: what goes over the wire, as the device's specification numbers it. Nothing here acts.
//! 2. `src/error.rs`: what can go wrong, and who is to blame.
//! 3. `src/device.rs`: bring-up, a request that waits for its answer, events that come by themselves.
//! 4. `tests/device/`: the driver against devices that are right, wrong, short, silent; `examples/play.rs` runs it all.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit`. A kernel has its own [`Hal`](virtio_core::Hal), and a transport from
//! `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use toy_device::Dice;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let device = FakeDevice::builder(Dice::<virtio_testkit::FakeTransport, TestHal>::ID)
//! #     .config([16, 0, 0, 0])
//! #     .queue(0, 8, |_| Reply::Write(vec![6, 1, 0]))
//! #     .event_queue(1, 8)
//! #     .build(&hal);
//! # let transport = device.transport();
//!
//! let mut dice = Dice::new(transport, hal.clone())?;
//! let mut eyes = [0; 2];
//! dice.throw(&mut eyes)?;
//! assert_eq!(eyes, [6, 1]);
//! # Ok::<(), toy_device::DiceError>(())
//! ```
//!
//! # The device
//! Type 63, which the specification has given to nobody.
//!
//! | | |
//! |---|---|
//! | queue 0 | requests: how many dice are thrown; then room for a byte of eyes each, and a status behind them |
//! | queue 1 | events, into buffers that the driver leaves there: another player has thrown |
//! | feature 0, `SIDES` | the dice have as many sides as the configuration space says; without it, six |
//! | configuration | le16 at 0: the most dice in one throw; u8 at 2: the sides of a die, with `SIDES` |

#![no_std]
#![forbid(unsafe_code)]

mod abi;
mod device;
mod error;

pub use device::{Dice, Thrown};
pub use error::DiceError;
