//! The first instructions: from OpenSBI's hand-over to Rust.
//!
//! One hart arrives, in supervisor mode, interrupts off, no address translation; the others stay with OpenSBI
//! until asked for. Translation stays off: every address is physical, and the machine itself knows which of them
//! are cacheable memory.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .head, "ax"
    .global _start
_start:
    csrw    sie, zero
    la      t0, trap
    csrw    stvec, t0
    li      t0, 1 << 13         // sstatus.FS = initial: compiled code uses the float registers
    csrs    sstatus, t0
    csrw    fcsr, zero

    la      t0, __bss_start
    la      t1, __bss_end
0:  bgeu    t0, t1, 1f
    sd      zero, (t0)
    addi    t0, t0, 8
    j       0b

1:  la      sp, __stack_top
    mv      a0, a1              // device tree, physical address; the hart's number (a0) is not needed
    mv      fp, zero            // ends a debugger's stack trace
    mv      ra, zero
    tail    kernel_main
"#
);
