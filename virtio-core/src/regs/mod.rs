//! Registers: typed by where they are declared, reached through a back-end (VIRTIO 1.4 §4.1.3, §4.2.2).
//!
//! A register block is a `#[repr(C)]` struct of [`volatile_register`] cells. It is never placed over real registers: it
//! is the single source of *offsets* and *access modes*. [`register!`](crate::register) turns a field into a
//! [`Register`], which offers `read` only where the cell is `RO` or `RW` and `write` only where it is `WO` or `RW`, on
//! any [`Registers`] back-end: mapped memory, port I/O, a hypercall, a test bench.
//!
//! ```
//! use virtio_core::regs::{register, Register, RO, RW};
//!
//! #[repr(C)]
//! struct Block { magic: RO<u32>, status: RW<u32> }
//!
//! const MAGIC: Register<RO<u32>> = register!(Block, magic);
//! const STATUS: Register<RW<u32>> = register!(Block, status);
//! assert_eq!((MAGIC.offset(), STATUS.offset()), (0, 4));
//! ```
//!
//! Writing a read-only register does not compile:
//!
//! ```compile_fail,E0599
//! # // shows: pci.layout.common-cfg.1, mmio.regs.2
//! use virtio_core::regs::{register, NativeRegs, Register, RO};
//! #[repr(C)]
//! struct Block { magic: RO<u32> }
//! const MAGIC: Register<RO<u32>> = register!(Block, magic);
//! fn writes(regs: &NativeRegs) { MAGIC.write(regs, 1) }
//! ```
//!
//! Nor does reading a write-only one:
//!
//! ```compile_fail,E0599
//! # // shows: mmio.regs.3
//! use virtio_core::regs::{register, NativeRegs, Register, WO};
//! #[repr(C)]
//! struct Block { notify: WO<u32> }
//! const NOTIFY: Register<WO<u32>> = register!(Block, notify);
//! fn reads(regs: &NativeRegs) -> u32 { NOTIFY.read(regs) }
//! ```

mod barrier;
mod mapped;
mod native;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod port;

use core::marker::PhantomData;

use crate::HalError;

pub use crate::register;
pub use barrier::BarrierClass;
pub(crate) use barrier::device_barrier;
pub use mapped::Mapped;
pub use native::NativeRegs;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub use port::PortRegs;
pub use volatile_register::{RO, RW, WO};

/// A back-end that reaches one block of device registers.
///
/// Values are in the order of the CPU: a back-end over little-endian memory swaps on a big-endian CPU. An access that
/// does not lie wholly inside the block, or is not aligned to its own width, must not happen: a read gives all ones, a
/// write is dropped, as on a bus where nobody answers. Transports check lengths once, when they are built.
pub trait Registers {
    /// Length of the block in bytes.
    fn len(&self) -> usize;

    /// Whether the block has no register at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads 8 bits.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32;
    /// Writes 8 bits.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32);

    /// Orders earlier writes to memory before later register writes: due before a doorbell.
    fn memory_before_register(&self) {
        barrier::memory_before_register();
    }

    /// Orders earlier register accesses, writes too, before later reads of memory: due between the acknowledgement of an interrupt
    /// and the ring.
    fn register_before_memory(&self) {
        barrier::register_before_memory();
    }
}

/// Registers that can be reached once more, independently of this way to them: what an
/// [interrupt endpoint](crate::interrupt) is built on.
pub trait Reopen: Registers + Sized {
    /// Another way to the same registers.
    ///
    /// # Errors
    /// What the [`Hal`](crate::Hal) answers that is asked to map them a second time.
    fn reopen(&self) -> Result<Self, HalError>;
}

impl<R: Registers + ?Sized> Reopen for &R {
    fn reopen(&self) -> Result<Self, HalError> {
        Ok(*self)
    }
}

impl<R: Registers + ?Sized> Registers for &R {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn read8(&self, offset: usize) -> u8 {
        (**self).read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        (**self).read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        (**self).read32(offset)
    }
    fn write8(&self, offset: usize, value: u8) {
        (**self).write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        (**self).write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        (**self).write32(offset, value);
    }
    fn memory_before_register(&self) {
        (**self).memory_before_register();
    }
    fn register_before_memory(&self) {
        (**self).register_before_memory();
    }
}

/// One register: its offset, its width and what may be done with it. Made by [`register!`](crate::register).
pub struct Register<C> {
    offset: usize,
    cell: PhantomData<fn() -> C>,
}

impl<C> Register<C> {
    /// Used by [`register!`](crate::register): `field` only serves to infer the cell's type.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<Block>(offset: usize, _field: fn(&Block) -> &C) -> Self {
        Self { offset, cell: PhantomData }
    }

    /// Bytes from the start of the block.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl<C> core::fmt::Debug for Register<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Register({:#x}: {})", self.offset, core::any::type_name::<C>())
    }
}

macro_rules! widths {
    ($($int:ident, $read:ident, $write:ident);+) => { $(
        impl Register<RO<$int>> {
            /// Reads the register.
            pub fn read<R: Registers + ?Sized>(&self, regs: &R) -> $int {
                regs.$read(self.offset)
            }
        }
        impl Register<RW<$int>> {
            /// Reads the register.
            pub fn read<R: Registers + ?Sized>(&self, regs: &R) -> $int {
                regs.$read(self.offset)
            }
            /// Writes the register.
            pub fn write<R: Registers + ?Sized>(&self, regs: &R, value: $int) {
                regs.$write(self.offset, value);
            }
        }
        impl Register<WO<$int>> {
            /// Writes the register.
            pub fn write<R: Registers + ?Sized>(&self, regs: &R, value: $int) {
                regs.$write(self.offset, value);
            }
        }
    )+ };
}
widths!(u8, read8, write8; u16, read16, write16; u32, read32, write32);

/// Names a field of a register block as a [`Register`]. See the [module](crate::regs).
#[macro_export]
macro_rules! register {
    ($block:ty, $field:ident) => {
        $crate::regs::Register::of(::core::mem::offset_of!($block, $field), |block: &$block| &block.$field)
    };
}
