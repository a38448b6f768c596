//! A Hal whose barriers can be watched, and used: with `ORDER_PLATFORM` every barrier of a queue is a call.

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use virtio_core::regs::NativeRegs;
use virtio_core::{Direction, DmaMemory, Hal, HalError, Leaked, MmioKind, PhysAddr, Segment};
use virtio_testkit::TestHal;

type Hook = Box<dyn FnMut() + Send>;

/// The test kit's Hal, with a hook for barriers.
#[derive(Clone)]
pub(crate) struct Watched {
    hal: TestHal,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Watched {
    pub(crate) fn new(hal: &TestHal) -> Self {
        Self { hal: hal.clone(), hook: Arc::default() }
    }

    /// Calls `hook` at every barrier from now on.
    pub(crate) fn at_barriers(&self, hook: impl FnMut() + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn leave(&self) {
        *self.hook.lock().unwrap() = None;
    }
}

// SAFETY: everything is the test kit's, which keeps the promises; a barrier is one even if something happens in it.
unsafe impl Hal for Watched {
    fn device_barrier(&self) {
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
        if let Some(hook) = &mut *self.hook.lock().unwrap() {
            hook();
        }
        core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    }

    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        self.hal.dma_alloc(pages, direction)
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promise.
        unsafe { self.hal.dma_dealloc(memory, pages) }
    }
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.hal.map_mmio(address, len, kind)
    }
    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        // SAFETY: the caller's promise.
        unsafe { self.hal.unmap_mmio(regs) }
    }
    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        // SAFETY: the caller's promise.
        unsafe { self.hal.share(buffer, direction) }
    }
    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.hal.unshare(segment, buffer, direction, written) }
    }
    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        self.hal.private_alloc(pages)
    }
    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promise.
        unsafe { self.hal.private_dealloc(memory, pages) }
    }
    fn page_size(&self) -> usize {
        self.hal.page_size()
    }
    fn now(&self) -> Option<Duration> {
        self.hal.now()
    }
    fn relax(&self) {
        self.hal.relax();
    }
    fn domain(&self) -> u64 {
        self.hal.domain()
    }
    fn leaked(&self, what: Leaked) {
        self.hal.leaked(what);
    }
    fn stuck(&self) -> ! {
        self.hal.stuck()
    }
}
