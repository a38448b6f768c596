//! What a device reaches.

use std::fmt;
use std::sync::{Arc, PoisonError};

use virtio_core::DeviceAddr;

use super::Shared;
use crate::memory::Map;
use crate::trace::Event;

/// Guest memory as a device sees it: by device address, checked.
///
/// An access to memory that is not the device's (any more) fails with an explanation, and is recorded as a violation that
/// fails the test, unless the device is [declared hostile](DeviceMemory::hostile).
///
/// Each access takes the lock of the whole [`TestHal`](crate::TestHal), which orders more than hardware would. A device on
/// a thread of its own, which is to find missing barriers, works on [pinned](DeviceMemory::pin) memory.
#[derive(Clone)]
pub struct DeviceMemory {
    hal: Arc<Shared>,
    pub(super) hostile: bool,
}

impl fmt::Debug for DeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceMemory").field("hostile", &self.hostile).finish_non_exhaustive()
    }
}

impl DeviceMemory {
    pub(super) fn new(hal: Arc<Shared>) -> Self {
        Self { hal, hostile: false }
    }

    /// The same memory for a device that is expected to go astray: it may write what it should only read, as if no IOMMU
    /// were there, and the test does not fail when it is stopped.
    #[must_use]
    pub fn hostile(mut self) -> Self {
        self.hostile = true;
        self
    }

    /// Appends to the trace.
    pub(crate) fn record(&self, event: Event) {
        self.hal.state.lock().unwrap_or_else(PoisonError::into_inner).events.push(event);
    }

    /// Records a violation.
    pub(crate) fn fault(&self, what: String) {
        self.hal.state.lock().unwrap_or_else(PoisonError::into_inner).faults.push(what);
    }

    pub(super) fn run<V>(&self, access: impl FnOnce(&Map) -> Result<V, String>) -> Result<V, String> {
        let mut state = self.hal.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = access(&state.map);
        if let Err(why) = &answer {
            if !self.hostile {
                state.faults.push(why.clone());
            }
        }
        answer
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String> {
        self.run(|map| map.read(address.get(), bytes, self.hostile))
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String> {
        // Checked before the buffer is made, for `len` may be anything.
        self.run(|map| map.reach(address.get(), len, false, self.hostile).map(drop))?;
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String> {
        self.run(|map| map.write(address.get(), bytes, self.hostile))
    }

    /// Reads a 16-bit field in memory order, atomically, before everything read later.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn load16(&self, address: DeviceAddr) -> Result<u16, String> {
        self.run(|map| map.load16(address.get(), self.hostile))
    }

    /// Writes a 16-bit field in memory order, atomically, after everything written before.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        self.run(|map| map.store16(address.get(), raw, self.hostile))
    }
}
