//! The configuration header: registers by offset, and small accessors (PCI Local Bus 3.0 §6.1, PCI-to-PCI Bridge 1.2 §3.2).

use crate::{ConfigAccess, FunctionAddress};

pub(crate) const IDS: u16 = 0x00;
pub(crate) const COMMAND_STATUS: u16 = 0x04;
pub(crate) const CLASS_REVISION: u16 = 0x08;
pub(crate) const HEADER_TYPE: u16 = 0x0c;
pub(crate) const BAR0: u16 = 0x10;
/// Devices: expansion ROM.
pub(crate) const ROM: u16 = 0x30;
pub(crate) const CAPABILITIES: u16 = 0x34;
/// Interrupt line, interrupt pin, minimum grant, maximum latency.
pub(crate) const INTERRUPT: u16 = 0x3c;

/// Bridges: primary, secondary, subordinate bus, secondary latency timer.
pub(crate) const BUS_NUMBERS: u16 = 0x18;
/// Bridges: I/O base, I/O limit, secondary status.
pub(crate) const IO_WINDOW: u16 = 0x1c;
/// Bridges: memory base, memory limit.
pub(crate) const MEMORY_WINDOW: u16 = 0x20;
/// Bridges: prefetchable memory base, limit.
pub(crate) const PREFETCH_WINDOW: u16 = 0x24;
pub(crate) const PREFETCH_BASE_UPPER: u16 = 0x28;
pub(crate) const PREFETCH_LIMIT_UPPER: u16 = 0x2c;
/// Bridges: upper halves of I/O base and limit.
pub(crate) const IO_UPPER: u16 = 0x30;
/// Bridges: expansion ROM.
pub(crate) const BRIDGE_ROM: u16 = 0x38;

/// Command: the function answers in its I/O BARs; a bridge forwards I/O.
pub(crate) const COMMAND_IO: u32 = 1;
/// Command: the function answers in its memory BARs; a bridge forwards memory accesses.
pub(crate) const COMMAND_MEMORY: u32 = 2;
/// Command: both of these.
pub(crate) const COMMAND_DECODE: u32 = COMMAND_IO | COMMAND_MEMORY;
/// Command: the function may access memory itself; a bridge forwards such accesses.
pub(crate) const COMMAND_MASTER: u32 = 4;
/// Command: the function must not assert its INTx line.
pub(crate) const COMMAND_INTX_DISABLE: u32 = 1 << 10;
/// Status (upper half of the same register): there is a capability list.
pub(crate) const STATUS_CAPABILITIES: u32 = 1 << 20;

const COMMAND: u32 = 0xffff;

/// The command register.
pub(crate) fn command<A: ConfigAccess>(access: &A, function: FunctionAddress) -> u32 {
    access.read32(function, COMMAND_STATUS) & COMMAND
}

/// Writes the command register. Status bits are cleared by writing 1 to them: they get 0.
pub(crate) fn set_command<A: ConfigAccess>(access: &A, function: FunctionAddress, value: u32) {
    access.write32(function, COMMAND_STATUS, value & COMMAND);
}

/// Sets bits of the command register; answers whether they read back as set.
pub(crate) fn enable<A: ConfigAccess>(access: &A, function: FunctionAddress, bits: u32) -> bool {
    change(access, function, bits, 0)
}

/// Sets some bits of the command register and clears others; answers whether the former read back as set.
pub(crate) fn change<A: ConfigAccess>(access: &A, function: FunctionAddress, set: u32, clear: u32) -> bool {
    let before = command(access, function);
    let after = before & !clear | set;
    if after != before {
        set_command(access, function, after);
    }
    // A function that is gone reads as all ones; the upper bits of the register are reserved and 0.
    let now = command(access, function);
    now & set == set && now != COMMAND
}

/// The pin of the function's interrupt line, 1 for INTA to 4 for INTD, if it has one.
pub(crate) fn interrupt_pin<A: ConfigAccess>(access: &A, function: FunctionAddress) -> Option<u8> {
    let [_, pin, ..] = access.read32(function, INTERRUPT).to_le_bytes();
    (1..=4).contains(&pin).then_some(pin)
}

/// Keeps the function from asserting its interrupt line.
pub(crate) fn silence_line<A: ConfigAccess>(access: &A, function: FunctionAddress) {
    let before = command(access, function);
    set_command(access, function, before | COMMAND_INTX_DISABLE);
}

/// Does something while the function decodes neither ports nor memory, and puts the command register back.
pub(crate) fn undecoded<A: ConfigAccess, T>(
    access: &A,
    function: FunctionAddress,
    work: impl FnOnce() -> T,
) -> T {
    let before = command(access, function);
    set_command(access, function, before & !COMMAND_DECODE);
    let answer = work();
    set_command(access, function, before);
    answer
}

/// The buses of a bridge: primary, secondary, subordinate.
pub(crate) fn bus_numbers<A: ConfigAccess>(access: &A, bridge: FunctionAddress) -> [u8; 3] {
    let [primary, secondary, subordinate, _] = access.read32(bridge, BUS_NUMBERS).to_le_bytes();
    [primary, secondary, subordinate]
}

/// Sets the buses of a bridge.
pub(crate) fn set_bus_numbers<A: ConfigAccess>(access: &A, bridge: FunctionAddress, numbers: [u8; 3]) {
    let [_, _, _, latency] = access.read32(bridge, BUS_NUMBERS).to_le_bytes();
    let [primary, secondary, subordinate] = numbers;
    access.write32(bridge, BUS_NUMBERS, u32::from_le_bytes([primary, secondary, subordinate, latency]));
}
