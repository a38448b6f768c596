//! The serial line: the 16550 of QEMU's `virt`. Sending waits; what is received may interrupt. OpenSBI has set it up.

use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicBool, Ordering};

/// Data register: the first of the block.
const DATA: *mut u8 = 0x1000_0000 as *mut u8;
/// Interrupt enable register.
const INTERRUPTS: *mut u8 = 0x1000_0001 as *mut u8;
/// Line status register.
const STATUS: *const u8 = 0x1000_0005 as *const u8;
/// Status: a byte has been received. In the interrupt enable register: that interrupts.
const RECEIVED: u8 = 1 << 0;
/// Status: room to send.
const CAN_SEND: u8 = 1 << 5;

/// [`silence`] was called since there was nothing left to read.
static SILENT: AtomicBool = AtomicBool::new(false);

/// From here on, a byte that waits interrupts.
pub fn listen() {
    // SAFETY: the UART's interrupt enable register.
    unsafe { write_volatile(INTERRUPTS, RECEIVED) };
}

/// No interrupt until everything that waits has been read. For the interrupt's handler.
pub fn silence() {
    // SAFETY: as in `listen`.
    unsafe { write_volatile(INTERRUPTS, 0) };
    SILENT.store(true, Ordering::Relaxed);
}

/// Sends all `bytes`; waits for room.
pub fn write(bytes: &[u8]) {
    for &byte in bytes {
        while status() & CAN_SEND == 0 {
            core::hint::spin_loop();
        }
        // SAFETY: the UART's data register; writing it sends one byte and touches no Rust object.
        unsafe { write_volatile(DATA, byte) };
    }
}

/// The next byte received; `None` if nothing waits.
pub fn read() -> Option<u8> {
    if status() & RECEIVED == 0 {
        if SILENT.swap(false, Ordering::Relaxed) {
            // A byte that has come since interrupts at once.
            listen();
        }
        return None;
    }
    // SAFETY: as in `write`; reading takes one byte off the receive queue.
    Some(unsafe { read_volatile(DATA) })
}

fn status() -> u8 {
    // SAFETY: the UART's line status register; reading it clears error flags only, which nobody asks for.
    unsafe { read_volatile(STATUS) }
}
