//! The start information, which the boot protocol (PVH) hands over: the command line, and where the memory map is.

use crate::paging;
use core::ffi::{CStr, c_char};
use core::ptr::read_unaligned;

/// Only the fields up to the memory map matter here.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    /// Physical address of the command line; 0 if there is none.
    command_line: u64,
    /// Physical address of ACPI's root; 0 if there is no ACPI.
    rsdp: u64,
    /// Physical address of the memory map; from version 1 on.
    map: u64,
    map_entries: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<StartInfo>() == 56);

/// A range of physical addresses, and what is there.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MapEntry {
    pub address: u64,
    pub size: u64,
    pub kind: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<MapEntry>() == 24);

const MAGIC: u32 = 0x336e_c578;
/// [`MapEntry::kind`]: RAM that is free to use.
pub const KIND_RAM: u32 = 1;

impl StartInfo {
    /// Reads it.
    ///
    /// # Safety
    ///
    /// `address` is the physical address that the boot protocol handed over. Nothing has been written to what the
    /// start information names, and nothing will be while it is in use.
    pub unsafe fn at(address: usize) -> Self {
        // SAFETY: RAM is mapped at `OFFSET`, and the structure is plain numbers.
        let info = unsafe { read_unaligned((address + paging::OFFSET) as *const Self) };
        assert!(info.magic == MAGIC && info.version >= 1, "no memory map: boot by PVH");
        info
    }

    /// The memory map.
    pub fn map(&self) -> impl Iterator<Item = MapEntry> {
        let first = (self.map as usize + paging::OFFSET) as *const MapEntry;
        // SAFETY: as many entries stand there as the structure says, by the promise to `at`.
        (0..self.map_entries as usize).map(move |i| unsafe { read_unaligned(first.add(i)) })
    }

    /// Does ACPI describe this machine?
    pub fn has_acpi(&self) -> bool {
        self.rsdp != 0
    }

    /// The kernel's command line; empty if there is none, or if it is not text.
    pub fn command_line(&self) -> &str {
        if self.command_line == 0 {
            return "";
        }
        let first = (self.command_line as usize + paging::OFFSET) as *const c_char;
        // SAFETY: the boot protocol ends the text with a zero; the rest is the promise to `at`.
        unsafe { CStr::from_ptr(first) }.to_str().unwrap_or_default()
    }
}
