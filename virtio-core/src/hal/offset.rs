//! A ready-made Hal for kernels with an offset mapping (a room of unsafe code).
#![expect(unsafe_code, reason = "turns physical addresses into pointers")]

use core::num::NonZeroUsize;
use core::ops::Range;
use core::ptr::NonNull;
use core::time::Duration;

use super::{Direction, DmaMemory, Hal, HalError, MmioKind};
use crate::regs::NativeRegs;
use crate::{DeviceAddr, PhysAddr};

/// A kernel's page-frame allocator, as [`OffsetHal`] needs it. Frames are 4096 bytes.
///
/// # Safety
/// `alloc` hands out contiguous, page-aligned frames of ordinary memory that nobody else uses, and that stay valid, until
/// `free`, even when every value of this type is gone; any copy may free. `free` does not unwind.
pub unsafe trait Frames: Send + Sync {
    /// Allocates `count` contiguous frames; the physical address of the first.
    fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr>;

    /// Takes frames back.
    ///
    /// # Safety
    /// `first` and `count` are exactly what an `alloc` returned and was asked for, and nobody uses the frames.
    unsafe fn free(&self, first: PhysAddr, count: NonZeroUsize);
}

// SAFETY: the promises are those of the allocator referred to.
unsafe impl<F: Frames + ?Sized> Frames for &F {
    fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
        (**self).alloc(count)
    }
    unsafe fn free(&self, first: PhysAddr, count: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).free(first, count) }
    }
}

/// A [`Hal`] for kernels in which *virtual = physical + offset* holds for page frames and for registers.
///
/// Buffers on heap, stack or in statics are bounced, so nothing is assumed about those. An identity map is an offset of 0.
///
/// ```
/// use core::{num::NonZeroUsize, time::Duration};
/// use virtio_core::{Frames, OffsetHal, PhysAddr};
///
/// # mod my_kernel {
/// #     pub fn take(_: usize) -> Option<u64> { None }
/// #     pub unsafe fn give_back(_: u64, _: usize) {}
/// #     pub fn uptime() -> core::time::Duration { core::time::Duration::ZERO }
/// # }
/// #[derive(Clone, Copy)]
/// struct MyFrames;
///
/// // SAFETY: the kernel's allocator hands out free, contiguous, page-aligned frames.
/// unsafe impl Frames for MyFrames {
///     fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
///         my_kernel::take(count.get()).map(PhysAddr::new)
///     }
///     unsafe fn free(&self, first: PhysAddr, count: NonZeroUsize) {
///         unsafe { my_kernel::give_back(first.get(), count.get()) }
///     }
/// }
///
/// // SAFETY: this kernel maps all RAM at this offset, and the first GiB, where devices are, as device memory.
/// let hal = unsafe { OffsetHal::new(0xffff_8000_0000_0000, MyFrames, &[0..0x4000_0000]) }.with_clock(|| Some(my_kernel::uptime()));
/// # let _ = hal;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OffsetHal<F> {
    offset: u64,
    frames: F,
    registers: &'static [Range<u64>],
    clock: Option<fn() -> Option<Duration>>,
    spin_budget: Option<u64>,
}

impl<F: Frames> OffsetHal<F> {
    /// A Hal over `frames` for a kernel that maps physical address `p` at `p + offset` (wrapping). `registers` are the
    /// physical ranges in which devices lie: nothing else is ever mapped for a driver, whatever a device says.
    ///
    /// On aarch64 it comes with a clock, the generic timer. Elsewhere give it one with [`OffsetHal::with_clock`], or a
    /// number of polls with [`OffsetHal::with_spin_budget`].
    ///
    /// # Safety
    /// For every frame of `frames`, and for all of `registers`, the mapping exists, is readable and writable, and stays.
    /// Frames are cached memory coherent with devices; `registers` is device memory and holds no RAM. Whoever gets the
    /// value can reach devices (*Honest Hands*, at [`Hal`]).
    #[must_use]
    pub const unsafe fn new(offset: u64, frames: F, registers: &'static [Range<u64>]) -> Self {
        #[cfg(target_arch = "aarch64")]
        let clock: Option<fn() -> Option<Duration>> = Some(super::clock::cntvct);
        #[cfg(not(target_arch = "aarch64"))]
        let clock = None;
        Self { offset, frames, registers, clock, spin_budget: None }
    }

