//! Where the hart goes on an interrupt, and on an exception, which nobody expects.

use crate::{interrupt, timer};
use core::arch::{asm, global_asm};

/// `scause`: it was an interrupt.
const INTERRUPT: usize = 1 << (usize::BITS - 1);
/// The timer's, and the interrupt controller's.
const TIMER: usize = 5;
const EXTERNAL: usize = 9;

// The address must be a multiple of 4. Saved is what a call may change: the general and the float registers that are not
// kept across calls. Interrupts stay off, so the return address and what was on before do.
global_asm!(
    r#"
    .text
    .option push
    .option arch, +d            // the target's own, which this assembler is not told of
    .macro  each integer, floating   // register that a call may change, and its place
    .set    place, 8
    .irp    register, t0, t1, t2, t3, t4, t5, t6, a0, a1, a2, a3, a4, a5, a6, a7
    \integer \register, place(sp)
    .set    place, place + 8
    .endr
    .irp    register, ft0, ft1, ft2, ft3, ft4, ft5, ft6, ft7, ft8, ft9, ft10, ft11
    \floating \register, place(sp)
    .set    place, place + 8
    .endr
    .irp    register, fa0, fa1, fa2, fa3, fa4, fa5, fa6, fa7
    \floating \register, place(sp)
    .set    place, place + 8
    .endr
    .endm
    .balign 4
    .global trap
trap:
    addi    sp, sp, -304
    sd      ra, 0(sp)
    each    sd, fsd
    frcsr   t0
    sd      t0, place(sp)
    csrr    a0, scause
    call    trapped
    ld      t0, place(sp)
    fscsr   t0
    ld      ra, 0(sp)
    each    ld, fld
    addi    sp, sp, 304
    sret
    .option pop
"#
);

#[unsafe(no_mangle)]
extern "C" fn trapped(cause: usize) {
    if cause == INTERRUPT | EXTERNAL {
        return interrupt::external();
    }
    if cause == INTERRUPT | TIMER {
        return timer::stop();
    }
    let (address, instruction): (usize, usize);
    // SAFETY: reads two registers that say what the exception was about.
    unsafe {
        asm!("csrr {}, stval", "csrr {}, sepc", out(reg) address, out(reg) instruction, options(nomem, nostack));
    }
    panic!("exception {cause:#x} at instruction {instruction:#x}, address {address:#x}")
}
