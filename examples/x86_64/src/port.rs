//! Port input and output.

use core::arch::asm;

/// Reads a byte from a port.
///
/// # Safety
///
/// Reading this port must have no effect on memory in use.
pub unsafe fn read8(port: u16) -> u8 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Writes a byte to a port.
///
/// # Safety
///
/// Writing this value there must have no effect on memory in use.
pub unsafe fn write8(port: u16, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Reads four bytes from a port.
///
/// # Safety
///
/// As for [`read8`].
pub unsafe fn read32(port: u16) -> u32 {
    let value;
    // SAFETY: the caller's promise.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
    value
}

/// Writes four bytes to a port.
///
/// # Safety
///
/// As for [`write8`].
pub unsafe fn write32(port: u16, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) };
}