    /// Bounds waits by this clock: time since some fixed point.
    #[must_use]
    pub const fn with_clock(mut self, clock: fn() -> Option<Duration>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Bounds waits by a number of polls, where there is no clock.
    #[must_use]
    pub const fn with_spin_budget(mut self, polls: u64) -> Self {
        self.spin_budget = Some(polls);
        self
    }

    fn virt(&self, address: u64) -> Option<NonNull<u8>> {
        let address = usize::try_from(address.wrapping_add(self.offset)).ok()?;
        NonNull::new(core::ptr::with_exposed_provenance_mut(address))
    }
}

// SAFETY: `Frames` promises fresh, aligned frames, and `OffsetHal::new` that they and the registers are mapped at the
// offset and coherent; sharing is the default. Nothing here unwinds.
unsafe impl<F: Frames> Hal for OffsetHal<F> {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let first = self.frames.alloc(pages).ok_or(HalError::OutOfMemory)?;
        match self.virt(first.get()) {
            Some(ptr) => Ok(DmaMemory { device: DeviceAddr::new(first.get()), ptr }),
            None => {
                // SAFETY: the frames were allocated just now and are used by nobody.
                unsafe { self.frames.free(first, pages) };
                Err(HalError::BrokenContract)
            }
        }
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the device address of these pages is their physical address, and the caller promises the rest.
        unsafe { self.frames.free(PhysAddr::new(memory.device.get()), pages) };
    }

    fn map_mmio(&self, address: PhysAddr, len: usize, _kind: MmioKind) -> Result<NativeRegs, HalError> {
        let start = address.get();
        let end =
            u64::try_from(len).ok().and_then(|len| start.checked_add(len)).ok_or(HalError::CannotMap)?;
        if !self.registers.iter().any(|range| range.start <= start && end <= range.end) {
            return Err(HalError::CannotMap);
        }
        let base = self.virt(start).ok_or(HalError::CannotMap)?;
        // SAFETY: inside `registers`, for which `OffsetHal::new` was promised device memory at the offset, for good.
        Ok(unsafe { NativeRegs::new(base, len) })
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    fn now(&self) -> Option<Duration> {
        self.clock.and_then(|clock| clock())
    }

    fn spin_budget(&self) -> Option<u64> {
        self.spin_budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nothing;
    // SAFETY: hands out nothing.
    unsafe impl Frames for Nothing {
        fn alloc(&self, _count: NonZeroUsize) -> Option<PhysAddr> {
            None
        }
        unsafe fn free(&self, _first: PhysAddr, _count: NonZeroUsize) {}
    }

    #[test]
    fn only_registers_are_mapped() {
        // SAFETY: nothing is accessed in this test; no frames, and addresses are only compared.
        let hal = unsafe { OffsetHal::new(0x1000_0000, Nothing, &[0x1000..0x3000, 0x8000..0x9000]) };
        let map = |address, len| {
            hal.map_mmio(PhysAddr::new(address), len, MmioKind::Registers).map(|regs| regs.base())
        };
        assert_eq!(map(0x1000, 0x2000).map(|base| base.addr().get()), Ok(0x1000_1000));
        assert!(map(0x8ffc, 4).is_ok());
        for (address, len) in [(0xffc, 8), (0x2ffc, 8), (0x3000, 4), (0x4000_0000, 4), (u64::MAX - 3, 8)] {
            assert_eq!(map(address, len), Err(HalError::CannotMap), "{address:#x}");
        }
    }
}
