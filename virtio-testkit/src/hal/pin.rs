//! Memory for a device that runs on a thread of its own: no map, no lock.
//!
//! **Pinned Whole**: a [`Pinned`] keeps the allocation that it points into, so its bytes are there for as long as it is.
//! Whether the driver has given the memory back meanwhile is between the device and the promise made to
//! [`DeviceMemory::pin`].

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use virtio_core::DeviceAddr;

use super::DeviceMemory;
use crate::guest::GuestMemory;
use crate::memory::Memory;

/// One stretch of guest memory, reached without a lock: for a device on a thread of its own.
///
/// [`DeviceMemory`] takes a lock for each access, and a lock is a barrier: the device's stores can no longer be late, and
/// a driver that forgets its own barrier may get away with it. Here the accesses are what they say and nothing more, so that
/// the processor, or Miri, may reorder them as for a real device.
///
/// A slice of them is a [`GuestMemory`] too: the rings, and the buffers behind them.
pub struct Pinned {
    /// Pinned Whole.
    _whole: Arc<Memory>,
    first: NonNull<u8>,
    address: DeviceAddr,
    len: usize,
    writable: bool,
}

// SAFETY: Pinned Whole: the allocation belongs to no thread. Accesses are ordered as `DeviceMemory::pin` was promised.
unsafe impl Send for Pinned {}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({:?}, {} bytes)", self.address, self.len)
    }
}

impl Pinned {
    /// Where it starts, for the device.
    #[must_use]
    pub fn address(&self) -> DeviceAddr {
        self.address
    }

    /// The pointer to `len` bytes, if they lie in this stretch.
    fn covers(&self, address: DeviceAddr, len: usize) -> Option<NonNull<u8>> {
        let offset = usize::try_from(address.get().checked_sub(self.address.get())?).ok()?;
        if offset.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: Pinned Whole; the offset is inside.
        Some(unsafe { self.first.add(offset) })
    }

    fn at(&self, address: DeviceAddr, len: usize) -> Result<NonNull<u8>, String> {
        self.covers(address, len).ok_or_else(|| format!("{len} bytes at {address:?} are not pinned"))
    }

    fn at_writable(&self, address: DeviceAddr, len: usize) -> Result<NonNull<u8>, String> {
        if !self.writable {
            return Err(format!("device write of {len} bytes at {address:?}: memory that it may only read"));
        }
        self.at(address, len)
    }

    fn cell(place: NonNull<u8>) -> Result<NonNull<u16>, String> {
        let cell = place.cast::<u16>();
        if cell.is_aligned() { Ok(cell) } else { Err("a 16-bit field is not aligned".into()) }
    }

    /// Reads a 16-bit field at once, in memory order, and promises nothing about other accesses: for a variant of a test
    /// that has to fail.
    ///
    /// # Errors
    /// If it is not here, or not aligned.
    pub fn load16_relaxed(&self, address: DeviceAddr) -> Result<u16, String> {
        let cell = Self::cell(self.at(address, 2)?)?;
        // SAFETY: Pinned Whole; two aligned bytes, which drivers access atomically as well.
        Ok(unsafe { AtomicU16::from_ptr(cell.as_ptr()) }.load(Ordering::Relaxed))
    }

    /// Writes a 16-bit field at once, in memory order, and promises nothing about other accesses: for a variant of a test
    /// that has to fail.
    ///
    /// # Errors
    /// If it is not here, not aligned, or not the device's to write.
    pub fn store16_relaxed(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        let cell = Self::cell(self.at_writable(address, 2)?)?;
        // SAFETY: Pinned Whole; two aligned bytes, which drivers access atomically as well.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }.store(raw, Ordering::Relaxed);
        Ok(())
    }
}

impl GuestMemory for Pinned {
    fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String> {
        let from = self.at(address, bytes.len())?;
        // SAFETY: Pinned Whole; a local buffer does not overlap it.
        unsafe { from.copy_to_nonoverlapping(NonNull::from(&mut *bytes).cast(), bytes.len()) };
        Ok(())
    }

    fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String> {
        self.at(address, len)?;
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String> {
        let to = self.at_writable(address, bytes.len())?;
        // SAFETY: Pinned Whole; a local buffer does not overlap it.
        unsafe { to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(())
    }

    fn load16(&self, address: DeviceAddr) -> Result<u16, String> {
        let cell = Self::cell(self.at(address, 2)?)?;
        // SAFETY: Pinned Whole; two aligned bytes, which drivers access atomically as well.
        Ok(unsafe { AtomicU16::from_ptr(cell.as_ptr()) }.load(Ordering::Acquire))
    }

    fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        let cell = Self::cell(self.at_writable(address, 2)?)?;
        // SAFETY: Pinned Whole; two aligned bytes, which drivers access atomically as well.
        unsafe { AtomicU16::from_ptr(cell.as_ptr()) }.store(raw, Ordering::Release);
        Ok(())
    }
}

fn among(pins: &[Pinned], address: DeviceAddr, len: usize) -> Result<&Pinned, String> {
    pins.iter()
        .find(|pin| pin.covers(address, len).is_some())
        .ok_or_else(|| format!("{len} bytes at {address:?} are not pinned"))
}

impl GuestMemory for [Pinned] {
    fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String> {
        among(self, address, bytes.len())?.read(address, bytes)
    }

    fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String> {
        among(self, address, len)?.read_vec(address, len)
    }

    fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String> {
        among(self, address, bytes.len())?.write(address, bytes)
    }

    fn load16(&self, address: DeviceAddr) -> Result<u16, String> {
        among(self, address, 2)?.load16(address)
    }

    fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        among(self, address, 2)?.store16(address, raw)
    }
}

impl DeviceMemory {
    /// Pins a stretch of one block: for a device that runs on a thread of its own, without this memory's lock.
    ///
    /// # Errors
    /// Why the device may not have it.
    ///
    /// # Safety
    /// The device that runs on it keeps to the protocol of the ring: it touches plain bytes only while they are its own
    /// (between an index or flag that gives them to it and one that gives them back), and nothing once the driver has
    /// reset the device or the queue. A driver that breaks the protocol has a data race with it, which Miri reports and
    /// which nothing else may rely on.
    pub unsafe fn pin(&self, address: DeviceAddr, len: usize) -> Result<Pinned, String> {
        let (whole, first, writable) = self.run(|map| map.pin(address.get(), len, self.hostile))?;
        Ok(Pinned { _whole: whole, first, address, len, writable })
    }
}
