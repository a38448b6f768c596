//! What a kernel provides (a room of unsafe code).
//!
//! # For kernel authors
//!
//! Implement [`Hal`] once. Four methods are required: two for DMA pages, two for register mappings. Everything else has
//! a default that is right on a coherent, untranslated machine, if not always the fastest. [`OffsetHal`] is ready-made
//! for kernels in which *virtual = physical + a constant* holds for page frames and registers.
//!
//! A `Hal` is a value and its methods take `&self`, so it may hold a lock, a pool, or nothing. Front-ends ask for
//! `H: Hal + Clone`: a zero-sized type costs nothing, and `&'static dyn Hal` works as well.
//!
//! Time matters: every wait in these crates is bounded (I-BOUND). The bound comes from [`Hal::now`]; without a clock,
//! [`Hal::spin_budget`] has to name a number of polls, for there is no number that suits every machine. With neither,
//! the first wait fails with [`HalError::NoClock`].
//!
//! # Confidential guests
//!
//! A guest whose memory is kept from its host (SEV-SNP, TDX, CCA) needs three things of its Hal, and says that it has them:
//!
//! * [`Hal::dma_alloc`] answers pages that are shared with the host, and nothing else does; [`Hal::private_alloc`] is
//!   overridden with pages that are not, and [`Hal::keeps_private`] answers `true`. Rings and bounce pages are of the first
//!   kind, what a driver believes is of the second.
//! * [`Hal::share`] never answers a [direct](Segment::direct) segment. The default bounces through fresh shared pages;
//!   [`BouncePool`] bounces through a pool that is shared once, so that no page changes its owner per request.
//! * [`Hal::trust`] answers [`Trust::Confidential`]; [`BouncePool::confidential`] does that for a Hal that does not.
//!
//! Then only devices are driven that play by it: one without `VERSION_1` (any legacy device) or without `ACCESS_PLATFORM` is
//! refused with [`Incompatible::UnfitForConfidential`](crate::Incompatible), and a Hal without private memory with
//! [`HalError::NoPrivateMemory`], both before the device is told of any memory. What no driver can see to remains the kernel's: which
//! registers it maps, and that a device's answers, checked as they are, are still the host's word.
#![expect(unsafe_code, reason = "the contract with the kernel")]

mod bounce;
pub mod clock;
mod offset;
#[cfg(target_has_atomic = "ptr")]
mod pool;
mod trust;
mod wait;

use core::fmt;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::time::Duration;

use crate::regs::NativeRegs;
use crate::{DeviceAddr, PhysAddr};

pub use offset::{Frames, OffsetHal};
#[cfg(target_has_atomic = "ptr")]
pub use pool::BouncePool;
pub use trust::Trust;
pub use wait::{DEFAULT_TIMEOUT, Deadline};

/// Which way data flows through memory that a device reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// The driver writes, the device reads.
    ToDevice,
    /// The device writes, the driver reads.
    FromDevice,
    /// Both read and write.
    Both,
}

impl Direction {
    /// Whether the device may write.
    #[must_use]
    pub const fn device_writes(self) -> bool {
        !matches!(self, Self::ToDevice)
    }

    /// Whether the device may read.
    #[must_use]
    pub const fn device_reads(self) -> bool {
        !matches!(self, Self::FromDevice)
    }
}

/// What a register mapping is for, so that a kernel can choose memory attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MmioKind {
    /// Device registers: uncached, not reordered.
    Registers,
    /// PCI configuration space.
    PciConfig,
    /// A shared-memory region of a device (VIRTIO 1.4 §2.10): memory, cacheable where the device says so.
    SharedMemory,
}

/// Pages that [`Hal::dma_alloc`] handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DmaMemory {
    /// Where the device sees them.
    pub device: DeviceAddr,
    /// Where the driver sees them.
    pub ptr: NonNull<u8>,
}

