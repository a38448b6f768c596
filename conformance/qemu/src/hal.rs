//! The kernel's side of a driver, on the bench (a place of unsafe code).

use std::alloc::{self, Layout};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use virtio::regs::NativeRegs;
use virtio::{DeviceAddr, Direction, DmaMemory, Hal, HalError, Leaked, MmioKind, PhysAddr};

use crate::qtest::Qtest;
use crate::ram::{PAGE, Ram};

#[derive(Debug)]
struct Shared {
    ram: Mutex<Ram>,
    /// Pages of the driver's own, which QEMU cannot reach.
    private: AtomicUsize,
    leaked: AtomicUsize,
    start: Instant,
    qtest: Arc<Qtest>,
}

/// A Hal over a machine's memory. Buffers of the test process are bounced, as core does it by default; private pages lie in
/// the test process, where no device comes.
#[derive(Clone, Debug)]
pub struct BenchHal {
    shared: Arc<Shared>,
    translates: bool,
}

impl BenchHal {
    pub(crate) fn new(ram: Ram, qtest: Arc<Qtest>) -> Self {
        let shared = Shared {
            ram: Mutex::new(ram),
            private: AtomicUsize::new(0),
            leaked: AtomicUsize::new(0),
            start: Instant::now(),
            qtest,
        };
        Self { shared: Arc::new(shared), translates: false }
    }

    /// The same Hal, on a platform that says it translates addresses. (It does so by the identity.)
    #[must_use]
    pub fn translating(&self) -> Self {
        Self { translates: true, ..self.clone() }
    }

    fn ram(&self) -> MutexGuard<'_, Ram> {
        self.shared.ram.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pages that were not given back: of guest memory, and private ones.
    #[must_use]
    pub fn outstanding(&self) -> (usize, usize) {
        (self.ram().out(), self.shared.private.load(Ordering::Relaxed))
    }

    /// How often memory was leaked on purpose.
    #[must_use]
    pub fn leaks(&self) -> usize {
        self.shared.leaked.load(Ordering::Relaxed)
    }

    /// The physical address of word `number`, of those that devices send messages to.
    #[must_use]
    pub fn word_address(&self, number: u16) -> u64 {
        self.ram().word_address(number)
    }

    /// What stands there.
    #[must_use]
    pub fn word(&self, number: u16) -> u32 {
        self.ram().read_word(number)
    }

    /// Writes there.
    pub fn set_word(&self, number: u16, value: u32) {
        self.ram().write_word(number, value);
    }

    /// What was found wrong since the last time: see [`Ram`].
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.ram().faults()
    }
}

fn layout(pages: NonZeroUsize) -> Result<Layout, HalError> {
    let bytes = pages.get().checked_mul(PAGE).ok_or(HalError::OutOfMemory)?;
    Layout::from_size_align(bytes, PAGE).map_err(|_| HalError::OutOfMemory)
}

// SAFETY: `Ram` hands out pages of a lasting mapping, each to one at a time (File Mapped, Page Out Once); private pages are
// the process's own heap. Sharing is core's default. No registers are mapped. What gives memory back notes faults and does
// not unwind.
unsafe impl Hal for BenchHal {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let (address, ptr) = self.ram().take(pages.get()).ok_or(HalError::OutOfMemory)?;
        Ok(DmaMemory { device: DeviceAddr::new(address), ptr })
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        self.ram().give(memory.device.get(), pages.get());
    }

    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        // SAFETY: the layout is not empty.
        let pointer = unsafe { alloc::alloc(layout(pages)?) };
        let ptr = NonNull::new(pointer).ok_or(HalError::OutOfMemory)?;
        self.shared.private.fetch_add(pages.get(), Ordering::Relaxed);
        Ok(DmaMemory { device: DeviceAddr::new(0), ptr })
    }

    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        if let Ok(layout) = layout(pages) {
            self.shared.private.fetch_sub(pages.get(), Ordering::Relaxed);
            // SAFETY: the caller promises that this came from `private_alloc` for as many pages, so of this layout.
            unsafe { alloc::dealloc(memory.ptr.as_ptr(), layout) };
        }
    }

    fn keeps_private(&self) -> bool {
        true
    }

    /// Registers are not memory here: transports get `QtestRegs`.
    fn map_mmio(&self, _: PhysAddr, _: usize, _: MmioKind) -> Result<NativeRegs, HalError> {
        Err(HalError::CannotMap)
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    fn translates(&self) -> bool {
        self.translates
    }

    /// Time flies once QEMU is gone: nothing is worth waiting for any more.
    fn now(&self) -> Option<Duration> {
        let hurry = if self.shared.qtest.is_broken() { 1000 } else { 1 };
        Some(self.shared.start.elapsed() * hurry)
    }

    fn relax(&self) {
        std::thread::yield_now();
    }

    fn leaked(&self, _what: Leaked) {
        self.shared.leaked.fetch_add(1, Ordering::Relaxed);
    }
}
