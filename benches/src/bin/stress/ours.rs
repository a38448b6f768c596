//! `virtio-core`: a [`Port`] of a live device.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::hal::{DmaMemory, MmioKind};
use virtio_core::queue::{Port, QueueSpec, Request};
use virtio_core::regs::NativeRegs;
use virtio_core::transport::{self, Doorbell, DoorbellWidth, InterruptStatus, TransportInfo};
use virtio_core::{DeviceAddr, DeviceId, Direction, Error, Features, Hal, HalError, PhysAddr};
use virtio_core::{QueueIndex, Status, Transport};

use crate::device::{Rings, SIZE};
use crate::memory;
use crate::packed::PackedDevice;
use crate::race::{self, Driver, Wire};
use crate::split::SplitDevice;

/// Memory that Stays. Without its barrier, and with `ORDER_PLATFORM`, there is no full barrier anywhere in the driver.
#[derive(Clone, Copy)]
struct Platform<const BARRIER: bool>;

// SAFETY: pages are fresh, zeroed, aligned and Stay; no register is ever mapped; nothing unwinds.
unsafe impl<const BARRIER: bool> Hal for Platform<BARRIER> {
    fn dma_alloc(&self, pages: NonZeroUsize, _direction: Direction) -> Result<DmaMemory, HalError> {
        let ptr = memory::pages(pages.get() * memory::PAGE);
        Ok(DmaMemory { device: DeviceAddr::new(memory::address(ptr)), ptr })
    }
    unsafe fn dma_dealloc(&self, _memory: DmaMemory, _pages: NonZeroUsize) {}
    fn map_mmio(&self, _address: PhysAddr, _len: usize, _kind: MmioKind) -> Result<NativeRegs, HalError> {
        Err(HalError::CannotMap)
    }
    unsafe fn unmap_mmio(&self, _regs: NativeRegs) {}
    fn spin_budget(&self) -> Option<u64> {
        Some(1000)
    }
    fn device_barrier(&self) {
        if BARRIER {
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        }
    }
}

/// Registers that remember where the rings are.
struct Registers {
    wire: Arc<Wire>,
    rings: Arc<Mutex<Rings>>,
    offered: Features,
    status: Status,
}

impl Transport for Registers {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "stress", version: "modern" }
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
        assert_eq!(bits, self.offered.window(window), "a feature under test was refused");
    }
    fn queue_max_size(&mut self, _queue: QueueIndex) -> u16 {
        SIZE
    }
    fn enable_queue(&mut self, _queue: QueueIndex, rings: &transport::Rings) -> Result<Doorbell, Error> {
        assert_eq!(rings.size, SIZE);
        let [descriptor, driver, device] =
            [rings.descriptor, rings.driver, rings.device].map(DeviceAddr::get);
        *self.rings.lock().expect("nobody panics with it") = Rings { descriptor, driver, device };
        Ok(Doorbell { offset: 0, value: 0, width: DoorbellWidth::Bits32 })
    }
    fn notify(&self, _doorbell: Doorbell) {
        self.wire.bell.send();
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
    fn read_config(&self, _offset: usize, _bytes: &mut [u8]) -> Result<(), Error> {
        Err(Error::Down)
    }
    fn write_config(&mut self, _offset: usize, _bytes: &[u8]) -> Result<(), Error> {
        Err(Error::Down)
    }
}

impl<const BARRIER: bool> Driver for Port<'_, (), Registers, Platform<BARRIER>> {
    fn submit(&mut self) {
        Port::submit(self, Request::new(()).header(&[1])).expect("room");
    }
    fn take(&mut self) -> bool {
        self.poll().expect("a device that is right").is_some()
    }
    fn enable_interrupts(&mut self) -> bool {
        Port::enable_interrupts(self)
    }
    fn disable_interrupts(&mut self) {
        Port::disable_interrupts(self);
    }
}

/// See [`race::run`].
pub fn run<const PACKED: bool, const EVENT_IDX: bool, const BARRIER: bool>(
    direction: race::Direction,
    requests: u64,
) -> u64 {
    let mut offered = Features::VERSION_1;
    offered.set(Features::RING_PACKED, PACKED);
    offered.set(Features::EVENT_IDX, EVENT_IDX);
    offered.set(Features::ORDER_PLATFORM, !BARRIER);
    let (wire, rings) = (Arc::<Wire>::default(), Arc::<Mutex<Rings>>::default());
    let transport =
        Registers { wire: Arc::clone(&wire), rings: Arc::clone(&rings), offered, status: Status::empty() };
    let mut device = up::<BARRIER>(transport).expect("a device");
    let mut port = device.port::<()>(0).expect("a queue");
    let rings = *rings.lock().expect("nobody panics with it");
    if PACKED {
        race::run(direction, requests, &mut port, PackedDevice::new(rings, EVENT_IDX), &wire)
    } else {
        race::run(direction, requests, &mut port, SplitDevice::new(rings, EVENT_IDX), &wire)
    }
}

fn up<const BARRIER: bool>(transport: Registers) -> Result<Device<Registers, Platform<BARRIER>>, Error> {
    let init = Init::start(transport, Platform, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
    init.queues(&[QueueSpec::new::<()>(0, SIZE).header(1)])?.live()
}
