//! What should never happen, a panic or a CPU exception, ends the machine with one line that says why.

use crate::{exit, serial::Serial};
use core::arch::{asm, global_asm};
use core::fmt::Write;
use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // Writing to the serial line cannot fail.
    let _ = write!(Serial, "\nFAILED: {}", info.message());
    if let Some(place) = info.location() {
        let _ = writeln!(Serial, " ({place})");
    }
    exit::power_off(false)
}

// Sixteen entries of 128 bytes: four kinds of exception from four places. An interrupt of the kernel itself is the only one
// that is expected; all others go one way.
global_asm!(
    r#"
    .text
    .balign 2048
    .global vectors
vectors:
    .rept   5
    .balign 128
    b       exception
    .endr
    .balign 128
    b       interrupt_entry
    .rept   10
    .balign 128
    b       exception
    .endr
"#
);

#[unsafe(no_mangle)]
extern "C" fn exception() -> ! {
    let (syndrome, address, instruction): (u64, u64, u64);
    // SAFETY: reads three registers that say what the exception was about.
    unsafe {
        asm!("mrs {}, esr_el1", "mrs {}, far_el1", "mrs {}, elr_el1",
             out(reg) syndrome, out(reg) address, out(reg) instruction, options(nomem, nostack));
    }
    panic!("exception {syndrome:#x} at instruction {instruction:#x}, address {address:#x}")
}
