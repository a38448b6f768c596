//! What a driver calls: the implementation of `Hal`.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceAddr, Direction, DmaMemory, Hal, HalError, Leaked, MmioKind, PhysAddr, Segment};

use super::{Call, State, TestHal, WhenStuck};
use crate::memory::{Kind, Life};
use crate::trace::Event;

impl TestHal {
    /// The state, in a call that a driver makes.
    fn used(&self) -> MutexGuard<'_, State> {
        self.observer.store(false, Ordering::Relaxed);
        self.state()
    }

    /// Counts a call; panics if that was asked for; answers whether it has to fail.
    fn enter(&self, call: Call) -> bool {
        let mut state = self.used();
        *state.calls.entry(call).or_default() += 1;
        let due = |left: &mut u64| {
            *left = left.saturating_sub(1);
            *left == 0
        };
        if state.panic_at.get_mut(&call).filter(|left| **left > 0).is_some_and(due) {
            drop(state);
            panic!("virtio-testkit: panic on demand in {call:?}");
        }
        let allocates = matches!(call, Call::DmaAlloc | Call::PrivateAlloc | Call::Share);
        let counted = allocates && state.fail_in > 0 && due(&mut state.fail_in);
        let of_kind = state.fail_of.get_mut(&call).filter(|left| **left > 0).is_some_and(due);
        if counted || of_kind {
            state.failed = true;
            state.events.push(Event::Refused(call));
        }
        counted || of_kind
    }

    fn give(&self, kind: Kind, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        let mut state = self.used();
        let len = pages.get().checked_mul(self.shared.page).filter(|len| *len <= 1 << 30);
        let (device, ptr) = state.map.make(kind, len.ok_or(HalError::OutOfMemory)?, direction, None);
        let device = DeviceAddr::new(device);
        state.events.push(match kind {
            Kind::Private => Event::PrivateAlloc { pages: pages.get() },
            _ => Event::DmaAlloc { device, pages: pages.get() },
        });
        Ok(DmaMemory { device, ptr })
    }

    fn take(&self, kind: Kind, memory: DmaMemory, pages: NonZeroUsize) {
        let mut state = self.used();
        let at = memory.device.get();
        let event = match kind {
            Kind::Private => Event::PrivateDealloc { pages: pages.get() },
            _ => Event::DmaDealloc { device: memory.device, pages: pages.get() },
        };
        state.events.push(event);
        let len = pages.get().saturating_mul(self.shared.page);
        let complaint = match state.map.blocks.get(&at) {
            None => Some("was never handed out"),
            Some(block) if block.kind != kind => Some("was allocated by another method"),
            Some(block) if block.life == Life::Gone => Some("was freed before"),
            Some(block) if block.life == Life::Leaked => Some("was reported as leaked"),
            Some(block) if block.len != len => Some("has another length"),
            Some(_) if state.map.reach_any(at) != Some(memory.ptr) => Some("has another pointer"),
            Some(_) => None,
        };
        match complaint {
            Some(why) => state.faults.push(format!("dealloc of {pages} pages at {at:#x}, which {why}")),
            None => {
                let complaint = state.map.retire(at);
                state.faults.extend(complaint);
            }
        }
    }

    /// The block of a segment that a driver names, or a recorded violation.
    fn check_segment(
        state: &mut State,
        what: &str,
        segment: &Segment,
        buffer: NonNull<u8>,
        end: Option<usize>,
    ) -> bool {
        let at = segment.device.get();
        let complaint = match state.map.blocks.get(&at) {
            None => Some("was never shared"),
            Some(block) if block.kind != Kind::Share => Some("is no sharing"),
            Some(block) if block.life == Life::Gone => Some("was unshared before"),
            Some(block) if block.life == Life::Leaked => Some("was reported as leaked"),
            Some(block) if block.len != segment.len => Some("has another length"),
            Some(block) if block.buffer != Some(buffer) => Some("stands for another buffer"),
            Some(_) if state.map.reach_any(at) != segment.bounce => Some("has another bounce pointer"),
            Some(block) if end.is_none_or(|end| end > block.len) => Some("is shorter than that"),
            Some(_) => None,
        };
        if let Some(why) = complaint {
            state.faults.push(format!("{what} of the segment at {at:#x}, which {why}"));
        }
        complaint.is_none()
    }
}