/// What [`Hal::share`] made reachable for the device: a prefix of the buffer, contiguous for the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where the device sees it.
    pub device: DeviceAddr,
    /// Its length in bytes: at least 1, at most the buffer's.
    pub len: usize,
    /// The copy that stands in for the buffer, if this Hal bounces. A Hal that puts anything else here overrides all four:
    /// `share`, `unshare`, `sync_to_device` and `sync_to_cpu`.
    pub bounce: Option<NonNull<u8>>,
    /// Whether the device reaches the buffer itself and nothing has to be undone or kept in step: then
    /// [`Hal::unshare`], [`Hal::sync_to_device`] and [`Hal::sync_to_cpu`] are not called for this segment.
    pub direct: bool,
}

impl Segment {
    /// A segment that is the buffer itself, coherent and reachable as it is: nothing has to be undone.
    #[must_use]
    pub const fn direct(device: DeviceAddr, len: usize) -> Self {
        Self { device, len, bounce: None, direct: true }
    }
}

/// Memory that could not be given back, because the device would not confirm that it has stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaked {
    /// Where the device sees it; for private pages, what [`Hal::private_alloc`] answered.
    pub device: DeviceAddr,
    /// Its length in pages; 0 for a shared segment.
    pub pages: usize,
}

/// The platform could not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HalError {
    /// No memory.
    OutOfMemory,
    /// The buffer cannot be made reachable for the device.
    CannotShare,
    /// The registers cannot be mapped.
    CannotMap,
    /// Neither [`Hal::now`] nor [`Hal::spin_budget`] is implemented, so no wait can be bounded.
    NoClock,
    /// The Hal broke its own contract: memory that is not page-aligned, or a segment of length 0 or beyond the buffer.
    BrokenContract,
    /// A [confidential](Trust::Confidential) guest has no memory that its host cannot see: [`Hal::keeps_private`] says no.
    NoPrivateMemory,
    /// Anything else, with a number of the kernel's own.
    Other(u32),
}

impl fmt::Display for HalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::CannotShare => f.write_str("a buffer cannot be shared with the device"),
            Self::CannotMap => f.write_str("registers cannot be mapped"),
            Self::NoClock => f.write_str("no clock: implement Hal::now or Hal::spin_budget"),
            Self::BrokenContract => f.write_str("the Hal broke its contract"),
            Self::NoPrivateMemory => f.write_str("a confidential guest without memory of its own"),
            Self::Other(code) => write!(f, "error {code} of the platform"),
        }
    }
}

impl core::error::Error for HalError {}

