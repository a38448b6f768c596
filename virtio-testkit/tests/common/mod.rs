//! Rings written by hand: raw memory plays the driver.

use core::num::NonZeroUsize;

use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, Direction, DmaMemory, Features, Hal};
use virtio_testkit::{DeviceMemory, TestHal};

pub(crate) const PAGES: NonZeroUsize = NonZeroUsize::new(4).unwrap();
pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;
/// AVAIL of a packed descriptor.
pub(crate) const AVAIL: u16 = 0x80;
/// USED of a packed descriptor.
pub(crate) const USED: u16 = 0x8000;

pub(crate) const PLAIN: Features = Features::VERSION_1.union(Features::INDIRECT_DESC);
pub(crate) const PACKED: Features = PLAIN.union(Features::RING_PACKED);

/// Four zeroed pages: descriptors, driver area, device area, data. Everything is written through the device's eyes, which
/// may write all of it here.
pub(crate) struct Pages {
    pub(crate) hal: TestHal,
    pub(crate) memory: DeviceMemory,
    pub(crate) dma: DmaMemory,
}

impl Pages {
    pub(crate) fn new(hal: &TestHal) -> Self {
        let dma = hal.dma_alloc(PAGES, Direction::Both).unwrap();
        let memory = hal.memory();
        memory.write(dma.device, &[0; 16384]).unwrap();
        Self { hal: hal.clone(), memory, dma }
    }

    pub(crate) fn at(&self, page: usize, offset: usize) -> DeviceAddr {
        self.dma.device.checked_add(page * 4096 + offset).unwrap()
    }

    pub(crate) fn data(&self, offset: usize) -> DeviceAddr {
        self.at(3, offset)
    }

    pub(crate) fn rings(&self, size: u16, features: Features) -> Rings {
        let notification_data = features.contains(Features::NOTIFICATION_DATA);
        let [descriptor, driver, device] = [0, 1, 2].map(|page| self.at(page, 0));
        Rings { size, descriptor, driver, device, notification_data, notif_config_data: false }
    }

    pub(crate) fn read(&self, place: DeviceAddr, len: usize) -> Vec<u8> {
        self.memory.read_vec(place, len).unwrap()
    }

    pub(crate) fn read16(&self, place: DeviceAddr) -> u16 {
        u16::from_le(self.memory.load16(place).unwrap())
    }

    pub(crate) fn write16(&self, place: DeviceAddr, value: u16) {
        self.memory.store16(place, value.to_le()).unwrap();
    }

    /// A descriptor of either format: the last two fields are `flags` and `next`, or `id` and `flags`.
    pub(crate) fn descriptor(&self, place: DeviceAddr, address: DeviceAddr, len: u32, tail: [u16; 2]) {
        let mut raw = Vec::new();
        raw.extend(address.get().to_le_bytes());
        raw.extend(len.to_le_bytes());
        tail.iter().for_each(|field| raw.extend(field.to_le_bytes()));
        self.memory.write(place, &raw).unwrap();
    }

    /// Makes the packed descriptor in a slot available, in a lap with this wrap counter.
    pub(crate) fn offer_packed(&self, slot: u16, wrap: bool, len: u32, id: u16, flags: u16) {
        let bits = if wrap { AVAIL } else { USED };
        self.descriptor(self.at(0, 16 * usize::from(slot)), self.data(0), len, [id, flags | bits]);
    }

    /// Makes the split descriptor `head` available as a chain of its own, as the `index`-th in a ring of `size`.
    pub(crate) fn offer_split(&self, index: u16, size: u16, head: u16, len: u32, flags: u16) {
        self.descriptor(self.at(0, 16 * usize::from(head)), self.data(0), len, [flags, 0]);
        self.publish_split(index, size, head);
    }

    /// Puts a chain into the available ring, as the `index`-th.
    pub(crate) fn publish_split(&self, index: u16, size: u16, head: u16) {
        self.write16(self.at(1, 4 + 2 * usize::from(index % size)), head);
        self.write16(self.at(1, 2), index.wrapping_add(1));
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, used by nobody any more.
        unsafe { self.hal.dma_dealloc(self.dma, PAGES) };
    }
}
