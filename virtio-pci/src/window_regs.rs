//! Registers through configuration space (VIRTIO 1.4 §4.1.4.9): for functions whose BARs cannot be mapped.

use core::mem::offset_of;

use virtio_core::HalError;
use virtio_core::regs::{Registers, Reopen};

use crate::caps::{Structure, find};
use crate::{ConfigAccess, FunctionAddress, PciError};

/// `struct virtio_pci_cfg_cap`, in the 32-bit registers that configuration space has.
#[allow(dead_code, reason = "only the places of its fields are used")]
#[repr(C)]
struct Capability {
    head: u32,
    /// BAR, id and padding.
    bar: u32,
    offset: u32,
    length: u32,
    data: u32,
}

const BAR: u16 = 4;
const OFFSET: u16 = 8;
const LENGTH: u16 = 12;
const DATA: u16 = 16;
const _: () = {
    assert!(offset_of!(Capability, head) == 0);
    assert!(offset_of!(Capability, bar) == BAR as usize);
    assert!(offset_of!(Capability, offset) == OFFSET as usize);
    assert!(offset_of!(Capability, length) == LENGTH as usize);
    assert!(offset_of!(Capability, data) == DATA as usize);
};

/// A block of registers in a BAR, reached through the function's window in configuration space.
///
/// Each access is one transaction of four configuration accesses (BAR, offset, width, data), in a critical section: an
/// interrupt handler may use the window too. The offset is a multiple of the width. What `A` does to reach configuration
/// space happens inside that critical section.
///
/// A lock inside `A` must be one that interrupt handlers may take. What else uses `A` is not in the critical section, and need not
/// be: each transaction sets all fields of the window anew.
///
/// The kernel must provide an implementation of the `critical-section` crate if, and only if, it uses this type.
#[derive(Clone, Debug)]
pub struct ConfigWindow<A> {
    access: A,
    function: FunctionAddress,
    /// Where the capability is.
    at: u16,
    /// What is beside the BAR in its register, and kept.
    beside: u32,
    bar: u8,
    /// Where the block starts in the BAR: a multiple of 4.
    start: u32,
    len: usize,
}

impl<A: ConfigAccess> ConfigWindow<A> {
    /// The window of a function, onto nothing.
    pub(crate) fn find(access: A, function: FunctionAddress) -> Result<Self, PciError> {
        let read = |offset| access.read32(function, offset);
        let missing = PciError::MissingStructure(Structure::PciConfig);
        let at = find(read, Structure::PciConfig, |_| true).ok_or(missing)?.at;
        let beside = read(at.saturating_add(BAR)) & !0xff;
        Ok(Self { access, function, at, beside, bar: 0, start: 0, len: 0 })
    }

    /// The same window, onto a block that starts at a multiple of 4. The last byte must have an offset of 32 bits.
    pub(crate) fn onto(&self, bar: u8, start: u64, len: usize) -> Option<Self>
    where
        A: Clone,
    {
        let start = u32::try_from(start).ok().filter(|start| start % 4 == 0)?;
        start.checked_add(u32::try_from(len).ok()?.saturating_sub(1))?;
        Some(Self { bar, start, len, ..self.clone() })
    }

    /// One access of `width` bytes, if it lies in the block and is aligned: the window is set, then `data` is given where
    /// the data go.
    fn transaction<T>(&self, offset: usize, width: u8, data: impl FnOnce(u16) -> T) -> Option<T> {
        let bytes = usize::from(width);
        let inside = offset.checked_rem(bytes) == Some(0) && offset.checked_add(bytes)? <= self.len;
        let offset = u32::try_from(offset).ok().filter(|_| inside)?.checked_add(self.start)?;
        let at = |register: u16| self.at.saturating_add(register);
        let set = |register, value| self.access.write32(self.function, at(register), value);
        Some(critical_section::with(|_| {
            set(BAR, self.beside | u32::from(self.bar));
            set(OFFSET, offset);
            set(LENGTH, u32::from(width));
            data(at(DATA))
        }))
    }

    fn read(&self, offset: usize, width: u8) -> [u8; 4] {
        let read = |at| self.access.read32(self.function, at);
        self.transaction(offset, width, read).unwrap_or(u32::MAX).to_le_bytes()
    }

    fn write(&self, offset: usize, width: u8, value: u32) {
        let _ = self.transaction(offset, width, |at| self.access.write32(self.function, at, value));
    }
}

impl<A: ConfigAccess> Registers for ConfigWindow<A> {
    fn len(&self) -> usize {
        self.len
    }
    fn read8(&self, offset: usize) -> u8 {
        let [a, ..] = self.read(offset, 1);
        a
    }
    fn read16(&self, offset: usize) -> u16 {
        let [a, b, ..] = self.read(offset, 2);
        u16::from_le_bytes([a, b])
    }
    fn read32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.read(offset, 4))
    }
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, 1, value.into());
    }
    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, 2, value.into());
    }
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, 4, value);
    }
}

impl<A: ConfigAccess + Clone> Reopen for ConfigWindow<A> {
    fn reopen(&self) -> Result<Self, HalError> {
        Ok(self.clone())
    }
}