/// The kernel's side of a driver: DMA memory, sharing of buffers, register mappings, time.
///
/// # Safety
/// The implementation must keep these promises; the soundness of the whole family rests on them.
///
/// * **Memory**: what `dma_alloc` and `private_alloc` return is page-aligned for both sides, writable, used by nobody
///   else, coherent, and stays valid until it is given back, even when every value of this type is gone.
/// * **Any copy may free**: memory from one value may be given back through a clone (or reference) of it.
/// * **Segments**: a segment from `share` stays reachable for the device until `unshare` (a direct one for as long as the
///   buffer is valid); device accesses to it reach the buffer or its bounce copy, nothing else.
/// * **Mappings**: `map_mmio` maps device registers and nothing else: it refuses an address at which there is memory, for
///   the address may come from a device (a BAR). What it returns is *Window Valid* until `unmap_mmio`.
/// * **Honest Hands**: whoever has a value can reach devices, and a device can reach memory. So values go to code that
///   drives devices by their specification, and drives each device once.
/// * **No unwinding** out of `dma_dealloc`, `private_dealloc`, `unshare` and `unmap_mmio`; nor out of `stuck`, unless no
///   device can reach a caller's buffer itself, because all of them are bounced.
/// * `page_size` is a power of two, at least 4096, and never changes.
///
/// `Send + Sync`, because a driver moves between CPUs and its queues may live on several: an implementation with state
/// locks it.
pub unsafe trait Hal: Send + Sync {
    /// Allocates `pages` contiguous pages that the device can reach. Contents are arbitrary; callers zero them.
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`], usually.
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError>;

    /// Gives pages back.
    ///
    /// # Safety
    /// `memory` and `pages` are exactly what a `dma_alloc` of this Hal returned and was asked for; nobody, the device
    /// included, uses the memory any more.
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize);

    /// Maps `len` bytes of registers at the physical `address`, at whatever virtual address the kernel likes.
    ///
    /// `address` is 4-byte aligned and no more, and several mappings may share a page: MMIO slots are 512 bytes apart on
    /// some machines, and a PCI function's structures lie side by side in one BAR.
    ///
    /// # Errors
    /// [`HalError::CannotMap`], usually.
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError>;

    /// Undoes [`Hal::map_mmio`].
    ///
    /// # Safety
    /// `regs` came from `map_mmio` of this Hal, and no copy of its address is used any more.
    unsafe fn unmap_mmio(&self, regs: NativeRegs);

    /// Makes a non-empty prefix of `buffer` reachable for the device; called again for the rest. For memory that is
    /// attached, a prefix reaches at least to the next multiple of 4096, or to the end: the table of its entries is sized for
    /// that, and a longer list is refused with [`Misuse::TooManySegments`](crate::Misuse).
    ///
    /// The default copies through pages of [`Hal::dma_alloc`] ("bounces"): a rule such as *physical = virtual − offset*
    /// that holds for page frames is wrong for heap, stack and statics of many kernels. Kernels that can translate any
    /// address override this and [`Hal::unshare`].
    ///
    /// # Safety
    /// `buffer` is not empty, readable if `direction` lets the device read, writable if it lets it write, and stays so,
    /// written by nobody else, until `unshare`. Where the device only reads, others may read too, and the driver may write
    /// between two calls of [`Hal::sync_to_device`].
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`] or [`HalError::CannotShare`].
    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        // SAFETY: the caller's promises are the ones `bounce::share` asks for.
        unsafe { bounce::share(self, buffer, direction) }
    }

    /// Ends a sharing that was not [direct](Segment::direct). The first `written` bytes of the segment were written by the device: a bounced copy of just those
    /// is brought back.
    ///
    /// # Safety
    /// `segment` came from `share` of this Hal for the buffer that starts at `buffer` with the same `direction`; the
    /// device no longer uses it.
    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        // SAFETY: the caller's promises are the ones `bounce::unshare` asks for.
        unsafe { bounce::unshare(self, segment, buffer, direction, written) }
    }

    /// Makes what the driver wrote to `len` bytes at `offset` of a long-lived segment visible to the device.
    ///
    /// # Safety
    /// `segment` came from `share` of this Hal for the buffer that starts at `buffer` and is still shared;
    /// `offset + len` lies within it.
    unsafe fn sync_to_device(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: the caller's promises are the ones `bounce::sync_to_device` asks for.
        unsafe { bounce::sync_to_device(segment, buffer, offset, len) }
    }

    /// Makes what the device wrote to `len` bytes at `offset` of a long-lived segment visible to the driver.
    ///
    /// # Safety
    /// As for [`Hal::sync_to_device`].
    unsafe fn sync_to_cpu(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: the caller's promises are the ones `bounce::sync_to_cpu` asks for.
        unsafe { bounce::sync_to_cpu(segment, buffer, offset, len) }
    }

    /// Allocates pages for the driver's own state, which no device needs to reach. A confidential guest takes them from
    /// memory that the host cannot see; the default takes DMA pages. `DmaMemory::device` is not used.
    ///
    /// # Errors
    /// [`HalError::OutOfMemory`], usually.
    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        self.dma_alloc(pages, Direction::Both)
    }

    /// Gives back what [`Hal::private_alloc`] handed out.
    ///
    /// # Safety
    /// As for [`Hal::dma_dealloc`].
    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the default `private_alloc` is `dma_alloc`, and the caller promises the rest.
        unsafe { self.dma_dealloc(memory, pages) }
    }

    /// Whether [`Hal::private_alloc`] answers memory that the host cannot see. The default one does not, so it has to be
    /// overridden before this is.
    fn keeps_private(&self) -> bool {
        false
    }

    /// Whether the host may see and change what is not meant for it. It decides which devices are driven: see
    /// [confidential guests](crate::hal#confidential-guests).
    fn trust(&self) -> Trust {
        Trust::Trusted
    }

    /// Bytes in a page of [`Hal::dma_alloc`].
    fn page_size(&self) -> usize {
        4096
    }

    /// Whether device addresses are not physical ones (an IOMMU translates, or only some memory is reachable). Then a
    /// device that does not offer `ACCESS_PLATFORM` is refused ([`Incompatible::BypassesTranslation`](crate::Incompatible)).
    fn translates(&self) -> bool {
        false
    }

    /// Time since some fixed point, if the kernel has a clock. [`clock`] has helpers.
    fn now(&self) -> Option<Duration> {
        None
    }

    /// How many polls a wait may take where there is no clock. A poll is a register or memory read and one
    /// [`Hal::relax`]; tens of millions are reasonable under emulation.
    fn spin_budget(&self) -> Option<u64> {
        None
    }

    /// Called between two polls of a wait.
    fn relax(&self) {
        core::hint::spin_loop();
    }

    /// A full barrier that a bus device observes, for `ORDER_PLATFORM`.
    fn device_barrier(&self) {
        crate::regs::device_barrier();
    }

    /// Which address space this Hal's device addresses belong to. Hals of one kernel answer the same number if, and only if,
    /// a device that is driven through one can be given addresses from the other: with an IOMMU domain for each device,
    /// each of their Hals has a number of its own. Memory of another domain is shared like memory of any other kind.
    fn domain(&self) -> u64 {
        0
    }

    /// Told of memory that is leaked on purpose, because the device has not confirmed that it stopped using it.
    fn leaked(&self, what: Leaked) {
        crate::log_warn!(
            "leaking {} pages at {}: the device did not confirm its reset",
            what.pages,
            what.device.get()
        );
    }

    /// The end of a borrowed blocking request whose device can neither be reset nor kept off the bus: returning would
    /// hand memory back that the device still writes. The default waits for ever.
    fn stuck(&self) -> ! {
        loop {
            core::hint::spin_loop();
        }
    }
}

