//! Memory that devices written in Rust can reach, with a map that knows what is theirs.
//!
//! **Blocks Own**: a block with `memory` owns one allocation of `layout`: a guard page, `len` bytes rounded up to pages, a
//! guard page. It is freed once, when the block has left the quarantine or the map is dropped, and nobody has it pinned.
//! Pointers are kept, never made from addresses, so provenance is exact.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::{BTreeMap, VecDeque};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use virtio_core::Direction;

/// Fresh pages hold this, so that a driver that does not zero them is seen.
const FRESH: u8 = 0xa5;
/// Freed pages hold this until they leave the quarantine.
const FREED: u8 = 0xdd;
/// Around every block.
const FENCE: u8 = 0xf5;
/// How many freed blocks keep their memory, so that a late write by the driver is seen.
const QUARANTINE: usize = 64;

/// Pages are handed out upwards from here.
const DMA_BASE: u64 = 0x1_0000_0000;
/// Shared segments are handed out *downwards* from here: neighbours in a buffer are never neighbours for the device.
const SHARE_BASE: u64 = 0x8_0000_0000;
/// Private pages; no device may come here.
const PRIVATE_BASE: u64 = 0x40_0000_0000;

/// What a block is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Dma,
    Private,
    Share,
}

/// Who may use a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Live,
    Leaked,
    Gone,
}

pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) life: Life,
    pub(crate) direction: Direction,
    /// Bytes that the device may reach.
    pub(crate) len: usize,
    /// The buffer a shared segment stands in for.
    pub(crate) buffer: Option<NonNull<u8>>,
    /// Taken out when the block leaves the quarantine. A device on a thread of its own may keep it longer.
    memory: Option<Arc<Memory>>,
}

pub(crate) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
    data: NonNull<u8>,
    room: usize,
    page: usize,
}

// SAFETY: Blocks Own: the allocation belongs to whoever holds this, on any thread.
unsafe impl Send for Memory {}
// SAFETY: only the map accesses the bytes through it, which takes the lock of the Hal; whoever has it pinned keeps it, and
// has promised the rest to `DeviceMemory::pin`.
unsafe impl Sync for Memory {}

/// All memory of one `TestHal`, by device address.
pub(crate) struct Map {
    pub(crate) blocks: BTreeMap<u64, Block>,
    quarantine: VecDeque<u64>,
    next_dma: u64,
    next_share: u64,
    next_private: u64,
    page: usize,
}

// SAFETY: Blocks Own: the allocations belong to the map, wherever it moves; `buffer` is only compared and handed back to
// calls of the Hal, whose callers vouch for it.
unsafe impl Send for Map {}

fn step(len: usize) -> u64 {
    u64::try_from(len).expect("lengths fit 64 bits")
}

impl Memory {
    fn new(len: usize, page: usize) -> Self {
        let room = len.max(1).next_multiple_of(page);
        let total = room.checked_add(2 * page).expect("the size of an allocation");
        let layout = Layout::from_size_align(total, page).expect("the layout of an allocation");
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: the allocation has `total` bytes.
        unsafe { start.write_bytes(FENCE, total) };
        // SAFETY: one page into an allocation of at least three.
        let data = unsafe { start.add(page) };
        Self { start, layout, data, room, page }
    }

    fn fill(&self, byte: u8) {
        // SAFETY: Blocks Own: `room` bytes from `data` are inside the allocation.
        unsafe { self.data.write_bytes(byte, self.room) };
    }

    fn holds_only(&self, from: NonNull<u8>, len: usize, byte: u8) -> bool {
        // SAFETY: only called with stretches inside the allocation, all of which was written in `new`.
        let found = unsafe { NonNull::slice_from_raw_parts(from, len).as_ref() };
        // Slices are compared at once, which a test under Miri notices.
        let expected = [byte; 4096];
        found.chunks(expected.len()).all(|chunk| chunk == &expected[..chunk.len()])
    }

