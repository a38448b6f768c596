//! The crate `virtio-drivers` 0.13: `VirtQueue`, split only.
//!
//! It asks for the buffers again when a request is popped, so its user keeps them by token. Each `add` publishes by itself;
//! a batch is kicked once.

use std::mem::transmute;
use std::ptr::NonNull;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Error, Hal, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::bell::Bell;
use crate::device::Rings;
use crate::drive::{Driver, Sink};
use crate::memory;
use crate::pool::{REQUESTS, Request};
use crate::row::{QUEUE_SIZE, Row, Shape};

const SIZE: usize = QUEUE_SIZE as usize;

/// Identity: sharing costs nothing.
struct Identity;

// SAFETY: pages are fresh, zeroed, aligned and Stay; sharing is the identity.
unsafe impl Hal for Identity {
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
    #[inline(always)]
    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        memory::address(buffer)
    }
    #[inline(always)]
    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

/// Registers that remember where the rings are, and count.
struct Registers {
    rings: Rings,
    bell: Bell,
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
        u32::from(QUEUE_SIZE)
    }
    #[inline(always)]
    fn notify(&mut self, _queue: u16) {
        self.bell.ring();
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

struct Item<const R: usize, const W: usize> {
    inputs: [&'static [u8]; R],
    outputs: [&'static mut [u8]; W],
}

/// The contestant.
pub struct VirtioDrivers<const R: usize, const W: usize> {
    queue: VirtQueue<Identity, SIZE>,
    registers: Registers,
    items: Vec<Item<R, W>>,
    /// Which request a token stands for.
    cookies: Box<[usize; SIZE]>,
}

impl<const R: usize, const W: usize> VirtioDrivers<R, W> {
    /// A queue for these requests.
    pub fn new(requests: &[Request<R, W>], row: Row, bell: Bell) -> Self {
        let mut registers = Registers { rings: Rings { descriptor: 0, driver: 0, device: 0 }, bell };
        let indirect = row.shape == Shape::ThreeIndirect;
        let queue = VirtQueue::new(&mut registers, 0, indirect, row.event_idx).expect("a queue");
        let item = |request: &Request<R, W>| Item {
            // SAFETY: each buffer of the pool is sliced once, here.
            inputs: request.readable.map(|buffer| unsafe { &*buffer.slice() }),
            // SAFETY: as above.
            outputs: request.writable.map(|buffer| unsafe { buffer.slice() }),
        };
        let items: Vec<_> = requests.iter().map(item).collect();
        assert_eq!(items.len(), REQUESTS);
        Self { queue, registers, items, cookies: Box::new([0; SIZE]) }
    }
}

impl<const R: usize, const W: usize> Driver for VirtioDrivers<R, W> {
    fn rings(&self) -> Rings {
        self.registers.rings
    }

    #[inline(always)]
    fn submit(&mut self, from: usize, batch: usize) {
        // SAFETY: the harness stays within the pool.
        let items = unsafe { self.items.get_unchecked_mut(from..from + batch) };
        for (cookie, item) in (from..).zip(items) {
            // SAFETY: the buffers are left alone until the request is popped.
            let token = unsafe { self.queue.add(&item.inputs, &mut item.outputs) }.expect("room");
            self.cookies[usize::from(token)] = cookie;
        }
        if self.queue.should_notify() {
            self.registers.notify(0);
        }
    }

    #[inline(always)]
    fn complete(&mut self) -> Sink {
        let mut sink = Sink::default();
        while let Some(token) = self.queue.peek_used() {
            let cookie = self.cookies[usize::from(token)];
            let Item { inputs, outputs } = &mut self.items[cookie];
            // SAFETY: only shortens the lifetime, for this call, which keeps no reference.
            let outputs = unsafe { transmute::<&mut [&'static mut [u8]], &mut [&mut [u8]]>(outputs) };
            // SAFETY: the buffers that were added.
            let written = unsafe { self.queue.pop_used(token, inputs, outputs) }.expect("it is used");
            sink.take(cookie as u64, written);
        }
        sink
    }
}
