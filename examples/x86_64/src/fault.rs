//! What should never happen, a panic or a CPU exception, ends the machine with one line that says why.

use crate::{exit, serial::Serial};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
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
    .rept   32
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
    options(att_syntax)
);

/// The interrupt descriptor table: as many gates as there are exceptions.
#[repr(C, align(16))]
struct Gates(UnsafeCell<[[u32; 4]; 32]>);

// SAFETY: written by `init` only, which runs once before anything else does.
unsafe impl Sync for Gates {}

static GATES: Gates = Gates(UnsafeCell::new([[0; 4]; 32]));

/// What `lidt` reads: size less one, and address.
#[repr(C, packed)]
struct Pointer(u16, *const Gates);

/// From here on a CPU exception is reported. To be called once, first of all.
pub fn init() {
    unsafe extern "C" {
        static traps: [[u8; 16]; 32];
    }
    // SAFETY: called before anything else could look at the gates.
    let gates = unsafe { &mut *GATES.0.get() };
    for (number, gate) in gates.iter_mut().enumerate() {
        let entry = &raw const traps as u64 + 16 * number as u64;
        // Code segment 8; present, 64-bit interrupt gate; the address in three pieces.
        *gate =
            [8 << 16 | entry as u32 & 0xffff, entry as u32 & 0xffff_0000 | 0x8e00, (entry >> 32) as u32, 0];
    }
    let pointer = Pointer(size_of::<Gates>() as u16 - 1, &GATES);
    // SAFETY: the table is static and complete.
    unsafe { asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags)) };
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
