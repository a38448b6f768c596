//! One queue of a scripted device: requests in, replies out, and lies.

use std::fmt;

use virtio_core::transport::QueueReset;

use crate::hal::DeviceMemory;
use crate::ring::{Buffer, Chain, DeviceQueue};

/// A request, as the device has it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which queue it came through.
    pub queue: u16,
    /// What the device may read, all of it.
    pub readable: Vec<u8>,
    /// How many bytes the device may write.
    pub writable: usize,
    /// Its buffers, as the descriptors say.
    pub buffers: Vec<Buffer>,
    /// The guest's memory, for requests that carry addresses.
    pub memory: DeviceMemory,
    head: u16,
    descriptors: u16,
}

impl Request {
    pub(crate) fn held(&self) -> Held {
        let chain = Chain { head: self.head, buffers: self.buffers.clone(), descriptors: self.descriptors };
        Held { chain, readable: self.readable.clone() }
    }
}

/// What a device does with a request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Uses it: writes these bytes, as much as fits, and says so.
    Write(Vec<u8>),
    /// Uses it: writes these bytes, as much as fits, and says that it was `len`.
    Claim {
        /// What is written.
        bytes: Vec<u8>,
        /// What is said.
        len: u32,
    },
    /// Keeps it: until [`FakeDevice::complete`](crate::FakeDevice::complete), or for ever.
    Hold,
    /// Keeps it, and breaks the rules.
    Lie(Lie),
}

/// Ways in which a device breaks the rules of a ring. Each means the like in both formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Lie {
    /// A used element or descriptor that names `id`: out of range, not in flight, or, after a completion, used a second
    /// time.
    ///
    /// Packed: `id` has 16 bits there, the low ones count; the length is declared valid. The device goes on behind the list
    /// with that id, or one descriptor further if there is none.
    UsedId {
        /// What it names: a head, or an id.
        id: u32,
        /// The length it says.
        len: u32,
    },
    /// So many are announced as used, and none is written: what the driver finds there is left over.
    ///
    /// Split: `used.idx` moves by this much. Packed: AVAIL and USED of so many descriptors turn, and nothing else in them.
    UsedIndex(u16),
    /// A used element or descriptor that is written where the driver looks next, and not announced: for the driver, nothing
    /// has happened.
    ///
    /// Split: `used.idx` stays. Packed: AVAIL and USED have the values of the lap before.
    Unannounced {
        /// What it names: a head, or an id.
        id: u32,
        /// The length it says.
        len: u32,
    },
    /// The descriptors are filled with this byte. A driver that keeps its own records does not notice.
    ///
    /// Packed: that includes the flags, so a byte with the highest bit set makes every descriptor look used in a lap with
    /// wrap counter 1, a byte without it in the others.
    OverwriteDescriptors(u8),
    /// Rubbish where the device says which notifications it wants. It stays until the test asks for something else with
    /// [`FakeDevice::set_avail_event`](crate::FakeDevice::set_avail_event) or
    /// [`FakeDevice::suppress_notifications`](crate::FakeDevice::suppress_notifications).
    Suppression {
        /// Split: `avail_event`. Packed: `desc`, a position.
        event: u16,
        /// Split: `used.flags`. Packed: `flags`; 3 is a reserved mode, and so is everything above.
        flags: u16,
    },
}

pub(crate) type Handler = Box<dyn FnMut(Request) -> Reply + Send>;

/// A request that the device keeps.
pub(crate) struct Held {
    pub(crate) chain: Chain,
    pub(crate) readable: Vec<u8>,
}

