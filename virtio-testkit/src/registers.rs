//! Fake registers: plain memory that a driver maps and a test looks into.
//!
//! **Window Kept**: the words of a window are shared by the Hal and every [`FakeRegisters`], are never moved, and are only
//! ever accessed as relaxed atomics or by the volatile accesses of a register back-end.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A block of fake registers, as the test sees it.
///
/// It is memory and no more: writing one register changes no other. For a device that reacts, implement
/// [`Registers`](virtio_core::regs::Registers) in the test.
#[derive(Clone)]
pub struct FakeRegisters {
    words: Arc<[AtomicU32]>,
}

impl fmt::Debug for FakeRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeRegisters({} bytes)", self.words.len() * 4)
    }
}

impl FakeRegisters {
    /// The 32-bit register at byte `offset`.
    ///
    /// # Panics
    /// Outside the block.
    #[must_use]
    pub fn read32(&self, offset: usize) -> u32 {
        u32::from_le(self.words[offset / 4].load(Ordering::Relaxed))
    }

    /// Sets the 32-bit register at byte `offset`.
    ///
    /// # Panics
    /// Outside the block.
    pub fn write32(&self, offset: usize, value: u32) {
        self.words[offset / 4].store(value.to_le(), Ordering::Relaxed);
    }
}

/// A block of fake registers, as the Hal maps it.
pub(crate) struct Window {
    address: u64,
    words: Arc<[AtomicU32]>,
}

impl Window {
    pub(crate) fn new(address: u64, len: usize) -> Self {
        assert!(len > 0, "a register block is not empty");
        Self { address, words: (0..len.div_ceil(4)).map(|_| AtomicU32::new(0)).collect() }
    }

    fn len(&self) -> usize {
        self.words.len() * 4
    }

    fn end(&self) -> u64 {
        self.address + u64::try_from(self.len()).expect("lengths fit 64 bits")
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.address < other.end() && other.address < self.end()
    }

    pub(crate) fn registers(&self) -> FakeRegisters {
        FakeRegisters { words: Arc::clone(&self.words) }
    }

    fn base(&self) -> NonNull<u8> {
        // Through the cells, which may be written behind a shared reference.
        NonNull::from(&*self.words).cast()
    }

    /// Where `len` bytes at a physical address are, if they all are in this window.
    pub(crate) fn at(&self, address: u64, len: usize) -> Option<NonNull<u8>> {
        let offset = usize::try_from(address.checked_sub(self.address)?).ok()?;
        if offset.checked_add(len)? > self.len() {
            return None;
        }
        // SAFETY: Window Kept; the offset is inside.
        Some(unsafe { self.base().add(offset) })
    }

    /// Whether a pointer leads into this window.
    pub(crate) fn holds(&self, pointer: NonNull<u8>) -> bool {
        let offset = pointer.addr().get().wrapping_sub(self.base().addr().get());
        offset < self.len()
    }
}
