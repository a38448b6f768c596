//! Memory map: physical memory appears at an offset, the kernel itself in the highest 2 GiB, nothing anywhere else.
//!
//! Many kernels look like this, and it shows drivers that take a physical address for a pointer. The tables are
//! constants in the image, in pages of 2 MiB; the CPU alone writes to them (accessed and dirty bits).
//!
//! | physical address | what is there | mapped as |
//! |---|---|---|
//! | 0 – `0xb000_0000` | RAM | write-back |
//! | `0xb000_0000` – 4 GiB | PCI windows, virtio slots, interrupt controllers | uncached |
//! | 32 – 33 GiB | 64-bit PCI window | uncached |

use core::arch::global_asm;
use core::ops::Range;

/// What to add to a physical address to get a pointer.
pub const OFFSET: usize = 0xffff_8000_0000_0000;
/// What to add to a physical address inside the kernel's image to get the address it is linked for.
pub const KERNEL_BASE: usize = 0xffff_ffff_8000_0000;
/// Physical addresses that are mapped cacheable: RAM is used from here only.
pub const RAM: Range<u64> = 0..0xb000_0000;
/// Physical addresses for memory windows of PCI devices above 4 GiB; no machine with less RAM than that has any here.
pub const HIGH_WINDOW: Range<u64> = 32 * GIB..33 * GIB;

const GIB: u64 = 1 << 30;
const PAGE: u64 = 2 << 20;

/// Present, writable, a page rather than a table.
const CACHED: u64 = 1 | 1 << 1 | 1 << 7;
/// The same with PWT and PCD: uncached.
const UNCACHED: u64 = CACHED | 1 << 3 | 1 << 4;

/// Levels of the translation table: 512 entries of 8 bytes each.
#[repr(C, align(4096))]
struct Table<const N: usize>([u64; N]);

#[unsafe(link_section = ".data.tables")]
static LOW: Table<2048> = pages(0);
#[unsafe(link_section = ".data.tables")]
static HIGH: Table<512> = pages(HIGH_WINDOW.start);

/// `N` pages from `base` on.
const fn pages<const N: usize>(base: u64) -> Table<N> {
    let mut table = Table([0; N]);
    let mut i = 0;
    while i < N {
        let address = base + i as u64 * PAGE;
        table.0[i] = address | if address < RAM.end { CACHED } else { UNCACHED };
        i += 1;
    }
    table
}

global_asm!(
    r#"
    .section .data.tables, "aw"
    .balign 4096
    .global root_table
root_table:
    .quad   by_offset - {base} + 3     // the identity map, until the boot code has left it
    .fill   255, 8, 0
    .quad   by_offset - {base} + 3     // OFFSET
    .fill   254, 8, 0
    .quad   kernel - {base} + 3        // KERNEL_BASE
by_offset:
    .quad   {low} - {base} + 0x0003
    .quad   {low} - {base} + 0x1003
    .quad   {low} - {base} + 0x2003
    .quad   {low} - {base} + 0x3003
    .fill   28, 8, 0
    .quad   {high} - {base} + 3
    .fill   479, 8, 0
kernel:
    .fill   510, 8, 0
    .quad   {low} - {base} + 3
    .quad   0
    .text
"#,
    low = sym LOW,
    high = sym HIGH,
    base = const KERNEL_BASE,
    options(att_syntax)
);
