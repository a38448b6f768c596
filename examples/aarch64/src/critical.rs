//! `critical-section` for this kernel: one CPU, so masking its interrupts is all that is needed.

use core::arch::asm;
use critical_section::RawRestoreState;

struct InterruptsMasked;
critical_section::set_impl!(InterruptsMasked);

/// `DAIF.I`: interrupts are masked.
const MASKED: u64 = 1 << 7;

// SAFETY: nothing else runs between `acquire` and `release`: the other CPUs were never started, and interrupts
// are masked. Neither block has `nomem`, so no memory access is moved out of the section.
unsafe impl critical_section::Impl for InterruptsMasked {
    unsafe fn acquire() -> RawRestoreState {
        let daif: u64;
        // SAFETY: reads the mask bits, then sets the one for interrupts.
        unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) daif, options(nostack)) };
        daif & MASKED == 0
    }

    unsafe fn release(were_on: RawRestoreState) {
        if were_on {
            // SAFETY: they were on when this section began.
            unsafe { asm!("msr daifclr, #2", options(nostack)) };
        }
    }
}
