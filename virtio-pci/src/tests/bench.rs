//! Registers in memory that write down every access.

use alloc::vec;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard};

use virtio_core::regs::Registers;

/// One access: what a driver did to the registers, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Offset and width in bytes.
    Read(usize, u8),
    /// Offset, width in bytes and value.
    Write(usize, u8, u32),
    /// `memory_before_register`.
    Publish,
    /// `register_before_memory`.
    Acquire,
}
pub(crate) use Access::{Acquire, Publish, Read, Write};

/// A 32-bit write.
pub(crate) const fn w(offset: usize, value: u32) -> Access {
    Write(offset, 4, value)
}
/// A 32-bit read.
pub(crate) const fn r(offset: usize) -> Access {
    Read(offset, 4)
}

/// A cell for registers that an interrupt handler may have a way to.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn borrow(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }

    pub(crate) fn borrow_mut(&self) -> MutexGuard<'_, T> {
        self.borrow()
    }

    pub(crate) fn set(&self, value: T) {
        *self.borrow() = value;
    }

    pub(crate) fn take(&self) -> T
    where
        T: Default,
    {
        core::mem::take(&mut self.borrow())
    }
}

#[derive(Debug)]
pub(crate) struct Bench {
    memory: Shared<Vec<u8>>,
    trace: Shared<Vec<Access>>,
}

impl Bench {
    pub(crate) fn sized(len: usize) -> Self {
        Self { memory: Shared::new(vec![0; len]), trace: Shared::default() }
    }

    /// Sets a register as the device would: not recorded.
    pub(crate) fn set(&self, offset: usize, value: u32) {
        self.put(offset, &value.to_le_bytes());
    }

    /// Sets bytes as the device would: not recorded.
    pub(crate) fn put(&self, offset: usize, bytes: &[u8]) {
        self.memory.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// What a register holds: not recorded.
    pub(crate) fn get(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.memory.borrow()[offset..offset + 4].try_into().unwrap())
    }

    /// What was done since the last call.
    pub(crate) fn take(&self) -> Vec<Access> {
        self.trace.take()
    }

    fn load<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.trace.borrow_mut().push(Read(offset, u8::try_from(N).unwrap()));
        self.memory.borrow()[offset..offset + N].try_into().unwrap()
    }

    /// Writes are recorded and have no effect: as for the write-only registers of a device.
    fn store(&self, offset: usize, width: u8, value: u32) {
        self.trace.borrow_mut().push(Write(offset, width, value));
    }
}

impl Registers for Bench {
    fn len(&self) -> usize {
        self.memory.borrow().len()
    }
    fn read8(&self, offset: usize) -> u8 {
        u8::from_le_bytes(self.load(offset))
    }
    fn read16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.load(offset))
    }
    fn read32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.load(offset))
    }
    fn write8(&self, offset: usize, value: u8) {
        self.store(offset, 1, value.into());
    }
    fn write16(&self, offset: usize, value: u16) {
        self.store(offset, 2, value.into());
    }
    fn write32(&self, offset: usize, value: u32) {
        self.store(offset, 4, value);
    }
    fn memory_before_register(&self) {
        self.trace.borrow_mut().push(Publish);
    }
    fn register_before_memory(&self) {
        self.trace.borrow_mut().push(Acquire);
    }
}