// SAFETY: every promise is kept by the Hal referred to; a reference is one more "copy" of it.
unsafe impl<H: Hal + ?Sized> Hal for &H {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        (**self).dma_alloc(pages, direction)
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).dma_dealloc(memory, pages) }
    }
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        (**self).map_mmio(address, len, kind)
    }
    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).unmap_mmio(regs) }
    }
    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).share(buffer, direction) }
    }
    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).unshare(segment, buffer, direction, written) }
    }
    unsafe fn sync_to_device(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).sync_to_device(segment, buffer, offset, len) }
    }
    unsafe fn sync_to_cpu(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).sync_to_cpu(segment, buffer, offset, len) }
    }
    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        (**self).private_alloc(pages)
    }
    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { (**self).private_dealloc(memory, pages) }
    }
    fn keeps_private(&self) -> bool {
        (**self).keeps_private()
    }
    fn trust(&self) -> Trust {
        (**self).trust()
    }
    fn page_size(&self) -> usize {
        (**self).page_size()
    }
    fn translates(&self) -> bool {
        (**self).translates()
    }
    fn now(&self) -> Option<Duration> {
        (**self).now()
    }
    fn spin_budget(&self) -> Option<u64> {
        (**self).spin_budget()
    }
    fn relax(&self) {
        (**self).relax();
    }
    fn device_barrier(&self) {
        (**self).device_barrier();
    }
    fn domain(&self) -> u64 {
        (**self).domain()
    }
    fn leaked(&self, what: Leaked) {
        (**self).leaked(what);
    }
    fn stuck(&self) -> ! {
        (**self).stuck()
    }
}
