//! What should never happen, a panic or a CPU exception, ends the machine with one line that says why.

use crate::exit;
use crate::idt::{EXCEPTIONS, Entries};
use crate::serial::Serial;
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

// One entry of 16 bytes for each exception: it notes its number and goes on where all go.
global_asm!(
    r#"
    .text
    .balign 16
    .global traps
traps:
    .set    number, 0
    .rept   {exceptions}
    .balign 16
    pushq   $number
    jmp     trap
    .set    number, number + 1
    .endr
trap:
    movq    %rsp, %rdi
    andq    $-16, %rsp
    call    exception
"#,
    exceptions = const EXCEPTIONS,
    options(att_syntax)
);

/// One entry for each exception.
pub fn entries() -> *const Entries<EXCEPTIONS> {
    unsafe extern "C" {
        static traps: Entries<EXCEPTIONS>;
    }
    &raw const traps
}

/// `frame`: the exception's number, its error code if it has one, the address of the instruction.
#[unsafe(no_mangle)]
unsafe extern "C" fn exception(frame: &[u64; 3]) -> ! {
    /// Exceptions that come with an error code.
    const WITH_CODE: u32 = 1 << 8 | 0b11111 << 10 | 1 << 17 | 1 << 21;

    let address: u64;
    // SAFETY: reads the address of the last page fault.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack)) };
    let [number, second, third] = *frame;
    let (code, instruction) = if WITH_CODE >> number & 1 == 1 { (second, third) } else { (0, second) };
    panic!("exception {number}, code {code:#x}, at instruction {instruction:#x}, address {address:#x}")
}
