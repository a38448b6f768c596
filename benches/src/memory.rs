//! Memory for rings and buffers: zeroed pages that stay for the life of the process.
//!
//! **Stays**: a region is leaked on purpose. Every pointer into it is valid until the process ends, so that rings, devices
//! and buffers need no lifetimes. Device addresses are plain addresses of this process.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::ptr::NonNull;

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// `bytes` of zeroed memory, page-aligned, for good.
pub fn pages(bytes: usize) -> NonNull<u8> {
    let layout = Layout::from_size_align(bytes.next_multiple_of(PAGE).max(PAGE), PAGE).expect("a sane size");
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// The device address of memory.
pub fn address<T: ?Sized>(memory: NonNull<T>) -> u64 {
    memory.cast::<u8>().as_ptr().expose_provenance() as u64
}

/// The memory at a device address.
pub fn pointer<T>(address: u64) -> NonNull<T> {
    let pointer = std::ptr::with_exposed_provenance_mut(address as usize);
    NonNull::new(pointer).expect("no ring names address 0")
}
