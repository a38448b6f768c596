//! The serial line: the 16550 called COM1. Sending waits; what is received may interrupt.

use crate::port;
use core::sync::atomic::{AtomicBool, Ordering};

/// Data register: the first of the block.
const DATA: u16 = 0x3f8;
/// Interrupt enable register.
const INTERRUPTS: u16 = DATA + 1;
/// FIFO control register.
const FIFO: u16 = DATA + 2;
/// Line control register.
const FORMAT: u16 = DATA + 3;
/// Modem control register.
const MODEM: u16 = DATA + 4;
/// Line status register.
const STATUS: u16 = DATA + 5;
/// Modem control: ready for the other end; and the output that on a PC connects the interrupt line.
const ALL_WELL: u8 = 0b11;
const OUT_2: u8 = 1 << 3;
/// Status: a byte has been received. In the interrupt enable register: that interrupts.
const RECEIVED: u8 = 1 << 0;
/// Status: room to send.
const CAN_SEND: u8 = 1 << 5;

/// The interrupt line of COM1, on every PC.
pub const LINE: u32 = 4;

/// No firmware has to have set the UART up. The speed is left as it is: QEMU has none.
pub fn init() {
    for (register, value) in [(INTERRUPTS, 0), (FORMAT, 0b11), (FIFO, 1)] {
        // SAFETY: the UART's own registers: no interrupts, eight bits without parity, FIFOs on.
        unsafe { port::write8(register, value) };
    }
}

/// From here on, a byte that waits interrupts.
pub fn listen() {
    for (register, value) in [(MODEM, ALL_WELL | OUT_2), (INTERRUPTS, RECEIVED)] {
        // SAFETY: the UART's own registers: what is received interrupts, and nothing else does.
        unsafe { port::write8(register, value) };
    }
}

/// Whether [`silence`] was called since there was nothing left to read.
static SILENT: AtomicBool = AtomicBool::new(false);

/// No interrupt until everything that waits has been [read]. For the interrupt's handler.
pub fn silence() {
    // SAFETY: the UART's own register: nothing interrupts.
    unsafe { port::write8(INTERRUPTS, 0) };
    SILENT.store(true, Ordering::Relaxed);
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
        if SILENT.swap(false, Ordering::Relaxed) {
            // A byte that has come since interrupts at once.
            listen();
        }
        return None;
    }
    // SAFETY: reading the UART's data register takes one byte off the receive queue.
    Some(unsafe { port::read8(DATA) })
}

fn status() -> u8 {
    // SAFETY: reading the UART's line status register clears error flags only, which nobody asks for.
    unsafe { port::read8(STATUS) }
}
