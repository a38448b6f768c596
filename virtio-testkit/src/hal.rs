//! The Hal of a test: strict, bouncing, counting.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use virtio_core::regs::NativeRegs;
use virtio_core::{
    DeviceAddr, Direction, DmaMemory, Hal, HalError, Leaked, MmioKind, PhysAddr, Segment,
};

use crate::memory::{Kind, Life, Map};
use crate::registers::{FakeRegisters, Window};
use crate::trace::Event;

/// Calls of a [`TestHal`] that can be made to fail or to panic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Call {
    /// `Hal::dma_alloc`.
    DmaAlloc,
    /// `Hal::private_alloc`.
    PrivateAlloc,
    /// `Hal::share`.
    Share,
    /// `Hal::map_mmio`.
    MapMmio,
    /// `Hal::relax`; it can panic, not fail.
    Relax,
    /// `Hal::now`; it can panic, not fail.
    Now,
}

/// What was taken from a [`TestHal`] and not given back. Memory that was reported as leaked is not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outstanding {
    /// Allocations of DMA pages.
    pub dma: usize,
    /// Allocations of private pages.
    pub private: usize,
    /// Shared segments.
    pub shares: usize,
    /// Register mappings.
    pub mappings: usize,
}

impl Outstanding {
    /// Whether everything was given back.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug)]
enum WhenStuck {
    Panic,
    Exit(i32),
}

type Hook = Box<dyn FnMut() + Send>;

struct State {
    map: Map,
    windows: Vec<Window>,
    mappings: usize,
    events: Vec<Event>,
    faults: Vec<String>,
    leaks: Vec<Leaked>,
    now: Duration,
    tick: Duration,
    clock: bool,
    spin_budget: Option<u64>,
    translates: bool,
    scatter: bool,
    max_segment: usize,
    calls: BTreeMap<Call, u64>,
    /// Allocations and sharings until one fails; 0 for none.
    fail_in: u64,
    fail_of: BTreeMap<Call, u64>,
    panic_at: BTreeMap<Call, u64>,
    failed: bool,
    on_relax: Option<Hook>,
    when_stuck: WhenStuck,
    leaks_allowed: bool,
    forgiven: bool,
    finished: bool,
}

struct Shared {
    state: Mutex<State>,
    handles: AtomicUsize,
    page: usize,
}

/// Keeps what leaked handles refer to reachable, so that leak checkers (Miri's) know that it is leaked on purpose.
static PARKED: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

/// A [`Hal`] for host tests: bounces every shared buffer, counts everything, forgives nothing.
///
/// * Pages are page-aligned real memory. Their device addresses are made up, far away from pointers and never reused, so a
///   driver that mixes the two up fails at once.
/// * Fresh memory is filled with rubbish, freed memory is poisoned and quarantined; fences around every block are checked.
/// * [`Hal::share`] always bounces, optionally in pieces ([`TestHal::scatter`], [`TestHal::set_max_segment`]) whose
///   device addresses run backwards. [`Hal::unshare`] must match a sharing exactly, and copies back only what was written.
/// * Time is virtual: every [`Hal::relax`] advances it by 10 ms ([`TestHal::set_tick`]), so timeouts take no time.
/// * Everything is written to one [trace](TestHal::trace), together with what devices on this Hal see.
///
/// # When a test fails
/// Violations are recorded as they happen and end the test in [`TestHal::finish`], or in the `Drop` of a handle: of the
/// last one, or of the one that [`TestHal::new`] made, if no driver was ever given that one itself. So keep the first
/// handle in the test and give drivers clones. Both panic, unless the thread is panicking already, on: recorded
/// violations; memory, sharings or mappings outstanding; memory leaked on purpose, unless the test expects it
/// ([`TestHal::allow_leaks`]).
pub struct TestHal {
    shared: Arc<Shared>,
    /// Made by `new`, and not used as a `Hal` itself.
    observer: AtomicBool,
}

impl fmt::Debug for TestHal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHal").field("outstanding", &self.outstanding()).finish_non_exhaustive()
    }
}

impl Default for TestHal {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for TestHal {
    fn clone(&self) -> Self {
        self.shared.handles.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared), observer: AtomicBool::new(false) }
    }
}

impl Drop for TestHal {
    fn drop(&mut self) {
        let last = self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1;
        let observer = self.observer.load(Ordering::Relaxed);
        if !last && observer {
            // Handles that are still about may be leaked with their memory.
            PARKED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.shared));
        }
        if (last || observer) && !std::thread::panicking() {
            self.finish();
        }
    }
}

