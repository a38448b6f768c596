//! The device's side of a split virtqueue (VIRTIO 1.4 §2.7), written independently of the driver's.

use virtio_core::DeviceAddr;
use virtio_core::transport::Rings;

use crate::hal::DeviceMemory;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const NO_INTERRUPT: u16 = 1;
const NO_NOTIFY: u16 = 1;

/// One buffer of a chain, as its descriptor says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// Where the device sees it.
    pub address: DeviceAddr,
    /// Its length in bytes.
    pub len: u32,
    /// Whether the device may write it; otherwise it may read it.
    pub writable: bool,
}

/// A chain that a driver made available.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Its first descriptor: what the used element has to name.
    pub head: u16,
    /// Its buffers, in order.
    pub buffers: Vec<Buffer>,
}

impl Chain {
    /// All bytes that the device may read, in order.
    ///
    /// # Errors
    /// Why it may not, after all.
    pub fn readable(&self, memory: &DeviceMemory) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for buffer in self.buffers.iter().filter(|buffer| !buffer.writable) {
            bytes.extend(memory.read_vec(buffer.address, length(buffer.len))?);
        }
        Ok(bytes)
    }

    /// How many bytes the device may write.
    #[must_use]
    pub fn writable(&self) -> usize {
        self.buffers.iter().filter(|buffer| buffer.writable).map(|buffer| length(buffer.len)).sum()
    }

    /// Writes the start of the writable part, as much as fits; answers how much that was.
    ///
    /// # Errors
    /// Why it may not, after all.
    pub fn write(&self, memory: &DeviceMemory, bytes: &[u8]) -> Result<usize, String> {
        let mut rest = bytes;
        for buffer in self.buffers.iter().filter(|buffer| buffer.writable) {
            let (now, later) = rest.split_at(rest.len().min(length(buffer.len)));
            memory.write(buffer.address, now)?;
            rest = later;
        }
        Ok(bytes.len() - rest.len())
    }
}

fn length(len: u32) -> usize {
    usize::try_from(len).expect("a host has at least 32 bits")
}

/// The device's side of one split virtqueue.
///
/// It keeps its own indices and reads nothing back that it wrote itself. Everything the driver writes is checked; an `Err`
/// says what the driver did wrong.
#[derive(Clone, Debug)]
pub struct DeviceQueue {
    rings: Rings,
    /// A legacy queue is in the guest's byte order (VIRTIO 1.4 §2.7.3); any other is little-endian.
    native: bool,
    event_idx: bool,
    taken: u16,
    used: u16,
}

impl DeviceQueue {
    /// Takes over rings as a driver described them.
    ///
    /// # Errors
    /// If they are not aligned (VIRTIO 1.4 §2.7), or no legacy block (VIRTIO 1.4 §2.7.2), or of no possible size.
    pub fn new(rings: Rings, legacy: bool, event_idx: bool) -> Result<Self, String> {
        let n = u64::from(rings.size);
        if !rings.size.is_power_of_two() || rings.size > 32768 {
            return Err(format!("a split queue cannot have {n} entries"));
        }
        let aligned = rings.descriptor.is_aligned_to(16)
            && rings.driver.is_aligned_to(2)
            && rings.device.is_aligned_to(4);
        if !aligned {
            return Err(format!("rings are not aligned: {rings:?}"));
        }
        if legacy {
            let driver = rings.descriptor.get() + 16 * n;
            let device = (driver + 6 + 2 * n).next_multiple_of(4096);
            if !rings.descriptor.is_aligned_to(4096)
                || rings.driver.get() != driver
                || rings.device.get() != device
            {
                return Err(format!("rings are no legacy block: {rings:?}"));
            }
        }
        Ok(Self { rings, native: legacy, event_idx, taken: 0, used: 0 })
    }

    /// Where the rings are.
    #[must_use]
    pub fn rings(&self) -> Rings {
        self.rings
    }

    /// How many chains were taken, modulo 2¹⁶.
    #[must_use]
    pub fn taken(&self) -> u16 {
        self.taken
    }

    /// `used.idx`: how many were used, modulo 2¹⁶.
    #[must_use]
    pub fn used(&self) -> u16 {
        self.used
    }

    fn order16(&self, value: u16) -> u16 {
        if self.native { value } else { value.to_le() }
    }

    fn order32(&self, value: u32) -> u32 {
        if self.native { value } else { value.to_le() }
    }

    fn order64(&self, value: u64) -> u64 {
        if self.native { value } else { value.to_le() }
    }

