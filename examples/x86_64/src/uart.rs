//! The serial line: the 16550 called COM1, polled.

use crate::port;

/// Data register: the first of the block.
const DATA: u16 = 0x3f8;
/// Interrupt enable register.
const INTERRUPTS: u16 = DATA + 1;
/// FIFO control register.
const FIFO: u16 = DATA + 2;
/// Line control register.
const FORMAT: u16 = DATA + 3;
/// Line status register.
const STATUS: u16 = DATA + 5;
/// Status: a byte has been received.
const RECEIVED: u8 = 1 << 0;
/// Status: room to send.
const CAN_SEND: u8 = 1 << 5;

/// No firmware has to have set the UART up. The speed is left as it is: QEMU has none.
pub fn init() {
    for (register, value) in [(INTERRUPTS, 0), (FORMAT, 0b11), (FIFO, 1)] {
        // SAFETY: the UART's own registers: no interrupts, eight bits without parity, FIFOs on.
        unsafe { port::write8(register, value) };
    }
}

/// Sends all `bytes`; waits for room.
pub fn write(bytes: &[u8]) {
    for &byte in bytes {
        while status() & CAN_SEND == 0 {
            core::hint::spin_loop();
        }
        // SAFETY: writing the UART's data register sends one byte.
        unsafe { port::write8(DATA, byte) };
    }
}

/// The next byte received; `None` if nothing waits.
pub fn read() -> Option<u8> {
    if status() & RECEIVED == 0 {
        return None;
    }
    // SAFETY: reading the UART's data register takes one byte off the receive queue.
    Some(unsafe { port::read8(DATA) })
}

fn status() -> u8 {
    // SAFETY: reading the UART's line status register clears error flags only, which nobody asks for.
    unsafe { port::read8(STATUS) }
}
