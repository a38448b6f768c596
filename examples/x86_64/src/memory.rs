//! Which RAM the kernel may give out, from the memory map that the boot protocol (PVH) hands over.

use crate::paging;
use core::ops::Range;
use core::ptr::read_unaligned;

/// Start information: only the fields up to the memory map matter here.
#[repr(C)]
#[derive(Clone, Copy)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    /// Physical address of the map; from version 1 on.
    map: u64,
    map_entries: u32,
    reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct MapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

const MAGIC: u32 = 0x336e_c578;
const KIND_RAM: u32 = 1;

/// The largest range of RAM, in physical addresses, that lies beyond the kernel and is mapped.
///
/// # Safety
///
/// `start_info` is the physical address that the boot protocol handed over, and nothing was written there since.
pub unsafe fn free_ram(start_info: usize) -> Range<u64> {
    // SAFETY: RAM is mapped at `OFFSET`, and the structure is plain numbers.
    let info = unsafe { read_unaligned((start_info + paging::OFFSET) as *const StartInfo) };
    assert!(info.magic == MAGIC && info.version >= 1, "no memory map: boot by PVH");

    let map = (info.map as usize + paging::OFFSET) as *const MapEntry;
    // SAFETY: as many entries stand there as the structure says.
    let entries = (0..info.map_entries as usize).map(|i| unsafe { read_unaligned(map.add(i)) });
    entries
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
