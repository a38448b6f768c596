//! The Hal of a test: strict, bouncing, counting.

mod calls;
mod pin;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use virtio_core::{Leaked, PhysAddr};

use crate::memory::{Kind, Life, Map};
use crate::registers::{FakeRegisters, Window};
use crate::trace::Event;

pub use pin::Pinned;
pub use view::DeviceMemory;

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
    domain: u64,
}

/// How many worlds there are so far.
static WORLDS: AtomicUsize = AtomicUsize::new(0);

/// Keeps what leaked handles refer to reachable, so that leak checkers (Miri's) know that it is leaked on purpose.
static PARKED: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

/// A [`Hal`](virtio_core::Hal) for host tests: bounces every shared buffer, counts everything, forgives nothing.
///
/// * Pages are page-aligned real memory. Their device addresses are made up, far away from pointers and never reused, so a
///   driver that mixes the two up fails at once.
/// * Fresh memory is filled with rubbish, freed memory is poisoned and quarantined; fences around every block are checked.
/// * [`Hal::share`](virtio_core::Hal::share) always bounces, optionally in pieces ([`TestHal::scatter`], [`TestHal::set_max_segment`]) whose
///   device addresses run backwards. [`Hal::unshare`](virtio_core::Hal::unshare) must match a sharing exactly, and copies back only what was written.
/// * Time is virtual: every [`Hal::relax`](virtio_core::Hal::relax) advances it by 10 ms ([`TestHal::set_tick`]), so timeouts take no time.
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
        let domain = WORLDS.fetch_add(1, Ordering::Relaxed) as u64;
        let shared = Shared { state: Mutex::new(state), handles: AtomicUsize::new(1), page: bytes, domain };
        Self { shared: Arc::new(shared), observer: AtomicBool::new(true) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Says whether device addresses are translated ([`Hal::translates`](virtio_core::Hal::translates)).
    pub fn set_translates(&self, translates: bool) {
        self.state().translates = translates;
    }

    /// By how much every [`Hal::relax`](virtio_core::Hal::relax) advances the clock.
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

    /// Puts a block of fake registers at a physical address, for [`Hal::map_mmio`](virtio_core::Hal::map_mmio) to find. 0 at first.
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

    /// Runs `hook` at every [`Hal::relax`](virtio_core::Hal::relax): the device's chance to work while the driver waits.
    pub fn on_relax(&self, hook: impl FnMut() + Send + 'static) {
        self.state().on_relax = Some(Box::new(hook));
    }

    /// Ends the process with `code` in [`Hal::stuck`](virtio_core::Hal::stuck), for tests in a child process. Otherwise `stuck` panics with
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
        DeviceMemory::new(Arc::clone(&self.shared))
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
}
