//! What a driver makes available: a chain of buffers.

use virtio_core::DeviceAddr;

use crate::guest::GuestMemory;

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

/// A chain that a driver made available: of a split queue, or what a packed queue calls a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// What the device has to name when it has used it: the first descriptor of a split chain, the id of a packed list.
    pub head: u16,
    /// Its buffers, in order; those of an indirect table included.
    pub buffers: Vec<Buffer>,
    /// How many descriptors of the ring itself it takes.
    pub descriptors: u16,
}

impl Chain {
    /// All bytes that the device may read, in order.
    ///
    /// # Errors
    /// Why it may not, after all.
    pub fn readable<M: GuestMemory + ?Sized>(&self, memory: &M) -> Result<Vec<u8>, String> {
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
    pub fn write<M: GuestMemory + ?Sized>(&self, memory: &M, bytes: &[u8]) -> Result<usize, String> {
        let mut rest = bytes;
        for buffer in self.buffers.iter().filter(|buffer| buffer.writable) {
            let (now, later) = rest.split_at(rest.len().min(length(buffer.len)));
            memory.write(buffer.address, now)?;
            rest = later;
        }
        Ok(bytes.len() - rest.len())
    }
}

/// Collects the buffers of a chain, and the rules that both formats have for them.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) list: Vec<Buffer>,
    bytes: u64,
}

impl Buffers {
    /// Adds one. At most `most`, none of them empty, what is read before what is written (VIRTIO 1.4 §2.7.4.2, §2.7.5.2,
    /// §2.7.5.3.1, §2.8.17).
    pub(super) fn add(&mut self, buffer: Buffer, most: u16) -> Result<(), String> {
        if self.list.len() >= usize::from(most) {
            return Err(format!("has no end, or more than {most} buffers"));
        }
        if buffer.len == 0 {
            return Err("has an empty buffer".into());
        }
        if !buffer.writable && self.list.last().is_some_and(|before| before.writable) {
            return Err("has a readable buffer behind a writable one".into());
        }
        self.bytes += u64::from(buffer.len);
        if self.bytes > 1 << 32 {
            return Err("has more than 4 GiB".into());
        }
        self.list.push(buffer);
        Ok(())
    }
}

pub(super) fn length(len: u32) -> usize {
    usize::try_from(len).expect("a host has at least 32 bits")
}

/// `base`, and so many bytes behind it.
pub(super) fn at(base: DeviceAddr, bytes: u64) -> DeviceAddr {
    DeviceAddr::new(base.get().wrapping_add(bytes))
}
