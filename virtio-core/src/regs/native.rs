//! The register back-end for mapped memory (a room of unsafe code).
//!
//! **Window Valid**: `base..base + len` is mapped as device memory, holds registers, is at least 4-byte aligned, and
//! stays so for as long as the value lives. [`NativeRegs::new`] takes it from the caller; nothing here breaks it, for
//! every access is checked against `len` and its own alignment by `NativeRegs::at`.
#![expect(unsafe_code, reason = "reads and writes mapped registers")]

use core::ptr::NonNull;

use super::Registers;

/// Registers in mapped memory, little-endian as virtio's are.
///
/// Accesses are single loads and stores of the width asked for: on aarch64 by inline assembly, because the compiler may
/// turn a volatile access into a form that a hypervisor cannot emulate (rust-lang/rust#131894).
#[derive(Debug)]
pub struct NativeRegs {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: Window Valid does not depend on the thread; registers are shared with the device anyway, so every access is a
// volatile one that tolerates concurrent change.
unsafe impl Send for NativeRegs {}
// SAFETY: as for Send: `&NativeRegs` allows nothing but volatile accesses.
unsafe impl Sync for NativeRegs {}

impl NativeRegs {
    /// Takes over a mapped block of registers of `len` bytes at `base`.
    ///
    /// # Safety
    /// *Window Valid*: the range is mapped, readable and writable as device memory, `base` is 4-byte aligned, nothing of
    /// it is ordinary memory that Rust code refers to, and it stays mapped until the value is dropped (or, made by
    /// [`Hal::map_mmio`](crate::Hal::map_mmio), until it is given to [`Hal::unmap_mmio`](crate::Hal::unmap_mmio)).
    ///
    /// *Honest Hands*: a register write can make a device access any memory, and no type can tell a right one from a wrong
    /// one. So the value goes only to code that drives its device as the specification says: the transports of this family
    /// do. This is where the trust in a [`Transport`](crate::Transport) comes from, although that trait is safe.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// Where the block is mapped.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The pointer for an access of `size_of::<V>()` bytes at `offset`, if it lies inside and is aligned.
    fn at<V>(&self, offset: usize) -> Option<NonNull<V>> {
        let width = size_of::<V>();
        let end = offset.checked_add(width)?;
        if end > self.len || offset % width != 0 {
            return None;
        }
        // SAFETY: `offset < len`, and by Window Valid all of `len` belongs to one mapped range.
        let pointer = unsafe { self.base.add(offset) }.cast::<V>();
        pointer.is_aligned().then_some(pointer)
    }
}

macro_rules! access {
    ($read:ident, $write:ident, $int:ident, $ldr:literal, $str:literal) => {
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        fn $read(&self, offset: usize) -> $int {
            let Some(pointer) = self.at::<$int>(offset) else { return $int::MAX };
            let raw: u32;
            // SAFETY: Window Valid and the check in `at`; the instruction only loads from that address.
            unsafe {
                core::arch::asm!($ldr, value = out(reg) raw, address = in(reg) pointer.as_ptr(),
                    options(nostack, preserves_flags));
            }
            $int::from_le(narrow::$int(raw))
        }
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        fn $write(&self, offset: usize, value: $int) {
            let Some(pointer) = self.at::<$int>(offset) else { return };
            // SAFETY: Window Valid and the check in `at`; the instruction only stores to that address.
            unsafe {
                core::arch::asm!($str, value = in(reg) u32::from(value.to_le()), address = in(reg) pointer.as_ptr(),
                    options(nostack, preserves_flags));
            }
        }
        #[cfg(not(all(target_arch = "aarch64", not(miri))))]
        fn $read(&self, offset: usize) -> $int {
            let Some(pointer) = self.at::<volatile_register::RO<$int>>(offset) else { return $int::MAX };
            // SAFETY: Window Valid and the check in `at`; RO<T> is a transparent cell with interior mutability, so the
            // device may change the register while the reference exists.
            let cell = unsafe { pointer.as_ref() };
            $int::from_le(cell.read())
        }
        #[cfg(not(all(target_arch = "aarch64", not(miri))))]
        fn $write(&self, offset: usize, value: $int) {
            let Some(pointer) = self.at::<volatile_register::WO<$int>>(offset) else { return };
            // SAFETY: Window Valid and the check in `at`; WO<T> is a transparent cell with interior mutability.
            let cell = unsafe { pointer.as_ref() };
            // SAFETY: a register write has no effect on memory that Rust knows of; what the device does with it is
            // bounded by what the driver has published, which is the queue's business.
            unsafe { cell.write(value.to_le()) };
        }
    };
}

/// Takes the low part of a loaded register; the load has already cleared the rest.
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod narrow {
    pub(super) fn u8(raw: u32) -> u8 {
        let [a, ..] = raw.to_le_bytes();
        a
    }
    pub(super) fn u16(raw: u32) -> u16 {
        let [a, b, ..] = raw.to_le_bytes();
        u16::from_le_bytes([a, b])
    }
    pub(super) fn u32(raw: u32) -> u32 {
        raw
    }
}

impl Registers for NativeRegs {
    fn len(&self) -> usize {
        self.len
    }

    access!(read8, write8, u8, "ldrb {value:w}, [{address}]", "strb {value:w}, [{address}]");
    access!(read16, write16, u16, "ldrh {value:w}, [{address}]", "strh {value:w}, [{address}]");
    access!(read32, write32, u32, "ldr {value:w}, [{address}]", "str {value:w}, [{address}]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4))]
    struct Memory([u8; 8]);

    fn window(memory: &mut Memory) -> NativeRegs {
        // SAFETY: the memory outlives the value in each test and is touched through it alone meanwhile.
        unsafe { NativeRegs::new(NonNull::from(&mut memory.0).cast(), 8) }
    }

    #[test]
    fn widths_and_byte_order() {
        let mut memory = Memory([1, 2, 3, 4, 5, 6, 7, 8]);
        let regs = window(&mut memory);
        assert_eq!(regs.read32(4), 0x0807_0605);
        assert_eq!(regs.read16(2), 0x0403);
        assert_eq!(regs.read8(7), 8);
        regs.write32(0, 0xdead_beef);
        regs.write16(4, 0x1234);
        regs.write8(6, 0x56);
        assert_eq!(memory.0, [0xef, 0xbe, 0xad, 0xde, 0x34, 0x12, 0x56, 8]);
    }

    #[test]
    fn nobody_answers_outside_or_askew() {
        let mut memory = Memory([0; 8]);
        let regs = window(&mut memory);
        for offset in [1, 2, 3, 5, 6, 7, 8, usize::MAX - 3, usize::MAX] {
            assert_eq!(regs.read32(offset), u32::MAX, "{offset}");
            regs.write32(offset, 0x5555_5555);
        }
        assert_eq!(regs.read16(7), u16::MAX);
        assert_eq!(regs.read8(8), u8::MAX);
        assert_eq!(memory.0, [0; 8]);
    }
}
