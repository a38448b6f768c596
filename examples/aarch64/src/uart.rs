//! The serial line: the PL011 of QEMU's `virt`, polled. QEMU needs no set-up of baud rate or format.

use core::ptr::{read_volatile, write_volatile};

/// Data register: the first of the block.
const DATA: *mut u32 = 0x0900_0000 as *mut u32;
/// Flag register.
const FLAGS: *const u32 = 0x0900_0018 as *const u32;
/// Flag: nothing received.
const RX_EMPTY: u32 = 1 << 4;
/// Flag: no room to send.
const TX_FULL: u32 = 1 << 5;

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
        return None;
    }
    // SAFETY: as in `write`; reading takes one byte off the receive queue.
    Some(unsafe { read_volatile(DATA) } as u8)
}

fn flags() -> u32 {
    // SAFETY: the UART's flag register, mapped as device memory; reading it has no effect.
    unsafe { read_volatile(FLAGS) }
}
