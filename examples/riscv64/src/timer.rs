//! The timer, which ends a sleep: OpenSBI sets it (SBI 2.0 §6.1), and the hart is interrupted.

use core::arch::asm;
use core::time::Duration;

/// The extension's number, "TIME", and its only function.
const TIME: usize = 0x5449_4d45;
const SET_TIMER: usize = 0;
/// In `sie`: the supervisor's timer.
const ENABLE: usize = 1 << 5;

/// Interrupts after so long; the `time` register counts so many ticks a second. False if OpenSBI cannot.
pub fn set(after: Duration, hertz: u64) -> bool {
    let now: u64;
    // SAFETY: reads a counter.
    unsafe { asm!("rdtime {}", out(reg) now, options(nomem, nostack)) };
    let ticks = after.as_nanos().saturating_mul(hertz.into()) / 1_000_000_000;
    let at = now.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX)) as usize;
    let error: usize;
    // SAFETY: a call of OpenSBI's, which keeps all registers but these two, and no memory is used.
    unsafe {
        asm!("ecall", inout("a0") at => error, out("a1") _, in("a6") SET_TIMER, in("a7") TIME, options(nostack));
    }
    if error == 0 {
        // SAFETY: the trap stops the timer.
        unsafe { asm!("csrs sie, {}", in(reg) ENABLE, options(nostack)) };
    }
    error == 0
}

/// Interrupts no more, until it is set again.
pub fn stop() {
    // SAFETY: an interrupt less.
    unsafe { asm!("csrc sie, {}", in(reg) ENABLE, options(nostack)) };
}
