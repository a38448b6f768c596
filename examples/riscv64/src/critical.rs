//! `critical-section` for this kernel: one hart, so switching its interrupts off is all that is needed.

use core::arch::asm;
use critical_section::RawRestoreState;

struct InterruptsOff;
critical_section::set_impl!(InterruptsOff);

/// `sstatus.SIE`: interrupts are on.
const ON: usize = 1 << 1;

// SAFETY: nothing else runs between `acquire` and `release`: the other harts were never started, and interrupts
// are off. Neither block has `nomem`, so no memory access is moved out of the section.
unsafe impl critical_section::Impl for InterruptsOff {
    unsafe fn acquire() -> RawRestoreState {
        let sstatus: usize;
        // SAFETY: clears the enable bit and gets what was there before.
        unsafe { asm!("csrrci {}, sstatus, {on}", out(reg) sstatus, on = const ON, options(nostack)) };
        sstatus & ON != 0
    }

    unsafe fn release(were_on: RawRestoreState) {
        if were_on {
            // SAFETY: they were on when this section began.
            unsafe { asm!("csrsi sstatus, {on}", on = const ON, options(nostack)) };
        }
    }
}
