//! The serial line: the 16550 of QEMU's `virt`, polled. OpenSBI has set it up.

use core::ptr::{read_volatile, write_volatile};

/// Data register: the first of the block.
const DATA: *mut u8 = 0x1000_0000 as *mut u8;
/// Line status register.
const STATUS: *const u8 = 0x1000_0005 as *const u8;
/// Status: a byte has been received.
const RECEIVED: u8 = 1 << 0;
/// Status: room to send.
const CAN_SEND: u8 = 1 << 5;

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
        return None;
    }
    // SAFETY: as in `write`; reading takes one byte off the receive queue.
    Some(unsafe { read_volatile(DATA) })
}

fn status() -> u8 {
    // SAFETY: the UART's line status register; reading it clears error flags only, which nobody asks for.
    unsafe { read_volatile(STATUS) }
}
