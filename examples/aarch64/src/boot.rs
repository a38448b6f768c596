//! The first instructions: from the boot loader's hand-over to Rust.
//!
//! The kernel starts as a raw image with the Linux header for arm64, because only that form is given the device
//! tree in `x0`; an ELF file is not. The CPU is at EL1, interrupts masked, MMU and caches off.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .head, "ax"
    .global _start
_start:
    b       begin               // code0: jumped to
    .word   0                   // code1
    .quad   0x200000            // text_offset: load this far above the start of RAM
    .quad   __image_size        // with zeroed data and stack: nothing else is put there
    .quad   0b0010              // flags: little endian, 4 KiB pages
    .quad   0, 0, 0
    .ascii  "ARM\x64"           // magic
    .word   0

    .text
begin:
    mov     x19, x0             // device tree, physical address

    mov     x1, #(0b11 << 20)   // CPACR_EL1.FPEN: compiled code uses the vector registers from here on
    msr     cpacr_el1, x1
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
    msr     vbar_el1, x1
    isb

    bl      enable_mmu          // before the first store: memory is cacheable from the start

    adrp    x1, __bss_start
    add     x1, x1, :lo12:__bss_start
    adrp    x2, __bss_end
    add     x2, x2, :lo12:__bss_end
0:  cmp     x1, x2
    b.hs    1f
    stp     xzr, xzr, [x1], #16
    b       0b

1:  adrp    x1, __stack_top
    add     x1, x1, :lo12:__stack_top
    mov     sp, x1
    mov     x0, x19
    mov     x29, xzr            // ends a debugger's stack trace
    mov     x30, xzr
    b       kernel_main
"#
);
