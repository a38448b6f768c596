//! Registers in memory that write down every access.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use virtio_core::regs::Registers;

/// One access: what a driver did to the registers, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// Offset and width in bytes.
    Read(usize, u8),
    /// Offset, width in bytes and value.
    Write(usize, u8, u32),
    /// `memory_before_register`.
    Publish,
    /// `register_before_memory`.
    Acquire,
}
pub(super) use Access::{Acquire, Publish, Read, Write};

/// A 32-bit write.
pub(super) const fn w(offset: usize, value: u32) -> Access {
    Write(offset, 4, value)
}
/// A 32-bit read.
pub(super) const fn r(offset: usize) -> Access {
    Read(offset, 4)
}

const QUEUE_READY: usize = 0x044;

#[derive(Debug)]
pub(super) struct Bench {
    memory: RefCell<Vec<u8>>,
    trace: RefCell<Vec<Access>>,
}

impl Bench {
    pub(super) fn sized(len: usize) -> Self {
        Self { memory: RefCell::new(vec![0; len]), trace: RefCell::default() }
    }

    /// A slot of 512 bytes that holds a device.
    pub(super) fn device(version: u32, id: u32) -> Self {
        let bench = Self::sized(0x200);
        bench.set(0x000, 0x7472_6976);
        bench.set(0x004, version);
        bench.set(0x008, id);
        bench
    }

    /// Sets a register as the device would: not recorded.
    pub(super) fn set(&self, offset: usize, value: u32) {
        self.memory.borrow_mut()[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// What was done since the last call.
    pub(super) fn take(&self) -> Vec<Access> {
        self.trace.take()
    }

    fn load<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.trace.borrow_mut().push(Read(offset, u8::try_from(N).unwrap()));
        self.memory.borrow()[offset..offset + N].try_into().unwrap()
    }

    /// Writes are recorded and have no effect, as for the write-only registers of a device. `QueueReady` alone keeps what
    /// is written.
    fn store(&self, offset: usize, width: u8, value: u32) {
        if offset == QUEUE_READY {
            self.set(offset, value);
        }
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
