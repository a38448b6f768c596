//! The platform: the test kit's memory, and a device barrier that may be missing.

use core::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use virtio_core::hal::{DmaMemory, MmioKind};
use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceAddr, Direction, Hal, HalError, PhysAddr};
use virtio_testkit::{Pinned, TestHal};

/// What the platform's device barrier does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Barrier {
    Whole,
    Missing,
}

#[derive(Clone)]
pub(crate) struct RaceHal {
    kit: TestHal,
    barrier: Barrier,
    blocks: Arc<Mutex<Vec<(DeviceAddr, usize)>>>,
}

impl RaceHal {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self { kit: TestHal::new(), barrier, blocks: Arc::default() }
    }

    /// All DMA memory so far, for the device: without a lock, which would be a barrier.
    pub(crate) fn pins(&self) -> Vec<Pinned> {
        let blocks = self.blocks.lock().unwrap();
        let pin = |(address, len): &(DeviceAddr, usize)| {
            // SAFETY: `device` keeps to the protocol of the ring, and its thread ends before the driver is dropped.
            unsafe { self.kit.memory().pin(*address, *len) }.unwrap()
        };
        blocks.iter().map(pin).collect()
    }
}

// SAFETY: the test kit keeps all promises; no device needs the barrier for memory safety.
unsafe impl Hal for RaceHal {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        // What is pinned for a device has to be readable for it, a used ring too.
        let direction = if direction.device_reads() { direction } else { Direction::Both };
        let memory = self.kit.dma_alloc(pages, direction)?;
        self.blocks.lock().unwrap().push((memory.device, pages.get() * self.page_size()));
        Ok(memory)
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.kit.dma_dealloc(memory, pages) }
    }

    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        self.kit.private_alloc(pages)
    }

    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.kit.private_dealloc(memory, pages) }
    }

    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.kit.map_mmio(address, len, kind)
    }

    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { self.kit.unmap_mmio(regs) }
    }

    fn spin_budget(&self) -> Option<u64> {
        Some(1000)
    }

    fn device_barrier(&self) {
        if self.barrier == Barrier::Whole {
            self.kit.device_barrier();
        }
    }
}
