//! How fast the time-stamp counter is, measured once against the timer of the first PC, the 8254.

use crate::port;
use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};

/// No CPU's counter is faster. Where it cannot be measured, a bound lasts longer than asked for, never shorter.
const FASTEST: u64 = 8_000_000_000;

/// Ticks in a second.
static HERTZ: AtomicU64 = AtomicU64::new(FASTEST);

/// The 8254's first counter, which nobody uses here, and its command register.
const COUNTER: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Commands: counts down once, from a value of two bytes; latches the state.
const ONCE: u8 = 0b0011_0000;
const LATCH_STATE: u8 = 0b1110_0010;
/// In the state: it has counted down.
const DONE: u8 = 1 << 7;

/// What it counts in a second, and in one measurement of 5 ms.
const RATE: u64 = 1_193_182;
const COUNT: u16 = (RATE / 200) as u16;
/// Something else may take a measurement's time, never give it time: the shortest is the best.
const MEASUREMENTS: usize = 4;

/// Ticks of the time-stamp counter in a second.
pub fn hertz() -> u64 {
    HERTZ.load(Ordering::Relaxed)
}

/// Measures it. To be called once, at the start.
pub fn init() {
    if let Some(shortest) = (0..MEASUREMENTS).filter_map(|_| measure()).min() {
        HERTZ.store((shortest * RATE / u64::from(COUNT)).min(FASTEST), Ordering::Relaxed);
    }
}

/// Ticks while the counter goes down once; `None` if there is no 8254, or it does not count.
fn measure() -> Option<u64> {
    let [low, high] = COUNT.to_le_bytes();
    let start = ticks();
    for (register, value) in [(COMMAND, ONCE), (COUNTER, low), (COUNTER, high)] {
        // SAFETY: the counter's own registers. Its interrupt goes nowhere.
        unsafe { port::write8(register, value) };
    }
    if done() {
        return None;
    }
    // A second, at least: it takes 5 ms.
    while ticks() - start < FASTEST {
        if done() {
            return Some(ticks() - start);
        }
    }
    None
}

fn done() -> bool {
    // SAFETY: the counter's own registers: its state is latched, then read.
    let state = unsafe {
        port::write8(COMMAND, LATCH_STATE);
        port::read8(COUNTER)
    };
    state & DONE != 0
}

/// Waits for a part of a second: the `part`th.
pub fn pause(part: u32) {
    let (start, wanted) = (ticks(), hertz() / u64::from(part));
    while ticks() - start < wanted {
        core::hint::spin_loop();
    }
}

fn ticks() -> u64 {
    // SAFETY: every 64-bit CPU has the counter, and reading it has no effect.
    unsafe { _rdtsc() }
}
