//! The serial line: the PL011 of QEMU's `virt`. Sending waits; what is received may interrupt. QEMU needs no set-up of baud
//! rate or format.

use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicBool, Ordering};

/// Data register: the first of the block.
const DATA: *mut u32 = 0x0900_0000 as *mut u32;
/// Flag register.
const FLAGS: *const u32 = 0x0900_0018 as *const u32;
/// Interrupt mask register: a one lets through.
const MASK: *mut u32 = 0x0900_0038 as *mut u32;
/// Mask: bytes received, or some received and no more for a while.
const RECEIVED: u32 = 1 << 4 | 1 << 6;
/// Flag: nothing received.
const RX_EMPTY: u32 = 1 << 4;
/// Flag: no room to send.
const TX_FULL: u32 = 1 << 5;

/// [`silence`] was called since there was nothing left to read.
static SILENT: AtomicBool = AtomicBool::new(false);

/// From here on, a byte that waits interrupts.
pub fn listen() {
    // SAFETY: the UART's interrupt mask, mapped as device memory.
    unsafe { write_volatile(MASK, RECEIVED) };
}

/// No interrupt until everything that waits has been read. For the interrupt's handler.
pub fn silence() {
    // SAFETY: as in `listen`.
    unsafe { write_volatile(MASK, 0) };
    SILENT.store(true, Ordering::Relaxed);
}

/// Sends all `bytes`; waits for room.
pub fn write(bytes: &[u8]) {
    for &byte in bytes {
        while flags() & TX_FULL != 0 {
            core::hint::spin_loop();
        }
        // SAFETY: the UART's data register, mapped as device memory; writing it sends one byte and touches no
        // Rust object.
        unsafe { write_volatile(DATA, u32::from(byte)) };
    }
}

/// The next byte received; `None` if nothing waits.
pub fn read() -> Option<u8> {
    if flags() & RX_EMPTY != 0 {
        if SILENT.swap(false, Ordering::Relaxed) {
            // A byte that has come since interrupts at once.
            listen();
        }
        return None;
    }
    // SAFETY: as in `write`; reading takes one byte off the receive queue.
    Some(unsafe { read_volatile(DATA) } as u8)
}

fn flags() -> u32 {
    // SAFETY: the UART's flag register, mapped as device memory; reading it has no effect.
    unsafe { read_volatile(FLAGS) }
}