// SAFETY: pages are page-aligned on both sides, belong to one caller each, and are kept by the shared state, which outlives
// every handle; segments are bounced into memory of their own; windows are kept as long. Nothing unwinds out of the release
// methods: they record what is wrong. State is locked.
unsafe impl Hal for TestHal {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        if self.enter(Call::DmaAlloc) {
            return Err(HalError::OutOfMemory);
        }
        self.give(Kind::Dma, pages, direction)
    }

    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        self.take(Kind::Dma, memory, pages);
    }

    fn private_alloc(&self, pages: NonZeroUsize) -> Result<DmaMemory, HalError> {
        if self.enter(Call::PrivateAlloc) {
            return Err(HalError::OutOfMemory);
        }
        self.give(Kind::Private, pages, Direction::Both)
    }

    unsafe fn private_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        self.take(Kind::Private, memory, pages);
    }

    fn map_mmio(&self, address: PhysAddr, len: usize, _kind: MmioKind) -> Result<NativeRegs, HalError> {
        if self.enter(Call::MapMmio) {
            return Err(HalError::CannotMap);
        }
        let mut state = self.used();
        let base = state.windows.iter().find_map(|window| window.at(address.get(), len));
        let base = base.ok_or(HalError::CannotMap)?;
        state.mappings += 1;
        // SAFETY: the window holds `len` bytes there, is reached by volatile accesses only, and is kept by the shared
        // state, which this Hal keeps for as long as a mapping is counted (leaked handles are parked).
        Ok(unsafe { NativeRegs::new(base, len) })
    }

    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        let mut state = self.used();
        let known = state.windows.iter().any(|window| window.holds(regs.base()));
        match state.mappings.checked_sub(1).filter(|_| known) {
            Some(left) => state.mappings = left,
            None => state.faults.push("unmap_mmio of registers that were not mapped".into()),
        }
    }

    unsafe fn share(&self, buffer: NonNull<[u8]>, direction: Direction) -> Result<Segment, HalError> {
        if self.enter(Call::Share) {
            return Err(HalError::CannotShare);
        }
        let mut state = self.used();
        let start = buffer.cast::<u8>();
        let mut len = buffer.len();
        if len == 0 {
            state.faults.push("share of an empty buffer".into());
            return Err(HalError::BrokenContract);
        }
        len = len.min(state.max_segment);
        if state.scatter {
            len = len.min(self.shared.page - start.addr().get() % self.shared.page);
        }
        let (device, bounce) = state.map.make(Kind::Share, len, direction, Some(start));
        if direction.device_reads() {
            // SAFETY: `len` does not exceed the buffer, which the caller promises readable, nor the fresh block.
            unsafe { bounce.copy_from_nonoverlapping(start, len) };
        }
        let device = DeviceAddr::new(device);
        state.events.push(Event::Share { device, len });
        Ok(Segment { device, len, bounce: Some(bounce), direct: false })
    }

    unsafe fn unshare(&self, segment: Segment, buffer: NonNull<u8>, direction: Direction, written: usize) {
        let mut state = self.used();
        state.events.push(Event::Unshare { device: segment.device, len: segment.len, written });
        if !Self::check_segment(&mut state, "unshare", &segment, buffer, Some(written)) {
            return;
        }
        let at = segment.device.get();
        if state.map.blocks.get(&at).is_some_and(|block| block.direction != direction) {
            state.faults.push(format!("unshare of the segment at {at:#x} with another direction"));
            return;
        }
        if let Some(bounce) = segment.bounce.filter(|_| direction.device_writes()) {
            // SAFETY: `check_segment` has found the block live, its pointer equal and `written` inside it; the caller
            // promises the buffer writable.
            unsafe { buffer.copy_from_nonoverlapping(bounce, written) };
        }
        let complaint = state.map.retire(at);
        state.faults.extend(complaint);
    }

    unsafe fn sync_to_device(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        let mut state = self.used();
        state.events.push(Event::SyncToDevice { device: segment.device, offset, len });
        let end = offset.checked_add(len);
        if !Self::check_segment(&mut state, "sync_to_device", segment, buffer, end) {
            return;
        }
        let Some(bounce) = segment.bounce else { return };
        // SAFETY: `check_segment` has found the range inside the segment, and so inside the buffer.
        let from = unsafe { buffer.add(offset) };
        // SAFETY: likewise.
        let to = unsafe { bounce.add(offset) };
        // SAFETY: both ranges are valid, and bounce pages overlap nothing.
        unsafe { to.copy_from_nonoverlapping(from, len) };
    }

    unsafe fn sync_to_cpu(&self, segment: &Segment, buffer: NonNull<u8>, offset: usize, len: usize) {
        let mut state = self.used();
        state.events.push(Event::SyncToCpu { device: segment.device, offset, len });
        let end = offset.checked_add(len);
        if !Self::check_segment(&mut state, "sync_to_cpu", segment, buffer, end) {
            return;
        }
        let Some(bounce) = segment.bounce else { return };
        // SAFETY: `check_segment` has found the range inside the segment, and so inside the buffer.
        let to = unsafe { buffer.add(offset) };
        // SAFETY: likewise.
        let from = unsafe { bounce.add(offset) };
        // SAFETY: both ranges are valid, and bounce pages overlap nothing.
        unsafe { to.copy_from_nonoverlapping(from, len) };
    }

    /// No device reaches private pages here.
    fn keeps_private(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        self.shared.page
    }

    fn translates(&self) -> bool {
        self.used().translates
    }

    /// Each world of test memory is a domain of its own.
    fn domain(&self) -> u64 {
        self.shared.domain
    }

    fn now(&self) -> Option<Duration> {
        self.enter(Call::Now);
        let state = self.used();
        state.clock.then_some(state.now)
    }

    fn spin_budget(&self) -> Option<u64> {
        self.used().spin_budget
    }

    fn relax(&self) {
        self.enter(Call::Relax);
        let mut state = self.used();
        let tick = state.tick;
        state.now += tick;
        // The hook may call back into this Hal, so it runs unlocked.
        let hook = state.on_relax.take();
        drop(state);
        if let Some(mut hook) = hook {
            hook();
            self.state().on_relax.get_or_insert(hook);
        }
    }

    fn leaked(&self, what: Leaked) {
        let mut state = self.used();
        state.events.push(Event::Leaked(what));
        state.leaks.push(what);
        let at = what.device.get();
        // Part of what a pool has taken once, which reports the whole when it goes.
        if what.pages == 0 && state.map.inside_dma(at) {
            return;
        }
        match state.map.blocks.get_mut(&at).filter(|block| block.life == Life::Live) {
            Some(block) => block.life = Life::Leaked,
            None => state.faults.push(format!("leaked: nothing is outstanding at {at:#x}")),
        }
    }

    fn stuck(&self) -> ! {
        let when_stuck = self.used().when_stuck;
        match when_stuck {
            WhenStuck::Exit(code) => std::process::exit(code),
            WhenStuck::Panic => panic!("virtio-testkit: stuck"),
        }
    }
}
