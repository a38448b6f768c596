//! The least that a kernel needs around a disk driver: what to do about a panic, a page or two, and a word to the host.

use core::arch::{asm, global_asm};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

// The example kernel's first instructions and memory map.
#[path = "../../examples/aarch64/src/boot.rs"]
mod boot;
#[path = "../../examples/aarch64/src/paging.rs"]
mod paging;

/// The first slot of QEMU's `virt` machine; the disk is in the last.
pub const SLOTS: usize = 0x0a00_0000;
/// Bytes from slot to slot.
pub const SLOT_LEN: usize = 0x200;
/// Slots.
pub const SLOT_COUNT: usize = 32;
/// Bytes in a page.
pub const PAGE: usize = 4096;

global_asm!(
    r#"
    .text
    .balign 2048
    .global vectors
vectors:
    .rept   16
    .balign 128
    b       fault
    .endr
"#
);

#[unsafe(no_mangle)]
extern "C" fn fault() -> ! {
    leave(2)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(3)
}

/// Fresh, zeroed pages in a row, for good.
pub fn pages(count: usize) -> NonNull<u8> {
    unsafe extern "C" {
        static __image_end: u8;
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = match NEXT.load(Relaxed) {
        0 => (&raw const __image_end).addr().next_multiple_of(PAGE),
        next => next,
    };
    NEXT.store(first + count * PAGE, Relaxed);
    match NonNull::new(core::ptr::with_exposed_provenance_mut(first)) {
        Some(memory) => memory,
        None => leave(4),
    }
}

fn call(operation: u64, argument: *const u64) {
    // SAFETY: the host reads what the operation takes at `argument`, which is there.
    unsafe { asm!("hlt #0xf000", inout("x0") operation => _, in("x1") argument, options(nostack)) };
}

/// Ends the machine.
pub fn leave(code: u64) -> ! {
    // SYS_EXIT: the application has ended by itself.
    call(0x18, [0x20026, code].as_ptr());
    loop {
        core::hint::spin_loop();
    }
}

/// Says what the first words of a block are, and leaves.
pub fn finish(block: &[u8; 512]) -> ! {
    let mut text = *b"0123456789abcdef\ndone\n\0";
    text[..16].copy_from_slice(&block[..16]);
    // SYS_WRITE0: a string that ends with a zero byte.
    call(0x04, text.as_ptr().cast());
    leave(0)
}
