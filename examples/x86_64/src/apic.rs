//! The local APIC: the part of the CPU that takes interrupts in.
//!
//! Devices with MSI-X reach it by themselves: they write a [message()] into its memory. Lines go through an I/O
//! APIC ([`crate::ioapic`]), which does the same for them.

use crate::paging;
use core::arch::asm;
use demo::MsixMessage;

/// Where it is after a reset; nothing moves it.
const BASE: usize = 0xfee0_0000;
/// Model-specific register: where it is, and how it is switched on.
const BASE_REGISTER: u32 = 0x1b;
/// In that register: it is on; it is reached by memory no more, as a kernel for many CPUs would want it.
const ON: u64 = 1 << 11;
const X2APIC: u64 = 1 << 10;

/// Registers, by their offset.
const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS: usize = 0xf0;
const TIMER: usize = 0x320;
const LINE_0: usize = 0x350;
const INITIAL_COUNT: usize = 0x380;
const COUNT: usize = 0x390;
const DIVIDE: usize = 0x3e0;

/// In `SPURIOUS`: interrupts are let in.
const LET_IN: u32 = 1 << 8;
/// In `LINE_0`: nothing comes from that line, to which the old 8259 interrupt controller is connected.
const MASKED: u32 = 1 << 16;

/// In `DIVIDE`: the timer counts every sixteenth tick of its clock.
const BY_16: u32 = 0b0011;

/// Lets interrupts in. `spurious` is the vector of one that went away before it could be said which it was.
pub fn init(spurious: u8) {
    let (low, high): (u32, u32);
    // SAFETY: every 64-bit CPU has this register, and reading it has no effect.
    unsafe {
        asm!("rdmsr", in("ecx") BASE_REGISTER, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags))
    };
    let state = u64::from(high) << 32 | u64::from(low);
    assert!(state & !0xfff == BASE as u64, "local APIC: moved");
    assert!(state & (ON | X2APIC) == ON, "local APIC: off, or in x2APIC mode");
    write(LINE_0, MASKED);
    write(TASK_PRIORITY, 0);
    write(SPURIOUS, LET_IN | u32::from(spurious));
}

/// This CPU's number, as interrupts are addressed to it.
pub fn id() -> u8 {
    (read(ID) >> 24) as u8
}

/// What a device writes where, so that this CPU is interrupted by `vector`.
pub fn message(vector: u8) -> MsixMessage {
    MsixMessage { address: BASE as u64 | u64::from(id()) << 12, data: u32::from(vector) }
}

/// How often the timer counts in a second: measured, with `pause` to wait for the given part of one.
pub fn measure_timer(part: u32, pause: impl FnOnce()) -> u64 {
    write(TIMER, MASKED);
    write(DIVIDE, BY_16);
    write(INITIAL_COUNT, u32::MAX);
    pause();
    let counted = u32::MAX - read(COUNT);
    write(INITIAL_COUNT, 0);
    u64::from(counted) * u64::from(part)
}

/// Interrupts by `vector` once, after so many counts.
pub fn start_timer(vector: u8, counts: u32) {
    write(TIMER, u32::from(vector));
    write(INITIAL_COUNT, counts);
}

/// The interrupt being handled is done: the next one of this and of lower priority may come.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

fn register(offset: usize) -> *mut u32 {
    (paging::OFFSET + BASE + offset) as *mut u32
}

fn read(offset: usize) -> u32 {
    // SAFETY: `paging` maps the registers of the local APIC, which is there. Those read here have no side effects.
    unsafe { register(offset).read_volatile() }
}

fn write(offset: usize, value: u32) {
    // SAFETY: as above; what is written changes how interrupts arrive and no memory.
    unsafe { register(offset).write_volatile(value) }
}
