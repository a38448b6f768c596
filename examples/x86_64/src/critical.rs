//! `critical-section` for this kernel: one CPU, so switching its interrupts off is all that is needed.

use core::arch::asm;
use critical_section::RawRestoreState;

struct InterruptsOff;
critical_section::set_impl!(InterruptsOff);

/// `RFLAGS.IF`: interrupts are on.
const ON: u64 = 1 << 9;

// SAFETY: nothing else runs between `acquire` and `release`: the other CPUs were never started, and interrupts
// are off. Neither block has `nomem`, so no memory access is moved out of the section.
unsafe impl critical_section::Impl for InterruptsOff {
    unsafe fn acquire() -> RawRestoreState {
        let flags: u64;
        // SAFETY: reads the flags by way of the stack, then clears the one for interrupts.
        unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
        flags & ON != 0
    }

    unsafe fn release(were_on: RawRestoreState) {
        if were_on {
            // SAFETY: they were on when this section began.
            unsafe { asm!("sti", options(nostack)) };
        }
    }
}
