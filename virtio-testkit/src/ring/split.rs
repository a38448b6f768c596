//! The device's side of a split virtqueue (VIRTIO 1.4 §2.7), written independently of the driver's.

use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, Features};

use super::chain::{Buffer, Buffers, Chain, at};
use super::links::Links;
use crate::guest::GuestMemory;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const NO_INTERRUPT: u16 = 1;
const NO_NOTIFY: u16 = 1;

/// The device's side of one split virtqueue.
///
/// It keeps its own indices and reads nothing back that it wrote itself. Everything the driver writes is checked; an `Err`
/// says what the driver did wrong.
#[derive(Clone, Debug)]
pub struct SplitDeviceSide {
    rings: Rings,
    /// A legacy queue is in the guest's byte order (VIRTIO 1.4 §2.7.3); any other is little-endian.
    native: bool,
    features: Features,
    taken: u16,
    used: u16,
    in_flight: Links,
    /// With `IN_ORDER`: where the next chain has to start.
    due: u16,
}

struct Descriptor {
    address: DeviceAddr,
    len: u32,
    flags: u16,
    next: u16,
}

impl SplitDeviceSide {
    /// Takes over rings as a driver described them, with the features it has accepted.
    ///
    /// # Errors
    /// If they are not aligned (VIRTIO 1.4 §2.7), or no legacy block (VIRTIO 1.4 §2.7.2), or of no possible size.
    pub fn new(rings: Rings, features: Features, legacy: bool) -> Result<Self, String> {
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
        let in_flight = Links::new(rings.size);
        Ok(Self { rings, native: legacy, features, taken: 0, used: 0, in_flight, due: 0 })
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

    /// Whether `EVENT_IDX` is in force.
    #[must_use]
    pub fn event_idx(&self) -> bool {
        self.features.contains(Features::EVENT_IDX)
    }

    fn in_order(&self) -> bool {
        self.features.contains(Features::IN_ORDER)
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

    fn load<M: GuestMemory + ?Sized>(&self, memory: &M, place: DeviceAddr) -> Result<u16, String> {
        Ok(self.order16(memory.load16(place)?))
    }

    fn store<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        place: DeviceAddr,
        value: u16,
    ) -> Result<(), String> {
        memory.store16(place, self.order16(value))
    }

    fn slot(&self, index: u16) -> u64 {
        u64::from(index % self.rings.size)
    }

    fn after(&self, index: u16) -> u16 {
        (index + 1) % self.rings.size
    }

    /// `avail.idx`: how many chains the driver has published, modulo 2¹⁶. With `NOTIFICATION_DATA`, a notification carries
    /// it.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn published<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        self.load(memory, at(self.rings.driver, 2))
    }

