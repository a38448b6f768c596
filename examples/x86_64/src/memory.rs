//! Which RAM the kernel may give out, from the memory map that the boot protocol hands over.

use crate::paging;
use crate::start::{KIND_RAM, StartInfo};
use core::ops::Range;

/// The largest range of RAM, in physical addresses, that lies beyond the kernel and is mapped.
pub fn free_ram(start: &StartInfo) -> Range<u64> {
    start
        .map()
        .filter(|entry| entry.kind == KIND_RAM)
        .map(|entry| entry.address.max(kernel_end())..(entry.address + entry.size).min(paging::RAM.end))
        .max_by_key(|range| range.end.saturating_sub(range.start))
        .expect("the memory map has RAM")
}

/// Where the kernel's image ends, as a physical address.
fn kernel_end() -> u64 {
    unsafe extern "C" {
        static __image_end: u8;
    }
    (&raw const __image_end as usize - paging::KERNEL_BASE) as u64
}
