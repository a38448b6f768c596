//! The first instructions: from the PVH hand-over to Rust.
//!
//! A note in the ELF file names the entry. The CPU arrives there in 32-bit protected mode with paging off and the
//! physical address of the start information in `ebx`. It leaves in 64-bit mode, at the kernel's high addresses,
//! with the identity map that the change needed taken away again.

use crate::paging::KERNEL_BASE;
use core::arch::global_asm;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 8, 18            // sizes of name and value; type: 32-bit entry point
    .asciz  "Xen"
    .quad   _start - {base}

    .section .head, "ax"
    .code32
    .global _start
_start:
    cld
    movl    $(root_table - {base}), %eax
    movl    %eax, %cr3
    movl    %cr4, %eax
    orl     $(1 << 5), %eax     // PAE: entries of 8 bytes
    movl    %eax, %cr4
    movl    $0xc0000080, %ecx   // EFER
    rdmsr
    orl     $(1 << 8), %eax     // LME: 64-bit mode once paging is on
    wrmsr
    movl    %cr0, %eax
    orl     $(1 << 31), %eax    // PG: paging on
    movl    %eax, %cr0
    lgdt    gdt_pointer_low - {base}
    ljmp    $8, $(long_mode - {base})

    .code64
long_mode:                      // still at a low address
    movabsq $high, %rax
    jmpq    *%rax
high:
    movq    $0, root_table(%rip) // the identity map
    movq    %cr3, %rax
    movq    %rax, %cr3
    lgdt    gdt_pointer(%rip)
    movl    $16, %eax
    movl    %eax, %ss
    movl    %eax, %ds
    movl    %eax, %es

    leaq    __bss_start(%rip), %rdi
    leaq    __bss_end(%rip), %rcx
    subq    %rdi, %rcx
    xorl    %eax, %eax
    rep stosb

    leaq    __stack_top(%rip), %rsp
    movl    %ebx, %edi          // start information, physical address
    xorl    %ebp, %ebp          // ends a debugger's stack trace
    pushq   $0
    jmp     kernel_main

    .section .rodata.gdt, "a"
    .balign 8
gdt:
    .quad   0
    .quad   0x00af9a000000ffff  // 8: 64-bit code
    .quad   0x00cf92000000ffff  // 16: data
gdt_pointer_low:
    .short  23
    .long   gdt - {base}
gdt_pointer:
    .short  23
    .quad   gdt
    .text
"#,
    base = const KERNEL_BASE,
    options(att_syntax)
);
