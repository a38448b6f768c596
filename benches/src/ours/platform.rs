//! What a kernel and a transport give `virtio-core`, at no cost of their own.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use virtio_core::device::{Init, Wanted};
use virtio_core::dma::Lend;
use virtio_core::queue::{Port, QueueSpec};
use virtio_core::regs::NativeRegs;
use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, TransportInfo};
use virtio_core::{
    DeviceAddr, DeviceId, Direction, DmaMemory, Error, Features, Hal, HalError, Incompatible, MmioKind,
    PhysAddr, QueueIndex, Segment, Status, Transport,
};

use crate::bell::Bell;
use crate::device::Rings;
use crate::memory;
use crate::row::{QUEUE_SIZE, Ring, Row, Shape};

/// A kernel with an identity map, on a coherent machine.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

// SAFETY: pages are fresh, aligned, coherent and Stay; a segment is the buffer itself; there are no registers to map.
// Values go to this harness only.
unsafe impl Hal for Kernel {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let ptr = memory::pages(pages.get() * memory::PAGE);
        Ok(DmaMemory { device: DeviceAddr::new(memory::address(ptr)), ptr })
    }

    unsafe fn dma_dealloc(&self, _memory: DmaMemory, _pages: NonZeroUsize) {}

    fn map_mmio(&self, _address: PhysAddr, _len: usize, _kind: MmioKind) -> Result<NativeRegs, HalError> {
        Err(HalError::CannotMap)
    }

    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}

    #[inline(always)]
    unsafe fn share(&self, buffer: NonNull<[u8]>, _direction: Direction) -> Result<Segment, HalError> {
        Ok(Segment::direct(DeviceAddr::new(memory::address(buffer)), buffer.len()))
    }

    fn spin_budget(&self) -> Option<u64> {
        Some(1000)
    }
}

/// Registers that remember.
#[derive(Debug)]
pub struct Registers {
    status: Status,
    offered: Features,
    rings: &'static Cell<Option<Rings>>,
    bell: Bell,
}

impl Transport for Registers {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "bench", version: "modern" }
    }
    fn device_id(&self) -> DeviceId {
        DeviceId::ENTROPY
    }
    fn status(&self) -> Status {
        self.status
    }
    fn set_status(&mut self, status: Status) {
        self.status = status;
    }
    fn device_features(&mut self, window: u32) -> u32 {
        self.offered.window(window)
    }
    fn set_driver_features(&mut self, window: u32, bits: u32) {
        // All that is offered is to be measured.
        assert_eq!(bits, self.offered.window(window), "features accepted");
    }
    fn queue_max_size(&mut self, _queue: QueueIndex) -> u16 {
        QUEUE_SIZE
    }
    fn enable_queue(
        &mut self,
        _queue: QueueIndex,
        rings: &virtio_core::transport::Rings,
    ) -> Result<Doorbell, Error> {
        self.rings.set(Some(Rings {
            descriptor: rings.descriptor.get(),
            driver: rings.driver.get(),
            device: rings.device.get(),
        }));
        Ok(Doorbell { offset: 0, value: 0, width: DoorbellWidth::Bits16 })
    }
    #[inline(always)]
    fn notify(&self, _doorbell: Doorbell) {
        self.bell.ring();
    }
    fn ack_interrupt(&self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn config_generation(&self) -> u32 {
        0
    }
    fn config_len(&self) -> usize {
        0
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        Err(Incompatible::ConfigTooSmall { offset, len: bytes.len() }.into())
    }
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        Err(Incompatible::ConfigTooSmall { offset, len: bytes.len() }.into())
    }
}

/// A live device's queue, lent for good, and where its rings are.
pub struct Found<P: 'static> {
    /// The queue.
    pub port: Port<'static, P, Registers, Kernel>,
    /// Its rings.
    pub rings: Rings,
}

impl<P: Lend> Found<P> {
    /// Brings a device up that offers what `row` is about, and takes its queue. `declare` adds to the declaration.
    pub fn new(row: Row, bell: Bell, declare: impl FnOnce(QueueSpec) -> QueueSpec) -> Self {
        let indirect = row.shape == Shape::ThreeIndirect;
        let mut offered = Features::VERSION_1;
        offered.set(Features::RING_PACKED, row.ring == Ring::Packed);
        offered.set(Features::INDIRECT_DESC, indirect);
        offered.set(Features::EVENT_IDX, row.event_idx);
        let rings = Box::leak(Box::<Cell<Option<Rings>>>::default());
        let registers = Registers { status: Status::empty(), offered, rings, bell };
        let spec = declare(QueueSpec::new::<P>(0, QUEUE_SIZE));
        let spec = if indirect { spec.indirect(3) } else { spec };
        let device = Init::start(registers, Kernel, DeviceId::ENTROPY)
            .and_then(|init| init.negotiate(&Wanted::default()))
            .and_then(|init| init.queues(&[spec]))
            .and_then(|init| init.live())
            .expect("a device that does as it is told");
        let port = Box::leak(Box::new(device)).port(0).expect("the queue that was declared");
        assert_eq!(port.size(), QUEUE_SIZE);
        Self { port, rings: rings.get().expect("the rings were named") }
    }
}
