//! What the device's side of a ring asks of memory.

use std::sync::atomic::{Ordering, fence};

use virtio_core::DeviceAddr;

use crate::hal::DeviceMemory;

/// Guest memory by device address, with the accesses that ring protocols are made of.
///
/// [`DeviceMemory`] checks every access against everything the driver has allocated, under a lock. [`Pinned`](crate::Pinned)
/// stretches check bounds only, without one.
pub trait GuestMemory {
    /// Reads bytes, one by one as far as other threads can tell.
    ///
    /// # Errors
    /// Why the device may not.
    fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String>;

    /// Reads `len` bytes. No memory is taken before it is known that they are there, for `len` may be anything.
    ///
    /// # Errors
    /// Why the device may not.
    fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String>;

    /// Writes bytes, one by one as far as other threads can tell.
    ///
    /// # Errors
    /// Why the device may not.
    fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String>;

    /// Reads a 16-bit field in memory order, at once; everything read later is read behind it.
    ///
    /// # Errors
    /// Why the device may not.
    fn load16(&self, address: DeviceAddr) -> Result<u16, String>;

    /// Writes a 16-bit field in memory order, at once; everything written before is written before it.
    ///
    /// # Errors
    /// Why the device may not.
    fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String>;

    /// Keeps reads that follow behind writes that went before: the full barrier of both hand-shakes.
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

impl GuestMemory for DeviceMemory {
    fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String> {
        self.read(address, bytes)
    }

    fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String> {
        self.read_vec(address, len)
    }

    fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String> {
        self.write(address, bytes)
    }

    fn load16(&self, address: DeviceAddr) -> Result<u16, String> {
        self.load16(address)
    }

    fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        self.store16(address, raw)
    }
}
