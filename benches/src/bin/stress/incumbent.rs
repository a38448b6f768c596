//! The crate `virtio-drivers` 0.13: `VirtQueue`, without `EVENT_IDX`.
//!
//! It has no call that asks for an interrupt and looks once more. A user of it writes what stands here: one call, then the
//! other.

use std::ptr::NonNull;
use std::sync::Arc;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Error, Hal, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::device::{Rings, SIZE};
use crate::memory;
use crate::race::{self, Direction, Driver, Wire};
use crate::split::SplitDevice;

/// Memory that Stays.
struct Platform;

// SAFETY: pages are fresh, zeroed, aligned and Stay; sharing is the identity.
unsafe impl Hal for Platform {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let memory = memory::pages(pages * memory::PAGE);
        (memory::address(memory), memory)
    }
    unsafe fn dma_dealloc(_paddr: PhysAddr, _vaddr: NonNull<u8>, _pages: usize) -> i32 {
        0
    }
    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, _size: usize) -> NonNull<u8> {
        memory::pointer(paddr)
    }
    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        memory::address(buffer)
    }
    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// Registers that remember where the rings are.
struct Registers {
    wire: Arc<Wire>,
    rings: Rings,
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        DeviceType::EntropySource
    }
    fn read_device_features(&mut self) -> u64 {
        0
    }
    fn write_driver_features(&mut self, _features: u64) {}
    fn max_queue_size(&mut self, _queue: u16) -> u32 {
        u32::from(SIZE)
    }
    fn notify(&mut self, _queue: u16) {
        self.wire.bell.send();
    }
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::empty()
    }
    fn set_status(&mut self, _status: DeviceStatus) {}
    fn set_guest_page_size(&mut self, _size: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(
        &mut self,
        _queue: u16,
        _size: u32,
        descriptor: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        self.rings = Rings { descriptor, driver, device };
    }
    fn queue_unset(&mut self, _queue: u16) {}
    fn queue_used(&mut self, _queue: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, _offset: usize) -> Result<T, Error> {
        Err(Error::ConfigSpaceMissing)
    }
    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: T,
    ) -> Result<(), Error> {
        Err(Error::ConfigSpaceMissing)
    }
}

/// What every request reads.
static BYTE: [u8; 1] = [1];

struct Queue {
    queue: VirtQueue<Platform, { SIZE as usize }>,
    registers: Registers,
}

impl Driver for Queue {
    fn submit(&mut self) {
        // SAFETY: the buffer is static.
        unsafe { self.queue.add(&[&BYTE], &mut []) }.expect("room");
        if self.queue.should_notify() {
            self.registers.notify(0);
        }
    }
    fn take(&mut self) -> bool {
        let Some(token) = self.queue.peek_used() else { return false };
        // SAFETY: the buffer that was added.
        unsafe { self.queue.pop_used(token, &[&BYTE], &mut []) }.expect("it is used");
        true
    }
    fn enable_interrupts(&mut self) -> bool {
        self.queue.set_dev_notify(true);
        self.queue.can_pop()
    }
    fn disable_interrupts(&mut self) {
        self.queue.set_dev_notify(false);
    }
}

/// See [`race::run`].
pub fn run(direction: Direction, requests: u64) -> u64 {
    let wire = Arc::<Wire>::default();
    let mut registers = Registers { wire: Arc::clone(&wire), rings: Rings::default() };
    let queue = VirtQueue::new(&mut registers, 0, false, false).expect("a queue");
    let device = SplitDevice::new(registers.rings, false);
    race::run(direction, requests, &mut Queue { queue, registers }, device, &wire)
}