    /// How many chains wait.
    ///
    /// # Errors
    /// If the ring cannot be read, or the index ran ahead by more than the queue holds.
    pub fn waiting<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        let index = self.published(memory)?;
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
    pub fn pop<M: GuestMemory + ?Sized>(&mut self, memory: &M) -> Result<Option<Chain>, String> {
        if self.waiting(memory)? == 0 {
            return Ok(None);
        }
        let head = self.load(memory, at(self.rings.driver, 4 + 2 * self.slot(self.taken)))?;
        let chain = self.chain(memory, head).map_err(|why| format!("the chain of {head} {why}"))?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(chain))
    }

    fn descriptor<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        table: DeviceAddr,
        index: u16,
    ) -> Result<Descriptor, String> {
        let mut raw = [0; 16];
        memory.read(at(table, 16 * u64::from(index)), &mut raw)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = raw;
        Ok(Descriptor {
            address: DeviceAddr::new(self.order64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))),
            len: self.order32(u32::from_ne_bytes([i, j, k, l])),
            flags: self.order16(u16::from_ne_bytes([m, n])),
            next: self.order16(u16::from_ne_bytes([o, p])),
        })
    }

    /// The number of entries in the table that a descriptor refers to (VIRTIO 1.4 §2.7.5.3). `WRITE` means nothing there.
    fn table(&self, descriptor: &Descriptor) -> Result<u16, String> {
        if !self.features.contains(Features::INDIRECT_DESC) {
            return Err("has an indirect table, which was not negotiated".into());
        }
        let entries = u16::try_from(descriptor.len / 16).ok();
        match entries {
            Some(entries) if descriptor.flags & NEXT == 0 && descriptor.len % 16 == 0 && entries > 0 => {
                Ok(entries)
            }
            _ => Err("has a bad indirect table".into()),
        }
    }

    fn chain<M: GuestMemory + ?Sized>(&mut self, memory: &M, head: u16) -> Result<Chain, String> {
        let size = self.rings.size;
        if self.in_order() && head != self.due {
            return Err(format!("is not in order: {} is next", self.due));
        }
        let mut buffers = Buffers::default();
        let mut direct: Vec<u16> = Vec::new();
        let (mut table, mut limit, mut index) = (self.rings.descriptor, size, head);
        let mut indirect = false;
        loop {
            if index >= limit {
                return Err(format!("names descriptor {index} of {limit}"));
            }
            if !indirect {
                direct.push(index);
            }
            let descriptor = self.descriptor(memory, table, index)?;
            if descriptor.flags & INDIRECT != 0 {
                if indirect {
                    return Err("has a bad indirect table: a table in a table".into());
                }
                limit = self.table(&descriptor)?;
                (table, index, indirect) = (descriptor.address, 0, true);
                continue;
            }
            let writable = descriptor.flags & WRITE != 0;
            buffers.add(Buffer { address: descriptor.address, len: descriptor.len, writable }, size)?;
            if descriptor.flags & NEXT == 0 {
                break;
            }
            let due = if indirect { index + 1 } else { self.after(index) };
            if self.in_order() && descriptor.next != due {
                return Err(format!("is not in order: {index} is followed by {}", descriptor.next));
            }
            index = descriptor.next;
        }
        self.in_flight.take(&direct)?;
        self.due = direct.last().map_or(head, |last| self.after(*last));
        let descriptors = u16::try_from(direct.len()).expect("no more than the queue has");
        Ok(Chain { head, buffers: buffers.list, descriptors })
    }

    fn element<M: GuestMemory + ?Sized>(&self, memory: &M, id: u32, len: u32) -> Result<(), String> {
        let element = at(self.rings.device, 4 + 8 * self.slot(self.used));
        memory.write(element, &self.order32(id).to_ne_bytes())?;
        memory.write(at(element, 4), &self.order32(len).to_ne_bytes())
    }

    fn advance<M: GuestMemory + ?Sized>(&mut self, memory: &M, by: u16) -> Result<(), String> {
        self.used = self.used.wrapping_add(by);
        self.write_used_index(memory, self.used)
    }

    /// Writes a used element, whatever it says, and moves the index over it.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push<M: GuestMemory + ?Sized>(&mut self, memory: &M, id: u32, len: u32) -> Result<(), String> {
        self.in_flight.release(id);
        self.element(memory, id, len)?;
        self.advance(memory, 1)
    }

    /// Gives chains back, oldest first, with one used element (VIRTIO 1.4 §2.7.9): `len` is said of the last, the others
    /// were written in full. With `IN_ORDER` only.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push_batch<M: GuestMemory + ?Sized>(
        &mut self,
        memory: &M,
        chains: &[&Chain],
        len: u32,
    ) -> Result<(), String> {
        let last = chains.last().ok_or("a batch is not empty")?;
        let count = u16::try_from(chains.len()).map_err(|_| "a batch is no longer than a queue")?;
        for chain in chains {
            self.in_flight.release(chain.head.into());
        }
        self.element(memory, last.head.into(), len)?;
        self.advance(memory, count)
    }

    /// Writes a used element where the driver looks next, and does not move the index over it.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push_unannounced<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        id: u32,
        len: u32,
    ) -> Result<(), String> {
        self.element(memory, id, len)
    }

    /// Moves `used.idx` by so much, with no element written. The queue's own idea of it stays.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn jump<M: GuestMemory + ?Sized>(&mut self, memory: &M, by: u16) -> Result<(), String> {
        self.in_flight.forget();
        self.write_used_index(memory, self.used.wrapping_add(by))
    }

    /// Writes `used.idx`, whatever it says. The queue's own idea of it stays.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn write_used_index<M: GuestMemory + ?Sized>(&self, memory: &M, index: u16) -> Result<(), String> {
        self.store(memory, at(self.rings.device, 2), index)
    }

    /// Asks for no notifications, or for some again, where `EVENT_IDX` was not negotiated (VIRTIO 1.4 §2.7.10).
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn suppress_notifications<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        suppress: bool,
    ) -> Result<(), String> {
        self.store(memory, self.rings.device, if suppress { NO_NOTIFY } else { 0 })?;
        memory.fence();
        Ok(())
    }

    /// Writes `avail_event`: notify when the chain with this index is made available (VIRTIO 1.4 §2.7.10).
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn set_avail_event<M: GuestMemory + ?Sized>(&self, memory: &M, index: u16) -> Result<(), String> {
        self.store(memory, at(self.rings.device, 4 + 8 * u64::from(self.rings.size)), index)?;
        memory.fence();
        Ok(())
    }

    /// Writes `avail_event` and `used.flags`, whatever they say.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn write_suppression<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        event: u16,
        flags: u16,
    ) -> Result<(), String> {
        self.set_avail_event(memory, event)?;
        self.store(memory, self.rings.device, flags)
    }

    /// `used_event`: where the driver wants to be interrupted (VIRTIO 1.4 §2.7.7).
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn used_event<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        self.load(memory, at(self.rings.driver, 4 + 2 * u64::from(self.rings.size)))
    }

    /// Whether the driver wants an interrupt for what was used since [`used`](Self::used) was `before`.
    ///
    /// # Errors
    /// If the ring cannot be read, or `avail.flags` is neither 0 nor 1, or not 0 under `EVENT_IDX` (VIRTIO 1.4 §2.7.7.1).
    pub fn wants_interrupt<M: GuestMemory + ?Sized>(&self, memory: &M, before: u16) -> Result<bool, String> {
        if before == self.used {
            return Ok(false);
        }
        // What the driver wants is looked up behind the index that was written.
        memory.fence();
        let flags = self.load(memory, self.rings.driver)?;
        if flags > NO_INTERRUPT || (self.event_idx() && flags != 0) {
            return Err(format!("avail.flags is {flags:#x}"));
        }
        if self.event_idx() {
            // Due if the event is among the elements just written.
            let event = self.used_event(memory)?;
            Ok(event.wrapping_sub(before) < self.used.wrapping_sub(before))
        } else {
            Ok(flags == 0)
        }
    }

    /// Writes rubbish over the descriptor table, for devices that do.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn overwrite_descriptors<M: GuestMemory + ?Sized>(&self, memory: &M, byte: u8) -> Result<(), String> {
        memory.write(self.rings.descriptor, &vec![byte; 16 * usize::from(self.rings.size)])
    }
}
