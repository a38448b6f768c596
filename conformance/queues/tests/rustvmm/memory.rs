//! Guest memory of rust-vmm's, and a Hal that hands out pages of it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceAddr, Direction, DmaMemory, Hal, HalError, MmioKind, PhysAddr};
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

const PAGE: usize = 4096;
/// Reserved; what is touched becomes memory.
const BYTES: usize = 1 << 29;
/// Page 0 is nobody's, so that an address that was never set is noticed.
const FIRST: u64 = 4096;

#[derive(Default)]
struct Pages {
    /// Bytes that were handed out at least once.
    fresh: u64,
    /// What came back, by length.
    free: BTreeMap<usize, Vec<u64>>,
    out: usize,
}

struct Shared {
    memory: GuestMemoryMmap,
    pages: Mutex<Pages>,
    start: Instant,
}

/// A Hal whose device addresses are guest addresses: those of the pages it hands out. Buffers are bounced through such
/// pages, as core does it by default.
#[derive(Clone)]
pub(crate) struct VmHal(Arc<Shared>);

impl VmHal {
    pub(crate) fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), BYTES)]).unwrap();
        Self(Arc::new(Shared { memory, pages: Mutex::default(), start: Instant::now() }))
    }

    pub(crate) fn memory(&self) -> &GuestMemoryMmap {
        &self.0.memory
    }

    /// Allocations that were not given back.
    pub(crate) fn outstanding(&self) -> usize {
        self.0.pages.lock().unwrap().out
    }
}

// SAFETY: pages are handed out to one at a time, and are part of a mapping that outlives every handle; the rest is core's
// own default. There are no registers to be mapped.
unsafe impl Hal for VmHal {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let mut all = self.0.pages.lock().unwrap();
        let address = match all.free.get_mut(&pages.get()).and_then(Vec::pop) {
            Some(address) => address,
            None => {
                let bytes = (pages.get() * PAGE) as u64;
                let address = FIRST + all.fresh;
                if address + bytes > BYTES as u64 {
                    return Err(HalError::OutOfMemory);
                }
                all.fresh += bytes;
                address
            }
        };
        all.out += 1;
        let host = self.0.memory.get_host_address(GuestAddress(address)).unwrap();
        Ok(DmaMemory { device: DeviceAddr::new(address), ptr: NonNull::new(host).unwrap() })
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        let mut all = self.0.pages.lock().unwrap();
        all.out -= 1;
        all.free.entry(pages.get()).or_default().push(memory.device.get());
    }

    fn map_mmio(&self, _: PhysAddr, _: usize, _: MmioKind) -> Result<NativeRegs, HalError> {
        Err(HalError::CannotMap)
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    fn now(&self) -> Option<Duration> {
        Some(self.0.start.elapsed())
    }
}
