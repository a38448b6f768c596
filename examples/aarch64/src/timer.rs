//! The generic timer, which ends a sleep: the virtual one, which a kernel at EL1 has wherever it runs.

use core::arch::asm;
use core::time::Duration;

/// Its interrupt: one of the CPU's own, by Arm's base system architecture.
pub const INTERRUPT: u32 = 27;

/// Control register: it runs.
const ON: u64 = 1;

/// Interrupts after so long.
pub fn set(after: Duration) {
    let hertz: u64;
    // SAFETY: reads how fast the counter is.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack)) };
    let ticks = after.as_nanos().saturating_mul(hertz.into()) / 1_000_000_000;
    // It counts down in 31 bits. Earlier than asked for is a sleep that ends for nothing.
    let ticks = ticks.clamp(1, i32::MAX as u128) as u64;
    // SAFETY: the timer's own registers.
    unsafe {
        asm!("msr cntv_tval_el0, {}", "msr cntv_ctl_el0, {}", "isb",
             in(reg) ticks, in(reg) ON, options(nomem, nostack));
    }
}

/// Interrupts no more.
pub fn stop() {
    // SAFETY: the timer's control register.
    unsafe { asm!("msr cntv_ctl_el0, xzr", "isb", options(nomem, nostack)) };
}
