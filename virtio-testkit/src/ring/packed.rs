//! The device's side of a packed virtqueue (VIRTIO 1.4 §2.8), written independently of the driver's.

use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, Features};

use super::chain::{Buffer, Buffers, Chain, at};
use super::position::Position;
use crate::guest::GuestMemory;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;

const ENABLE: u16 = 0;
const DISABLE: u16 = 1;
const DESC: u16 = 2;

/// Stands in the fields of a used descriptor that mean nothing.
const RUBBISH: u8 = 0xdb;

/// The device's side of one packed virtqueue.
///
/// It keeps its own positions and wrap counters and reads nothing back that it wrote itself. Everything the driver writes is
/// checked; an `Err` says what the driver did wrong. Where a used descriptor has fields without a meaning, it writes rubbish.
///
/// Positions are written as in event suppression: the slot, and the wrap counter in bit 15.
#[derive(Clone, Debug)]
pub struct PackedDeviceSide {
    rings: Rings,
    features: Features,
    taken: Position,
    used: Position,
    /// By id: how many descriptors the list in flight has.
    in_flight: Vec<Option<u16>>,
    /// How many descriptors are in flight altogether.
    busy: u16,
    /// Whether used descriptors say that they were written, where they were.
    marks_written: bool,
}

struct Descriptor {
    address: DeviceAddr,
    len: u32,
    id: u16,
    flags: u16,
}

/// Whether flags say that a descriptor is available, in a lap with this wrap counter (VIRTIO 1.4 §2.8.1).
fn is_available(flags: u16, wrap: bool) -> bool {
    (flags & AVAIL != 0) == wrap && (flags & USED != 0) != wrap
}

/// The bits that say that a descriptor is used, in a lap with this wrap counter (VIRTIO 1.4 §2.8.1).
fn used_bits(wrap: bool) -> u16 {
    if wrap { AVAIL | USED } else { 0 }
}

impl PackedDeviceSide {
    /// Takes over rings as a driver described them, with the features it has accepted.
    ///
    /// # Errors
    /// If they are not aligned (VIRTIO 1.4 §2.8.11), or of no possible size.
    pub fn new(rings: Rings, features: Features) -> Result<Self, String> {
        if !(1..=32768).contains(&rings.size) {
            return Err(format!("a packed queue cannot have {} entries", rings.size));
        }
        let aligned = rings.descriptor.is_aligned_to(16)
            && rings.driver.is_aligned_to(4)
            && rings.device.is_aligned_to(4);
        if !aligned {
            return Err(format!("rings are not aligned: {rings:?}"));
        }
        let in_flight = vec![None; usize::from(rings.size)];
        Ok(Self {
            rings,
            features,
            taken: Position::START,
            used: Position::START,
            in_flight,
            busy: 0,
            marks_written: true,
        })
    }

    /// From now on no used descriptor has WRITE, although its length is meant: QEMU 7.2 is like that.
    pub fn never_mark_written(&mut self) {
        self.marks_written = false;
    }

    /// Where the rings are.
    #[must_use]
    pub fn rings(&self) -> Rings {
        self.rings
    }

    /// The position of the next descriptor to be taken.
    #[must_use]
    pub fn taken(&self) -> u16 {
        self.taken.raw()
    }

    /// The position of the next descriptor to be used.
    #[must_use]
    pub fn used(&self) -> u16 {
        self.used.raw()
    }

    /// Whether `EVENT_IDX` is in force.
    #[must_use]
    pub fn event_idx(&self) -> bool {
        self.features.contains(Features::EVENT_IDX)
    }

    fn place(&self, slot: u16) -> DeviceAddr {
        at(self.rings.descriptor, 16 * u64::from(slot))
    }

    fn flags<M: GuestMemory + ?Sized>(&self, memory: &M, slot: u16) -> Result<u16, String> {
        Ok(u16::from_le(memory.load16(at(self.place(slot), 14))?))
    }

    fn set_flags<M: GuestMemory + ?Sized>(&self, memory: &M, slot: u16, flags: u16) -> Result<(), String> {
        memory.store16(at(self.place(slot), 14), flags.to_le())
    }

    /// How far the driver has published, and how many lists that is from `taken` on.
    fn look_ahead<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<(Position, u16), String> {
        let (mut position, mut lists) = (self.taken, 0);
        for _ in 0..self.rings.size {
            let flags = self.flags(memory, position.slot)?;
            if !is_available(flags, position.wrap) {
                break;
            }
            lists += u16::from(flags & NEXT == 0);
            position = position.step(1, self.rings.size);
        }
        Ok((position, lists))
    }

