//! One queue of a scripted device: requests in, replies out, and lies.

use std::fmt;

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
}

impl Request {
    pub(crate) fn held(&self) -> Held {
        let chain = Chain { head: self.head, buffers: self.buffers.clone() };
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

/// Ways in which a device breaks the rules of a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Lie {
    /// A used element that names `id`: out of range, not in flight, or used a second time.
    UsedId {
        /// The head it names.
        id: u32,
        /// The length it says.
        len: u32,
    },
    /// `used.idx` moves by this much, with no element written.
    UsedIndex(u16),
    /// The descriptor table is filled with this byte. A driver that keeps its own records does not notice.
    OverwriteDescriptors(u8),
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
    pub(crate) ring: Option<DeviceQueue>,
    pub(crate) held: Vec<Held>,
    pub(crate) frozen_event: bool,
    pub(crate) stopped: Option<String>,
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
            ring: None,
            held: Vec::new(),
            frozen_event: false,
            stopped: None,
        }
    }

    pub(crate) fn ring(&mut self) -> &mut DeviceQueue {
        self.ring.as_mut().expect("the queue is enabled")
    }

    /// Takes the next request.
    pub(crate) fn next(&mut self, memory: &DeviceMemory) -> Result<Option<Request>, String> {
        if self.stopped.is_some() {
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
        // The driver has reset the device from inside its handler.
        let Some(ring) = &mut self.ring else { return Ok(false) };
        let before = ring.used();
        let written = held.chain.write(memory, bytes)?;
        let written = u32::try_from(written).map_err(|_| "a chain holds less than 4 GiB")?;
        ring.push(memory, u32::from(held.chain.head), claim.unwrap_or(written))?;
        ring.wants_interrupt(memory, before)
    }

    pub(crate) fn lie(&mut self, memory: &DeviceMemory, lie: Lie) -> Result<bool, String> {
        let Some(ring) = &mut self.ring else { return Ok(false) };
        match lie {
            Lie::UsedId { id, len } => {
                let before = ring.used();
                ring.push(memory, id, len)?;
                ring.wants_interrupt(memory, before)
            }
            Lie::UsedIndex(advance) => {
                ring.write_used_index(memory, ring.used().wrapping_add(advance))?;
                Ok(false)
            }
            Lie::OverwriteDescriptors(byte) => {
                ring.overwrite_descriptors(&memory.clone().hostile(), byte)?;
                Ok(false)
            }
        }
    }
}