    fn at(base: DeviceAddr, bytes: u64) -> DeviceAddr {
        DeviceAddr::new(base.get().wrapping_add(bytes))
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index % self.rings.size)
    }

    /// How many chains wait.
    ///
    /// # Errors
    /// If the ring cannot be read, or the index ran ahead by more than the queue holds.
    pub fn waiting(&self, memory: &DeviceMemory) -> Result<u16, String> {
        let index = self.order16(memory.load16(Self::at(self.rings.driver, 2))?);
        let waiting = index.wrapping_sub(self.taken);
        if waiting > self.rings.size {
            return Err(format!("avail.idx is {index}, {waiting} ahead of a queue of {}", self.rings.size));
        }
        Ok(waiting)
    }

    /// Takes the next available chain.
    ///
    /// # Errors
    /// If the driver's rings or descriptors are not in order.
    pub fn pop(&mut self, memory: &DeviceMemory) -> Result<Option<Chain>, String> {
        if self.waiting(memory)? == 0 {
            return Ok(None);
        }
        let entry = Self::at(self.rings.driver, 4 + 2 * self.slot(self.taken));
        let head = self.order16(memory.load16(entry)?);
        let chain = self.chain(memory, head)?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(chain))
    }

    fn descriptor(&self, memory: &DeviceMemory, table: DeviceAddr, index: u16) -> Result<Descriptor, String> {
        let mut raw = [0; 16];
        memory.read(Self::at(table, 16 * u64::from(index)), &mut raw)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = raw;
        Ok(Descriptor {
            address: DeviceAddr::new(self.order64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))),
            len: self.order32(u32::from_ne_bytes([i, j, k, l])),
            flags: self.order16(u16::from_ne_bytes([m, n])),
            next: self.order16(u16::from_ne_bytes([o, p])),
        })
    }

    fn chain(&self, memory: &DeviceMemory, head: u16) -> Result<Chain, String> {
        let mut buffers: Vec<Buffer> = Vec::new();
        let (mut table, mut limit, mut at) = (self.rings.descriptor, self.rings.size, head);
        let mut indirect = false;
        loop {
            if at >= limit {
                return Err(format!("descriptor {at} of {limit} is named in the chain of {head}"));
            }
            if buffers.len() >= usize::from(limit) {
                return Err(format!("the chain of {head} has no end"));
            }
            let descriptor = self.descriptor(memory, table, at)?;
            if descriptor.flags & INDIRECT != 0 {
                let entries =
                    u16::try_from(descriptor.len / 16).map_err(|_| "an indirect table is too long")?;
                if indirect || descriptor.flags & NEXT != 0 || descriptor.len % 16 != 0 || entries == 0 {
                    return Err(format!("the chain of {head} has a bad indirect table"));
                }
                (table, limit, at, indirect) = (descriptor.address, entries, 0, true);
                continue;
            }
            let writable = descriptor.flags & WRITE != 0;
            if descriptor.len == 0 {
                return Err(format!("the chain of {head} has an empty buffer"));
            }
            if !writable && buffers.last().is_some_and(|before| before.writable) {
                return Err(format!("the chain of {head} has a readable buffer behind a writable one"));
            }
            buffers.push(Buffer { address: descriptor.address, len: descriptor.len, writable });
            if descriptor.flags & NEXT == 0 {
                return Ok(Chain { head, buffers });
            }
            at = descriptor.next;
        }
    }

    /// Writes a used element, whatever it says, and moves the index over it.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push(&mut self, memory: &DeviceMemory, id: u32, len: u32) -> Result<(), String> {
        let element = Self::at(self.rings.device, 4 + 8 * self.slot(self.used));
        memory.write(element, &self.order32(id).to_ne_bytes())?;
        memory.write(Self::at(element, 4), &self.order32(len).to_ne_bytes())?;
        self.used = self.used.wrapping_add(1);
        self.write_used_index(memory, self.used)
    }

    /// Writes `used.idx`, whatever it says. The queue's own idea of it stays.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn write_used_index(&self, memory: &DeviceMemory, index: u16) -> Result<(), String> {
        memory.store16(Self::at(self.rings.device, 2), self.order16(index))
    }

    /// Asks for no notifications, or for some again, where `EVENT_IDX` was not negotiated (VIRTIO 1.4 §2.7.10).
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn suppress_notifications(&self, memory: &DeviceMemory, suppress: bool) -> Result<(), String> {
        let flags = if suppress { NO_NOTIFY } else { 0 };
        memory.store16(self.rings.device, self.order16(flags))
    }

    /// Writes `avail_event`: notify when the chain with this index is made available (VIRTIO 1.4 §2.7.10).
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn set_avail_event(&self, memory: &DeviceMemory, index: u16) -> Result<(), String> {
        let place = Self::at(self.rings.device, 4 + 8 * u64::from(self.rings.size));
        memory.store16(place, self.order16(index))
    }

    /// `used_event`: where the driver wants to be interrupted (VIRTIO 1.4 §2.7.7).
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn used_event(&self, memory: &DeviceMemory) -> Result<u16, String> {
        let place = Self::at(self.rings.driver, 4 + 2 * u64::from(self.rings.size));
        Ok(self.order16(memory.load16(place)?))
    }

    /// Whether the driver wants an interrupt for what was used since `before`.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn wants_interrupt(&self, memory: &DeviceMemory, before: u16) -> Result<bool, String> {
        if before == self.used {
            return Ok(false);
        }
        if self.event_idx {
            // Due if the event is among the elements just written.
            let event = self.used_event(memory)?;
            Ok(event.wrapping_sub(before) < self.used.wrapping_sub(before))
        } else {
            Ok(self.order16(memory.load16(self.rings.driver)?) & NO_INTERRUPT == 0)
        }
    }

    /// Whether `EVENT_IDX` is in force.
    #[must_use]
    pub fn event_idx(&self) -> bool {
        self.event_idx
    }

    /// Writes rubbish over the descriptor table, for devices that do.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn overwrite_descriptors(&self, memory: &DeviceMemory, byte: u8) -> Result<(), String> {
        let len = 16 * usize::from(self.rings.size);
        memory.write(self.rings.descriptor, &vec![byte; len])
    }
}

struct Descriptor {
    address: DeviceAddr,
    len: u32,
    flags: u16,
    next: u16,
}
