//! The device's end: as small as it can be, and right.
//!
//! **Ring Of Its Driver**: a device's addresses are of rings of [`SIZE`] entries, in memory that Stays (see `memory`); each
//! request is one descriptor. Fields that both ends access are accessed atomically; the rest belongs to one end at a time,
//! handed over by a release and an acquire.

use std::ptr::NonNull;
use std::sync::atomic::AtomicU16;

/// Entries of each ring.
pub const SIZE: u16 = 256;

/// Where the rings of a queue are.
#[derive(Clone, Copy, Default)]
pub struct Rings {
    /// Descriptor area.
    pub descriptor: u64,
    /// Driver area.
    pub driver: u64,
    /// Device area.
    pub device: u64,
}

/// The device's end of a queue.
pub trait Device: Send {
    /// Asks for no kicks.
    fn suppress_kicks(&mut self);
    /// Asks for a kick for the next request; what [`Device::is_available`] says afterwards is as new as the wish.
    fn ask_for_kick(&mut self);
    /// Whether there is a request.
    fn is_available(&self) -> bool;
    /// Uses the next request.
    fn answer(&mut self);
    /// Whether the driver wants an interrupt for the last answer.
    fn wants_interrupt(&self) -> bool;
}

/// A 16-bit field, so many of them behind the start.
pub fn cell<'a>(start: NonNull<u16>, at: usize) -> &'a AtomicU16 {
    // SAFETY: Ring Of Its Driver.
    let cell = unsafe { start.add(at) };
    // SAFETY: Ring Of Its Driver: aligned, and accessed atomically by both ends.
    unsafe { AtomicU16::from_ptr(cell.as_ptr()) }
}