    fn fences_intact(&self, len: usize) -> bool {
        // SAFETY: `len <= room`, so this stays inside the allocation.
        let behind = unsafe { self.data.add(len) };
        let rest = self.room - len;
        self.holds_only(self.start, self.page, FENCE) && self.holds_only(behind, rest + self.page, FENCE)
    }

    fn untouched_since_freed(&self) -> bool {
        self.holds_only(self.data, self.room, FREED)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: Blocks Own: allocated with this layout, freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl Map {
    pub(crate) fn new(page: usize) -> Self {
        Self {
            blocks: BTreeMap::new(),
            quarantine: VecDeque::new(),
            next_dma: DMA_BASE,
            next_share: SHARE_BASE,
            next_private: PRIVATE_BASE,
            page,
        }
    }

    /// Makes a block of `len` bytes; answers its device address and the pointer to its first byte.
    pub(crate) fn make(
        &mut self,
        kind: Kind,
        len: usize,
        direction: Direction,
        buffer: Option<NonNull<u8>>,
    ) -> (u64, NonNull<u8>) {
        let memory = Memory::new(len, self.page);
        if kind == Kind::Share {
            // What lies behind a segment in its last page stays fenced.
            // SAFETY: `len <= room`.
            unsafe { memory.data.write_bytes(FRESH, len) };
        } else {
            memory.fill(FRESH);
        }
        let pointer = memory.data;
        // One page between any two blocks stays unmapped.
        let span = step(memory.room) + step(self.page);
        let device = match kind {
            Kind::Dma => {
                let at = self.next_dma;
                self.next_dma += span;
                at
            }
            Kind::Private => {
                let at = self.next_private;
                self.next_private += span;
                at
            }
            Kind::Share => {
                self.next_share -= span;
                self.next_share
            }
        };
        let block = Block { kind, life: Life::Live, direction, len, buffer, memory: Some(Arc::new(memory)) };
        self.blocks.insert(device, block);
        (device, pointer)
    }

    /// Retires a block: poisons it and puts it into quarantine. Answers complaints.
    pub(crate) fn retire(&mut self, device: u64) -> Option<String> {
        let block = self.blocks.get_mut(&device)?;
        block.life = Life::Gone;
        let memory = block.memory.as_ref()?;
        let complaint = (!memory.fences_intact(block.len))
            .then(|| format!("memory around the block at {device:#x} ({} bytes) was written", block.len));
        memory.fill(FREED);
        self.quarantine.push_back(device);
        if self.quarantine.len() <= QUARANTINE {
            return complaint;
        }
        complaint.or(self.quarantine.pop_front().and_then(|oldest| self.evict(oldest)))
    }

    fn evict(&mut self, device: u64) -> Option<String> {
        let memory = self.blocks.get_mut(&device)?.memory.take()?;
        (!memory.untouched_since_freed())
            .then(|| format!("memory at {device:#x} was written after it was freed"))
    }

    /// Complaints about everything in quarantine, and about fences of what is live.
    pub(crate) fn inspect(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (device, block) in &self.blocks {
            let Some(memory) = &block.memory else { continue };
            if block.life == Life::Gone && !memory.untouched_since_freed() {
                complaints.push(format!("memory at {device:#x} was written after it was freed"));
            }
            if block.life != Life::Gone && !memory.fences_intact(block.len) {
                complaints.push(format!("memory around the block at {device:#x} was written"));
            }
        }
        complaints
    }

    /// The pointer to `len` bytes at a device address, if the device may access them so; with `any`, whatever the direction.
    pub(crate) fn reach(
        &self,
        address: u64,
        len: usize,
        writes: bool,
        any: bool,
    ) -> Result<NonNull<u8>, String> {
        let verb = if writes { "write" } else { "read" };
        let found = self.blocks.range(..=address).next_back().and_then(|(base, block)| {
            let offset = usize::try_from(address - base).ok()?;
            (offset < block.len.max(1)).then_some((offset, block))
        });
        let Some((offset, block)) = found else {
            return Err(format!("device {verb} of {len} bytes at {address:#x}: nothing is there"));
        };
        if offset.checked_add(len).is_none_or(|end| end > block.len) {
            return Err(format!("device {verb} of {len} bytes at {address:#x}: runs past its block"));
        }
        if block.kind == Kind::Private {
            return Err(format!(
                "device {verb} of {len} bytes at {address:#x}: private memory of the driver"
            ));
        }
        if block.life == Life::Gone {
            let what = if block.kind == Kind::Share { "unshared" } else { "freed" };
            return Err(format!("device {verb} of {len} bytes at {address:#x}: the memory was {what}"));
        }
        let allowed = if writes { block.direction.device_writes() } else { block.direction.device_reads() };
        if !allowed && !any {
            return Err(format!(
                "device {verb} of {len} bytes at {address:#x}: memory for {:?}",
                block.direction
            ));
        }
        let memory = block.memory.as_ref().ok_or("the block has no memory")?;
        // SAFETY: `offset + len <= block.len <= room`.
        Ok(unsafe { memory.data.add(offset) })
    }

    /// Whether an address lies in live DMA pages.
    pub(crate) fn inside_dma(&self, address: u64) -> bool {
        self.blocks.range(..=address).next_back().is_some_and(|(base, block)| {
            let inside = usize::try_from(address - base).is_ok_and(|offset| offset < block.len);
            inside && block.kind == Kind::Dma && block.life == Life::Live
        })
    }

    /// The pointer to the first byte of a block, whoever may use it.
    pub(crate) fn reach_any(&self, device: u64) -> Option<NonNull<u8>> {
        self.blocks.get(&device)?.memory.as_ref().map(|memory| memory.data)
    }

    /// The memory of a block, the pointer to `len` bytes in it, and whether the device may write them.
    pub(crate) fn pin(
        &self,
        address: u64,
        len: usize,
        any: bool,
    ) -> Result<(Arc<Memory>, NonNull<u8>, bool), String> {
        let first = self.reach(address, len, false, any)?;
        let writable = self.reach(address, len, true, any).is_ok();
        let (_, block) = self.blocks.range(..=address).next_back().ok_or("nothing is there")?;
        let memory = block.memory.as_ref().ok_or("the block has no memory")?;
        Ok((Arc::clone(memory), first, writable))
    }

    pub(crate) fn read(&self, address: u64, bytes: &mut [u8], any: bool) -> Result<(), String> {
        let from = self.reach(address, bytes.len(), false, any)?;
        // SAFETY: `reach` has checked that so many bytes are there; a local buffer does not overlap them.
        unsafe { from.copy_to_nonoverlapping(NonNull::from(&mut *bytes).cast(), bytes.len()) };
        Ok(())
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8], any: bool) -> Result<(), String> {
        let to = self.reach(address, bytes.len(), true, any)?;
        // SAFETY: `reach` has checked that so many bytes are there; a local buffer does not overlap them.
        unsafe { to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(())
    }

    fn cell(&self, address: u64, writes: bool, any: bool) -> Result<&AtomicU16, String> {
        let cell = self.reach(address, 2, writes, any)?.cast::<u16>();
        if !cell.is_aligned() {
            return Err(format!("the 16-bit field at {address:#x} is not aligned"));
        }
        // SAFETY: two aligned bytes of a block that this map owns; drivers access ring indices atomically as well.
        Ok(unsafe { AtomicU16::from_ptr(cell.as_ptr()) })
    }

    /// Reads a 16-bit field in memory order; later reads stay behind it.
    pub(crate) fn load16(&self, address: u64, any: bool) -> Result<u16, String> {
        Ok(self.cell(address, false, any)?.load(Ordering::Acquire))
    }

    /// Writes a 16-bit field in memory order; earlier writes stay before it.
    pub(crate) fn store16(&self, address: u64, raw: u16, any: bool) -> Result<(), String> {
        self.cell(address, true, any)?.store(raw, Ordering::Release);
        Ok(())
    }
}