pub(crate) enum Completion<'a> {
    Honest(&'a [u8]),
    Claiming(&'a [u8], u32),
}

pub(crate) struct FakeQueue {
    pub(crate) index: u16,
    pub(crate) max: u16,
    /// Taken out while it runs.
    pub(crate) handler: Option<Handler>,
    /// The driver has enabled it, and neither device nor queue were reset.
    pub(crate) enabled: bool,
    /// Gone as well when the driver has made the device stop.
    pub(crate) ring: Option<DeviceQueue>,
    pub(crate) held: Vec<Held>,
    /// What the device wants to be notified of was fixed by the test.
    pub(crate) frozen_event: bool,
    pub(crate) stopped: Option<String>,
    /// Reads of the reset register until a reset of this queue is over.
    pub(crate) resetting: Option<u32>,
    /// It was reset since the device was: it may be enabled again.
    pub(crate) was_reset: bool,
    /// Grows whenever the queue is reset, so that a handler that ran meanwhile does not answer.
    pub(crate) epoch: u64,
}

impl fmt::Debug for FakeQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeQueue")
            .field("index", &self.index)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

impl FakeQueue {
    pub(crate) fn new(index: u16, max: u16, handler: Handler) -> Self {
        Self {
            index,
            max,
            handler: Some(handler),
            enabled: false,
            ring: None,
            held: Vec::new(),
            frozen_event: false,
            stopped: None,
            resetting: None,
            was_reset: false,
            epoch: 0,
        }
    }

    /// Back to the state after power-on: nothing of the driver's memory is known any more.
    pub(crate) fn reset(&mut self) {
        self.enabled = false;
        self.ring = None;
        self.held.clear();
        self.frozen_event = false;
        self.stopped = None;
        self.resetting = None;
        self.epoch += 1;
    }

    /// What the driver sees of a reset. One that is over shows in both registers; where none was begun, the queue is as live
    /// as it was.
    pub(crate) fn reads_reset(&mut self) -> QueueReset {
        match self.resetting {
            Some(0) => {
                self.reset();
                self.was_reset = true;
            }
            Some(u32::MAX) => return QueueReset::Ongoing,
            Some(left) => {
                self.resetting = Some(left - 1);
                return QueueReset::Ongoing;
            }
            None => {}
        }
        if self.enabled { QueueReset::Ignored } else { QueueReset::Done }
    }

    pub(crate) fn ring(&mut self) -> &mut DeviceQueue {
        self.ring.as_mut().expect("the queue is enabled")
    }

    /// Takes the next request.
    pub(crate) fn next(&mut self, memory: &DeviceMemory) -> Result<Option<Request>, String> {
        // While a queue is being reset, nothing new is begun (VIRTIO 1.4 §2.6.1.1.1).
        if self.stopped.is_some() || self.resetting.is_some() {
            return Ok(None);
        }
        let Some(ring) = &mut self.ring else { return Ok(None) };
        let Some(chain) = ring.pop(memory)? else { return Ok(None) };
        if ring.event_idx() && !self.frozen_event {
            ring.set_avail_event(memory, ring.taken())?;
        }
        Ok(Some(Request {
            queue: self.index,
            readable: chain.readable(memory)?,
            writable: chain.writable(),
            head: chain.head,
            descriptors: chain.descriptors,
            buffers: chain.buffers,
            memory: memory.clone(),
        }))
    }

    /// Does what a handler says. Answers whether the driver wants an interrupt for it.
    pub(crate) fn apply(&mut self, memory: &DeviceMemory, held: Held, reply: Reply) -> Result<bool, String> {
        match reply {
            Reply::Write(bytes) => self.complete(memory, &held, Completion::Honest(&bytes)),
            Reply::Claim { bytes, len } => self.complete(memory, &held, Completion::Claiming(&bytes, len)),
            Reply::Hold => {
                self.held.push(held);
                Ok(false)
            }
            Reply::Lie(lie) => {
                self.held.push(held);
                self.lie(memory, lie)
            }
        }
    }

    pub(crate) fn complete(
        &mut self,
        memory: &DeviceMemory,
        held: &Held,
        completion: Completion<'_>,
    ) -> Result<bool, String> {
        let (bytes, claim) = match completion {
            Completion::Honest(bytes) => (bytes, None),
            Completion::Claiming(bytes, len) => (bytes, Some(len)),
        };
        // The driver has reset the device from inside its handler, or has made it stop.
        if self.ring.is_none() {
            return Ok(false);
        }
        let written = held.chain.write(memory, bytes)?;
        let written = u32::try_from(written).map_err(|_| "a chain holds less than 4 GiB")?;
        self.retire(memory, &[&held.chain], claim.unwrap_or(written))
    }

    /// Completes requests, all in full, with one used element or descriptor.
    pub(crate) fn complete_batch(
        &mut self,
        memory: &DeviceMemory,
        batch: &[Held],
        answers: &[&[u8]],
    ) -> Result<bool, String> {
        let mut written = 0;
        for (held, answer) in batch.iter().zip(answers) {
            written = held.chain.write(memory, answer)?;
        }
        let chains: Vec<&Chain> = batch.iter().map(|held| &held.chain).collect();
        let written = u32::try_from(written).map_err(|_| "a chain holds less than 4 GiB")?;
        self.retire(memory, &chains, written)
    }

    fn retire(&mut self, memory: &DeviceMemory, chains: &[&Chain], len: u32) -> Result<bool, String> {
        let Some(ring) = &mut self.ring else { return Ok(false) };
        let before = ring.used();
        ring.push_batch(memory, chains, len)?;
        self.wants_interrupt(memory, before)
    }

    /// Whether the driver wants an interrupt. One that asks in a way that it must not is at fault.
    fn wants_interrupt(&self, memory: &DeviceMemory, before: u16) -> Result<bool, String> {
        let Some(ring) = &self.ring else { return Ok(false) };
        let wants = ring.wants_interrupt(memory, before);
        if let Err(why) = &wants {
            memory.fault(format!("queue {}: {why}", self.index));
        }
        wants
    }

    pub(crate) fn lie(&mut self, memory: &DeviceMemory, lie: Lie) -> Result<bool, String> {
        let Some(ring) = &mut self.ring else { return Ok(false) };
        match lie {
            Lie::UsedId { id, len } => {
                let before = ring.used();
                ring.push(memory, id, len)?;
                return self.wants_interrupt(memory, before);
            }
            Lie::UsedIndex(advance) => ring.jump(memory, advance)?,
            Lie::Unannounced { id, len } => ring.push_unannounced(memory, id, len)?,
            Lie::OverwriteDescriptors(byte) => {
                ring.overwrite_descriptors(&memory.clone().hostile(), byte)?;
            }
            Lie::Suppression { event, flags } => {
                self.frozen_event = true;
                ring.write_suppression(memory, event, flags)?;
            }
        }
        Ok(false)
    }
}
