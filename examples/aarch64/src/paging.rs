//! Memory map: every address stays what it is (identity map), RAM cacheable, everything else device memory.
//!
//! Without the MMU all memory counts as device memory: unaligned accesses fault, and nothing is cached. So it
//! comes on first. The tables are constants in the image: no code builds them, and one block covers 1 GiB.
//!
//! | physical address | what QEMU's `virt` has there | mapped as |
//! |---|---|---|
//! | 0 – 1 GiB | flash, UART, virtio slots, 32-bit PCI window | device |
//! | 1 – 256 GiB | RAM | normal, write-back |
//! | 256 – 512 GiB | PCI configuration space (ECAM at `0x40_1000_0000`) | device |
//! | 512 – 1024 GiB | 64-bit PCI window | device |

use core::arch::global_asm;

/// One level of the translation table: 512 entries of 8 bytes.
#[repr(C, align(4096))]
struct Table([u64; 512]);

const GIB: u64 = 1 << 30;

/// A 1 GiB block, accessed flag set.
const BLOCK: u64 = 1 | 1 << 10;
/// Memory type 1 of `MAIR_EL1`, inner shareable.
const NORMAL: u64 = BLOCK | 1 << 2 | 0b11 << 8;
/// Memory type 0, never executed.
const DEVICE: u64 = BLOCK | 0b11 << 53;

/// Type 0: device nGnRE (writes may be posted); type 1: normal, write-back, allocating.
const MAIR: u64 = 0xff04;
/// 48-bit addresses by TTBR0 alone (T0SZ = 16, EPD1), 4 KiB pages, table walks cacheable and inner shareable.
const TCR: u64 = 16 | 0b01 << 8 | 0b01 << 10 | 0b11 << 12 | 1 << 23;

/// The first 512 GiB.
static LOW: Table = blocks(0, 1..256);
/// The second 512 GiB.
static HIGH: Table = blocks(512 * GIB, 0..0);

/// 512 blocks from `base` on; those in `ram` are normal memory.
const fn blocks(base: u64, ram: core::ops::Range<u64>) -> Table {
    let mut table = Table([0; 512]);
    let mut i = 0;
    while i < 512 {
        let kind = if ram.start <= i && i < ram.end { NORMAL } else { DEVICE };
        table.0[i as usize] = (base + i * GIB) | kind;
        i += 1;
    }
    table
}

global_asm!(
    r#"
    .section .rodata.root_table, "a"
    .balign 4096
root_table:
    .quad   {low} + 0b11, {high} + 0b11     // next-level tables
    .fill   510, 8, 0

    .text
    // Uses x1 to x3 only, and no stack.
    .global enable_mmu
enable_mmu:
    ldr     x1, ={mair}
    msr     mair_el1, x1
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf                    // physical address size of this CPU
    mov     x2, #5                          // 48 bits: more than that needs other tables
    cmp     x1, x2
    csel    x1, x1, x2, lo
    ldr     x3, ={tcr}
    orr     x1, x3, x1, lsl #32
    msr     tcr_el1, x1
    adrp    x1, root_table
    add     x1, x1, :lo12:root_table
    msr     ttbr0_el1, x1
    dsb     ish
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    mrs     x1, sctlr_el1
    mov     x2, #(1 << 0 | 1 << 2 | 1 << 12) // M, C, I: translation, data and instruction cache on
    orr     x1, x1, x2
    bic     x1, x1, #(1 << 1)               // A: unaligned accesses to normal memory are fine
    bic     x1, x1, #(1 << 19)              // WXN: what is writable may still be executed
    msr     sctlr_el1, x1
    isb
    ret
"#,
    low = sym LOW,
    high = sym HIGH,
    mair = const MAIR,
    tcr = const TCR,
);
