//! QEMU as a bench for drivers, without a guest.
//!
//! ```text
//!   this process                                    QEMU (its CPUs never run)
//!     driver ─► transport ─► QtestRegs ── qtest ──►  registers of its own devices
//!        └────► BenchHal ──► pages of a file ◄─────  RAM: the same file, mapped
//!     checks ──────────────► Qmp ─────── QMP ─────►  screenshots, keys, disks
//!       └─────────────────► Wire, Plug ─ sockets ►  the other ends of cables and console ports
//! ```
//!
//! A [`Machine`] is one QEMU with its devices. Registers are reached over its `-qtest` socket, some 20 µs an access; guest
//! memory is a file that both sides map, so rings and buffers cost nothing more than usual. [`QtestRegs`] and [`BenchHal`] are
//! all that differs from a kernel: transports and drivers run as they are.
//!
//! * [`Board`]: the machines QEMU is asked for, with the addresses of their devices.
//! * [`Way`]: how a device is reached: one for each transport.
//! * [`Qtest`]: registers, and interrupt lines as they change.
//! * [`BenchHal`]: pages, counted, and poisoned when they come back: a device that writes to one later is found out.
//! * [`Picture`]: what a screenshot holds. [`Wire`]: frames of a network card. [`Plug`]: bytes of a console port.

mod backend;
mod board;
mod cables;
mod device;
mod hal;
mod machine;
mod picture;
mod plug;
mod qmp;
mod qtest;
mod ram;
mod regs;
mod rings;
mod scratch;
mod signal;
mod socket;
#[cfg(target_os = "linux")]
mod tap;
mod way;
mod wire;

pub use backend::{Cable, Disk, Layer, SerialPort};
pub use board::{Board, Pci, Slots};
pub use device::{Device, Kind, Place};
pub use hal::BenchHal;
pub use machine::{Held, Machine, Options};
pub use picture::Picture;
pub use plug::Plug;
pub use qmp::Qmp;
pub use qtest::{Count, Qtest};
pub use ram::Ram;
pub use regs::{QtestRegs, Space};
pub use rings::Rings;
pub use signal::{Cause, Signal};
#[cfg(target_os = "linux")]
pub use tap::{HEADER as TAP_HEADER, Tap};
pub use way::{Config, MmioV1, MmioV2, PciLegacy, PciModern, PciMsix, PciWindow, Way};
pub use wire::Wire;