impl TestHal {
    /// A fresh world with pages of 4096 bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_page_size(4096)
    }

    /// A fresh world with larger pages.
    ///
    /// # Panics
    /// If `bytes` is no power of two, or below 4096.
    #[must_use]
    pub fn with_page_size(bytes: usize) -> Self {
        assert!(bytes.is_power_of_two() && bytes >= 4096, "a page size is a power of two from 4096 on");
        let state = State {
            map: Map::new(bytes),
            windows: Vec::new(),
            mappings: 0,
            events: Vec::new(),
            faults: Vec::new(),
            leaks: Vec::new(),
            now: Duration::from_secs(1),
            tick: Duration::from_millis(10),
            clock: true,
            spin_budget: None,
            translates: false,
            scatter: false,
            max_segment: usize::MAX,
            calls: BTreeMap::new(),
            fail_in: 0,
            fail_of: BTreeMap::new(),
            panic_at: BTreeMap::new(),
            failed: false,
            on_relax: None,
            when_stuck: WhenStuck::Panic,
            leaks_allowed: false,
            forgiven: false,
            finished: false,
        };
        let shared = Shared { state: Mutex::new(state), handles: AtomicUsize::new(1), page: bytes };
        Self { shared: Arc::new(shared), observer: AtomicBool::new(true) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As `state`, from a call that a driver makes.
    fn used(&self) -> MutexGuard<'_, State> {
        self.observer.store(false, Ordering::Relaxed);
        self.state()
    }

    // What the platform is like.

    /// Splits every sharing at the page boundaries of its buffer.
    pub fn scatter(&self) {
        self.state().scatter = true;
    }

    /// Shares at most `bytes` at a time.
    ///
    /// # Panics
    /// If `bytes` is 0.
    pub fn set_max_segment(&self, bytes: usize) {
        assert!(bytes > 0, "a segment is never empty");
        self.state().max_segment = bytes;
    }

    /// Says whether device addresses are translated ([`Hal::translates`]).
    pub fn set_translates(&self, translates: bool) {
        self.state().translates = translates;
    }

    /// By how much every [`Hal::relax`] advances the clock.
    pub fn set_tick(&self, tick: Duration) {
        self.state().tick = tick;
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now += by;
        state.events.push(Event::Clock(by));
    }

    /// Takes the clock away, and bounds waits by a number of polls, or not at all.
    pub fn without_clock(&self, spin_budget: Option<u64>) {
        let mut state = self.state();
        state.clock = false;
        state.spin_budget = spin_budget;
    }

    /// Puts a block of fake registers at a physical address, for [`Hal::map_mmio`] to find. 0 at first.
    ///
    /// # Panics
    /// If the block is empty or overlaps another.
    pub fn add_registers(&self, address: PhysAddr, len: usize) -> FakeRegisters {
        let mut state = self.state();
        let window = Window::new(address.get(), len);
        assert!(state.windows.iter().all(|other| !other.overlaps(&window)), "register blocks overlap");
        let registers = window.registers();
        state.windows.push(window);
        registers
    }

    // Trouble.

    /// Makes the `n`-th allocation or sharing from now on fail, once: DMA pages, private pages and sharings count
    /// together. 1 is the next one; 0 takes it back.
    pub fn fail_nth(&self, n: u64) {
        let mut state = self.state();
        state.fail_in = n;
        state.failed = false;
    }

    /// Makes the `n`-th call of one kind from now on fail, once. 1 is the next one; 0 takes it back.
    pub fn fail_nth_of(&self, call: Call, n: u64) {
        let mut state = self.state();
        state.fail_of.insert(call, n);
        state.failed = false;
    }

    /// Whether a failure asked for by [`TestHal::fail_nth`] or [`TestHal::fail_nth_of`] has happened. A loop over *n*
    /// ends when it has not.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// Makes the `n`-th call of one kind from now on panic, once.
    pub fn panic_nth(&self, call: Call, n: u64) {
        self.state().panic_at.insert(call, n);
    }

    /// Runs `hook` at every [`Hal::relax`]: the device's chance to work while the driver waits.
    pub fn on_relax(&self, hook: impl FnMut() + Send + 'static) {
        self.state().on_relax = Some(Box::new(hook));
    }

    /// Ends the process with `code` in [`Hal::stuck`], for tests in a child process. Otherwise `stuck` panics with
    /// a message that starts with `virtio-testkit: stuck`. That is sound here, because devices only ever reach bounce
    /// pages.
    pub fn exit_when_stuck(&self, code: i32) {
        self.state().when_stuck = WhenStuck::Exit(code);
    }

    /// Expects memory to be leaked on purpose: [`TestHal::finish`] does not complain of it.
    pub fn allow_leaks(&self) {
        self.state().leaks_allowed = true;
    }

    /// Expects memory to be lost without a report as well, as after `mem::forget` of a driver.
    pub fn allow_outstanding(&self) {
        let mut state = self.state();
        state.forgiven = true;
        state.leaks_allowed = true;
    }

    // What happened.

    /// What is taken and not given back.
    #[must_use]
    pub fn outstanding(&self) -> Outstanding {
        let state = self.state();
        let count = |kind| {
            state.map.blocks.values().filter(|block| block.kind == kind && block.life == Life::Live).count()
        };
        Outstanding {
            dma: count(Kind::Dma),
            private: count(Kind::Private),
            shares: count(Kind::Share),
            mappings: state.mappings,
        }
    }

    /// Memory that was leaked on purpose, in order.
    #[must_use]
    pub fn leaks(&self) -> Vec<Leaked> {
        self.state().leaks.clone()
    }

    /// Violations so far: what would fail the test at its end.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    /// Takes the violations out, for a test that expects them.
    pub fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.state().faults)
    }

    /// How often a driver made a call.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.state().calls.get(&call).copied().unwrap_or(0)
    }

    /// Everything that happened, in order.
    #[must_use]
    pub fn trace(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// Forgets the trace so far.
    pub fn clear_trace(&self) {
        self.state().events.clear();
    }

    /// Appends to the trace.
    pub fn record(&self, event: Event) {
        self.state().events.push(event);
    }

    /// Records a violation: the test fails at its end.
    pub fn fault(&self, what: impl Into<String>) {
        self.state().faults.push(what.into());
    }

    /// The memory as a device sees it.
    #[must_use]
    pub fn memory(&self) -> DeviceMemory {
        DeviceMemory { hal: Arc::clone(&self.shared), hostile: false }
    }

    /// Checks everything now: the end of a test.
    ///
    /// # Panics
    /// On violations, outstanding memory, sharings and mappings, and unexpected leaks. Only once: what was reported here
    /// is not reported again when handles are dropped.
    pub fn finish(&self) {
        let outstanding = self.outstanding();
        let mut state = self.state();
        if std::mem::replace(&mut state.finished, true) {
            return;
        }
        // A hook may own devices that lead back here.
        let hook = state.on_relax.take();
        let mut complaints = std::mem::take(&mut state.faults);
        complaints.extend(state.map.inspect());
        if !outstanding.is_none() && !state.forgiven {
            complaints.push(format!("not given back: {outstanding:?}"));
        }
        if !state.leaks.is_empty() && !state.leaks_allowed {
            complaints.push(format!("leaked: {:?}", state.leaks));
        }
        drop(state);
        drop(hook);
        assert!(complaints.is_empty(), "virtio-testkit: {}", complaints.join("; "));
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
        Ok(Segment { device, len, bounce: Some(bounce) })
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

    fn page_size(&self) -> usize {
        self.shared.page
    }

    fn translates(&self) -> bool {
        self.used().translates
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

/// Guest memory as a device sees it: by device address, checked.
///
/// An access to memory that is not the device's (any more) fails with an explanation, and is recorded as a violation that
/// fails the test, unless the device is [declared hostile](DeviceMemory::hostile).
#[derive(Clone)]
pub struct DeviceMemory {
    hal: Arc<Shared>,
    hostile: bool,
}

impl fmt::Debug for DeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceMemory").field("hostile", &self.hostile).finish_non_exhaustive()
    }
}

impl DeviceMemory {
    /// The same memory for a device that is expected to go astray: it may write what it should only read, as if no IOMMU
    /// were there, and the test does not fail when it is stopped.
    #[must_use]
    pub fn hostile(mut self) -> Self {
        self.hostile = true;
        self
    }

    /// Appends to the trace.
    pub(crate) fn record(&self, event: Event) {
        self.hal.state.lock().unwrap_or_else(PoisonError::into_inner).events.push(event);
    }

    /// Records a violation.
    pub(crate) fn fault(&self, what: String) {
        self.hal.state.lock().unwrap_or_else(PoisonError::into_inner).faults.push(what);
    }

    fn run<V>(&self, access: impl FnOnce(&Map) -> Result<V, String>) -> Result<V, String> {
        let mut state = self.hal.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = access(&state.map);
        if let Err(why) = &answer {
            if !self.hostile {
                state.faults.push(why.clone());
            }
        }
        answer
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String> {
        self.run(|map| map.read(address.get(), bytes, self.hostile))
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String> {
        // Checked before the buffer is made, for `len` may be anything.
        self.run(|map| map.reach(address.get(), len, false, self.hostile).map(drop))?;
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String> {
        self.run(|map| map.write(address.get(), bytes, self.hostile))
    }

    /// Reads a 16-bit field in memory order, atomically, before everything read later.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn load16(&self, address: DeviceAddr) -> Result<u16, String> {
        self.run(|map| map.load16(address.get(), self.hostile))
    }

    /// Writes a 16-bit field in memory order, atomically, after everything written before.
    ///
    /// # Errors
    /// Why the device may not.
    pub fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        self.run(|map| map.store16(address.get(), raw, self.hostile))
    }
}