    /// The position of the next descriptor to be made available. With `NOTIFICATION_DATA`, a notification carries it.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn published<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        Ok(self.look_ahead(memory)?.0.raw())
    }

    /// How many lists wait.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn waiting<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        Ok(self.look_ahead(memory)?.1)
    }

    /// Takes the next available list.
    ///
    /// # Errors
    /// If the driver's descriptors are not in order.
    pub fn pop<M: GuestMemory + ?Sized>(&mut self, memory: &M) -> Result<Option<Chain>, String> {
        let flags = self.flags(memory, self.taken.slot)?;
        if !is_available(flags, self.taken.wrap) {
            return Ok(None);
        }
        let slot = self.taken.slot;
        let chain = self.list(memory, flags).map_err(|why| format!("the list at {slot} {why}"))?;
        self.in_flight[usize::from(chain.head)] = Some(chain.descriptors);
        self.busy += chain.descriptors;
        self.taken = self.taken.step(chain.descriptors, self.rings.size);
        Ok(Some(chain))
    }

    /// All of a descriptor but its flags, which were read before.
    fn descriptor<M: GuestMemory + ?Sized>(
        memory: &M,
        place: DeviceAddr,
        flags: u16,
    ) -> Result<Descriptor, String> {
        let mut raw = [0; 14];
        memory.read(place, &mut raw)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = raw;
        Ok(Descriptor {
            address: DeviceAddr::new(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
            len: u32::from_le_bytes([i, j, k, l]),
            id: u16::from_le_bytes([m, n]),
            flags,
        })
    }

    fn list<M: GuestMemory + ?Sized>(&self, memory: &M, first: u16) -> Result<Chain, String> {
        let size = self.rings.size;
        let mut buffers = Buffers::default();
        let (mut position, mut descriptors, mut flags) = (self.taken, 0, first);
        let id = loop {
            let slot = position.slot;
            if descriptors == size - self.busy {
                return Err(format!("has more than the {descriptors} descriptors that are free"));
            }
            if !is_available(flags, position.wrap) {
                return Err(format!("has AVAIL and USED wrong in slot {slot}: flags {flags:#06x}"));
            }
            if flags & !(NEXT | WRITE | INDIRECT | AVAIL | USED) != 0 {
                return Err(format!("has reserved flags in slot {slot}: {flags:#06x}"));
            }
            let descriptor = Self::descriptor(memory, self.place(slot), flags)?;
            descriptors += 1;
            if flags & INDIRECT != 0 {
                if descriptors > 1 || flags & NEXT != 0 {
                    return Err(format!("has an indirect table among others, in slot {slot}"));
                }
                self.table(memory, &descriptor, &mut buffers)?;
            } else {
                let writable = flags & WRITE != 0;
                buffers.add(Buffer { address: descriptor.address, len: descriptor.len, writable }, size)?;
            }
            if flags & NEXT == 0 {
                break descriptor.id;
            }
            position = position.step(1, size);
            flags = self.flags(memory, position.slot)?;
        };
        match self.in_flight.get(usize::from(id)) {
            Some(None) => Ok(Chain { head: id, buffers: buffers.list, descriptors }),
            Some(Some(_)) => Err(format!("has id {id}, which is in flight already")),
            None => Err(format!("has id {id}, in a queue of {size}")),
        }
    }

    /// All entries of an indirect table, in the order they stand in (VIRTIO 1.4 §2.8.7, §2.8.19).
    fn table<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        descriptor: &Descriptor,
        buffers: &mut Buffers,
    ) -> Result<(), String> {
        if !self.features.contains(Features::INDIRECT_DESC) {
            return Err("has an indirect table, which was not negotiated".into());
        }
        if descriptor.len % 16 != 0 || descriptor.len == 0 {
            return Err(format!("has an indirect table of {} bytes", descriptor.len));
        }
        for entry in 0..u64::from(descriptor.len / 16) {
            let place = at(descriptor.address, 16 * entry);
            let mut flags = [0; 2];
            memory.read(at(place, 14), &mut flags)?;
            let inner = Self::descriptor(memory, place, u16::from_le_bytes(flags))?;
            if inner.flags & !WRITE != 0 {
                return Err(format!("has flags {:#06x} in its indirect table", inner.flags));
            }
            let writable = inner.flags & WRITE != 0;
            buffers.add(Buffer { address: inner.address, len: inner.len, writable }, self.rings.size)?;
        }
        Ok(())
    }

    /// Writes a used descriptor at the next position, with these bits for AVAIL and USED.
    fn write_used<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        id: u16,
        len: Option<u32>,
        bits: u16,
    ) -> Result<(), String> {
        let mut raw = [RUBBISH; 14];
        if let Some(len) = len {
            raw[8..12].copy_from_slice(&len.to_le_bytes());
        }
        raw[12..].copy_from_slice(&id.to_le_bytes());
        memory.write(self.place(self.used.slot), &raw)?;
        let write = if len.is_some() && self.marks_written { WRITE } else { 0 };
        self.set_flags(memory, self.used.slot, bits | write)
    }

    fn release(&mut self, id: u16) -> Option<u16> {
        let descriptors = self.in_flight.get_mut(usize::from(id))?.take()?;
        self.busy -= descriptors;
        Some(descriptors)
    }

    /// Writes a used descriptor, whatever it says: of `id` the low 16 bits, and `len` is declared valid. The position moves
    /// over the list with that id, or by one if there is none.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push<M: GuestMemory + ?Sized>(&mut self, memory: &M, id: u32, len: u32) -> Result<(), String> {
        let [a, b, ..] = id.to_le_bytes();
        let id = u16::from_le_bytes([a, b]);
        let skip = self.release(id).unwrap_or(1);
        self.write_used(memory, id, Some(len), used_bits(self.used.wrap))?;
        self.used = self.used.step(skip, self.rings.size);
        Ok(())
    }

    /// Gives lists back, oldest first, with one used descriptor (VIRTIO 1.4 §2.8.9): `len` is said of the last, the others
    /// were written in full. More than one with `IN_ORDER` only. Where nothing could be written, there is no length
    /// (VIRTIO 1.4 §2.8.5), unless one is claimed.
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
        for chain in chains {
            self.release(chain.head);
        }
        let len = (len > 0 || last.writable() > 0).then_some(len);
        self.write_used(memory, last.head, len, used_bits(self.used.wrap))?;
        for chain in chains {
            self.used = self.used.step(chain.descriptors, self.rings.size);
        }
        Ok(())
    }

    /// Writes a used descriptor where the driver looks next, with AVAIL and USED as in the lap before, and does not move.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn push_unannounced<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        id: u32,
        len: u32,
    ) -> Result<(), String> {
        let [a, b, ..] = id.to_le_bytes();
        self.write_used(memory, u16::from_le_bytes([a, b]), Some(len), used_bits(!self.used.wrap))
    }

    /// Marks so many descriptors as used, and writes nothing else into them. The queue's own position stays.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn jump<M: GuestMemory + ?Sized>(&mut self, memory: &M, by: u16) -> Result<(), String> {
        self.in_flight.fill(None);
        self.busy = 0;
        let mut position = self.used;
        for _ in 0..by {
            self.set_flags(memory, position.slot, used_bits(position.wrap))?;
            position = position.step(1, self.rings.size);
        }
        Ok(())
    }

    /// Asks for no notifications, or for all of them again (VIRTIO 1.4 §2.8.10).
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn suppress_notifications<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        suppress: bool,
    ) -> Result<(), String> {
        let flags = if suppress { DISABLE } else { ENABLE };
        memory.store16(at(self.rings.device, 2), flags.to_le())?;
        memory.fence();
        Ok(())
    }

    /// Asks for a notification when the descriptor at a position is made available (VIRTIO 1.4 §2.8.10).
    ///
    /// # Errors
    /// If the ring cannot be written, or `EVENT_IDX` was not negotiated.
    pub fn set_avail_event<M: GuestMemory + ?Sized>(&self, memory: &M, position: u16) -> Result<(), String> {
        if !self.event_idx() {
            return Err("a position takes EVENT_IDX".into());
        }
        self.write_suppression(memory, position, DESC)
    }

    /// Writes the device's event suppression, whatever it says.
    ///
    /// # Errors
    /// If the ring cannot be written.
    pub fn write_suppression<M: GuestMemory + ?Sized>(
        &self,
        memory: &M,
        event: u16,
        flags: u16,
    ) -> Result<(), String> {
        memory.store16(self.rings.device, event.to_le())?;
        memory.store16(at(self.rings.device, 2), flags.to_le())?;
        memory.fence();
        Ok(())
    }

    /// The position at which the driver wants to be interrupted, if it wants that of a position (VIRTIO 1.4 §2.8.10).
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn used_event<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<u16, String> {
        Ok(u16::from_le(memory.load16(self.rings.driver)?))
    }

    /// Whether the driver wants an interrupt for what was used since [`used`](Self::used) was `before`.
    ///
    /// # Errors
    /// If the ring cannot be read, or the driver's event suppression says what it must not: a reserved mode, reserved bits,
    /// a position without `EVENT_IDX` or outside the ring.
    pub fn wants_interrupt<M: GuestMemory + ?Sized>(&self, memory: &M, before: u16) -> Result<bool, String> {
        let before = Position::from_raw(before);
        if before == self.used {
            return Ok(false);
        }
        // What the driver wants is looked up behind the flags that were written.
        memory.fence();
        match u16::from_le(memory.load16(at(self.rings.driver, 2))?) {
            ENABLE => Ok(true),
            DISABLE => Ok(false),
            DESC if self.event_idx() => {
                let event = Position::from_raw(self.used_event(memory)?);
                if event.slot >= self.rings.size {
                    return Err(format!("the driver's event is at slot {}", event.slot));
                }
                // Due if the event is among the descriptors just passed.
                let size = self.rings.size;
                Ok(before.to(event, size) < before.to(self.used, size))
            }
            DESC => Err("the driver's event is a position without EVENT_IDX".into()),
            flags => Err(format!("the driver's event flags are {flags:#x}")),
        }
    }

    /// Writes rubbish over the descriptor ring, for devices that do. Whether that makes descriptors look used is up to the
    /// byte: the flags are overwritten as well.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn overwrite_descriptors<M: GuestMemory + ?Sized>(&self, memory: &M, byte: u8) -> Result<(), String> {
        memory.write(self.rings.descriptor, &vec![byte; 16 * usize::from(self.rings.size)])
    }
}
