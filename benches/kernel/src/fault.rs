//! What should never happen ends the machine with one line that says why. There are no interrupts here.

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

use crate::host::{self, say};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("FAILED: {info}");
    host::leave(1)
}

global_asm!(
    r#"
    .text
    .balign 2048
    .global vectors
vectors:
    .rept   16
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
