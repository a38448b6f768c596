//! How the machine is left, with a verdict for whoever started it.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// Ends QEMU: with exit code 0 by PSCI on success, with 1 by semihosting otherwise (PSCI carries no code).
pub fn power_off(success: bool) -> ! {
    static SEMIHOSTING_TRIED: AtomicBool = AtomicBool::new(false);

    // Without `-semihosting-config enable=on` the call is an undefined instruction, whose handler ends here again.
    if !success && !SEMIHOSTING_TRIED.swap(true, Ordering::Relaxed) {
        semihosting_exit(1);
    }
    psci_system_off()
}

fn semihosting_exit(code: u64) {
    /// Operation: leave.
    const SYS_EXIT: u64 = 0x18;
    /// Reason: the application ended by itself.
    const APPLICATION_EXIT: u64 = 0x20026;

    let block = [APPLICATION_EXIT, code];
    // SAFETY: the call reads `block`, which outlives it, and does not return where semihosting is on.
    unsafe { asm!("hlt #0xf000", in("x0") SYS_EXIT, in("x1") &block) };
}

fn psci_system_off() -> ! {
    const SYSTEM_OFF: u64 = 0x8400_0008;
    // SAFETY: PSCI 1.0 §5.9: turns the machine off and does not return. Should it be refused, the CPU sleeps.
    unsafe { asm!("hvc #0", "0: wfi", "b 0b", in("x0") SYSTEM_OFF, options(noreturn)) }
}
