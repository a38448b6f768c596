//! What every example kernel runs: a text terminal on the virtio GPU, and a tiny shell fed by the virtio
//! keyboard and by the serial line, whose commands use the other virtio devices.
//!
//! Nothing here knows an architecture. A kernel boots, maps its memory, finds out where its devices may be
//! ([`Machine`], on a device-tree machine from [`fdt::Board`]) and implements [`Platform`]; the rest is here.
//!
//! ```text
//!   keyboard ─┐                       ┌─ Terminal ─ pixels ─ GPU
//!   serial  ──┴─ LineEditor ─ Command ┤
//!       ▲                             ├─ serial line (after the screen has shown it)
//!       │                             └─ disk, entropy device
//!       │    network card ─ TCP/IP ─ page    console ports ─ echo       (background, once a command has begun it)
//!       └─ one task (converse), polled by executor when interrupts' handlers have woken it; the CPU sleeps otherwise
//! ```
//!
//! With `polled` on the kernel's command line ([`Options`]) nothing interrupts, and everybody is asked again and again.
//!
//! The crate also builds on the host: the same [`Terminal`] then draws, from the bytes the serial line
//! carried, the very pixels the guest must have on its screen.
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod background;
pub mod banner;
pub mod card;
pub mod colors;
pub mod commands;
pub mod console;
pub mod converse;
pub mod discover;
pub mod disk;
pub mod edid;
pub mod entropy;
pub mod executor;
pub mod fdt;
pub mod files;
pub mod frames;
pub mod interrupts;
pub mod inventory;
pub mod irq;
pub mod keyboard;
pub mod keymap;
pub mod machine;
pub mod names;
pub mod net;
pub mod network;
pub mod options;
pub mod platform;
pub mod pointer;
pub mod ports;
pub mod random;
pub mod rest;
pub mod run;
pub mod scratch;
pub mod screen;
pub mod shell;
pub mod signal;
pub mod style;
pub mod terminal;
pub mod wiring;

#[cfg(test)]
mod testing;

pub use console::{Console, Output};
pub use frames::Frames;
pub use interrupts::Handlers;
pub use machine::{Intx, Machine, MmioSlot, MsixMessage, PciConfig, PciHost};
pub use options::Options;
pub use platform::Platform;
pub use run::run;
pub use terminal::Terminal;
