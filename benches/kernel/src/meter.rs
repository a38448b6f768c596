//! What is measured: instructions of this CPU, or time.
//!
//! **Instructions** are counted by the CPU's own counter (PMU event 0x08, "instruction architecturally executed"). Under QEMU's
//! `-icount` it is exact: QEMU counts guest instructions itself, and ends a block of code where the counter is read. Waiting for
//! the device is cut out ([`pause`], [`resume`]): how long that takes is the host's affair, and not the driver's.
//!
//! **Time** is that of the host: the generic timer, which QEMU runs by the host's clock unless instructions are counted.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// PMU event: instruction architecturally executed.
const INST_RETIRED: u64 = 0x08;

static COUNTING: AtomicBool = AtomicBool::new(false);
static LAST: AtomicU64 = AtomicU64::new(0);
static SUM: AtomicU64 = AtomicU64::new(0);
static PAUSES: AtomicU64 = AtomicU64::new(0);
/// What a pause itself adds, in thousandths.
static PAUSE_COST: AtomicU64 = AtomicU64::new(0);

/// Whether instructions are counted; it is time otherwise.
pub fn counting() -> bool {
    COUNTING.load(Relaxed)
}

/// Sets the meter up. Instructions need QEMU's `-icount`.
pub fn init(counting: bool) {
    COUNTING.store(counting, Relaxed);
    if !counting {
        return;
    }
    let events: u64;
    // SAFETY: registers of the performance monitor, which nobody else uses: which events there are; counter 0 counts
    // instructions; it is switched on, and the monitor too (PMCR_EL0.E).
    unsafe {
        asm!("mrs {events}, pmceid0_el0", "msr pmevtyper0_el0, {event}", "msr pmcntenset_el0, {one}",
             "mrs {control}, pmcr_el0", "orr {control}, {control}, #1", "msr pmcr_el0, {control}", "isb",
             events = out(reg) events, event = in(reg) INST_RETIRED, one = in(reg) 1_u64, control = out(reg) _,
             options(nomem, nostack));
    }
    assert!(events >> INST_RETIRED & 1 == 1, "instructions are not counted: QEMU needs -icount");
    // What is known is counted as what it is.
    let before = read();
    // SAFETY: 1000 times two instructions, and one before them, that change one register.
    unsafe {
        asm!("mov {left}, #1000", "0: subs {left}, {left}, #1", "b.ne 0b", left = out(reg) _, options(nomem, nostack));
    }
    let counted = read().wrapping_sub(before);
    assert!((2001..2010).contains(&counted), "2001 instructions were counted as {counted}");
    start();
    for _ in 0..1000 {
        pause();
        resume();
    }
    // So far a pause counts as free.
    PAUSE_COST.store(stop(), Relaxed);
}

/// The counter. Of instructions, 32 bits are there.
#[inline(always)]
fn read() -> u64 {
    let value: u64;
    if counting() {
        // SAFETY: reads a counter.
        unsafe { asm!("mrs {}, pmevcntr0_el0", out(reg) value, options(nomem, nostack)) };
    } else {
        // SAFETY: reads a counter, after what comes before it.
        unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack)) };
    }
    value
}

/// Begins to measure.
#[inline(never)]
pub fn start() {
    SUM.store(0, Relaxed);
    PAUSES.store(0, Relaxed);
    LAST.store(read(), Relaxed);
}

/// Does not measure what follows.
#[inline(never)]
pub fn pause() {
    let piece = read().wrapping_sub(LAST.load(Relaxed));
    let piece = if counting() { u64::from(piece as u32) } else { piece };
    SUM.store(SUM.load(Relaxed) + piece, Relaxed);
    PAUSES.store(PAUSES.load(Relaxed) + 1, Relaxed);
}

/// Measures again.
#[inline(never)]
pub fn resume() {
    LAST.store(read(), Relaxed);
}

/// Instructions or ticks since [`start`], without what was between [`pause`] and [`resume`].
#[inline(never)]
pub fn stop() -> u64 {
    pause();
    let sum = SUM.load(Relaxed);
    if counting() { sum.saturating_sub(PAUSES.load(Relaxed) * PAUSE_COST.load(Relaxed) / 1000) } else { sum }
}

/// Ticks of the clock in a second.
pub fn hertz() -> u64 {
    let hertz: u64;
    // SAFETY: reads a register that says how fast the timer is.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack)) };
    hertz
}
