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

// Its address must be a multiple of 4. There is nothing to come back to, so nothing is saved.
global_asm!(
    r#"
    .text
    .balign 4
    .global trap
trap:
    tail    exception
"#
);

#[unsafe(no_mangle)]
extern "C" fn exception() -> ! {
    let (cause, address, instruction): (usize, usize, usize);
    // SAFETY: reads three registers that say what the exception was about.
    unsafe {
        asm!("csrr {}, scause", "csrr {}, stval", "csrr {}, sepc",
             out(reg) cause, out(reg) address, out(reg) instruction, options(nomem, nostack));
    }
    panic!("exception {cause:#x} at instruction {instruction:#x}, address {address:#x}")
}
