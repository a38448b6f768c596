//! I/O APICs: they turn interrupt lines into messages to the CPU's local APIC.
//!
//! Lines are numbered through all I/O APICs; ACPI calls such a number a *global system interrupt* (GSI). q35 has one
//! I/O APIC, microvm a second one for its virtio-mmio slots, unless it was started with `acpi=off`.

use crate::paging;

/// Where QEMU has them.
const BASES: [usize; 2] = [0xfec0_0000, 0xfec1_0000];
/// Lines of each.
const PINS: u32 = 24;
/// Lines of all.
pub const LINES: u32 = PINS * BASES.len() as u32;

/// Offset of the register that chooses which one the other stands for.
const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;

/// Registers to be chosen: version and number of pins, then a pair for each pin.
const VERSION: u32 = 0x01;
const PIN: u32 = 0x10;

/// In the lower register of a pin: a level rather than an edge; switched off.
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// What of a line's voltage makes an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its rise.
    Edge,
    /// That it is high. It has to be low again at the end of the interrupt, or there is another.
    Level,
}

/// Switches all lines off, as levels: one that rises while it is off is then known to be high when it is connected. An
/// edge would be missed.
pub fn init() {
    for (base, register) in (0..LINES).filter_map(pin) {
        write(base, register, LEVEL | MASKED);
    }
}

/// Is the line there?
pub fn exists(line: u32) -> bool {
    pin(line).is_some()
}

/// From here on, `line` interrupts the CPU with this APIC number by `vector`; `false` if there is no such line.
pub fn connect(line: u32, trigger: Trigger, cpu: u8, vector: u8) -> bool {
    let Some((base, register)) = pin(line) else { return false };
    let trigger = if trigger == Trigger::Level { LEVEL } else { 0 };
    // Nothing comes while half of the pair is old.
    write(base, register, trigger | MASKED);
    write(base, register + 1, u32::from(cpu) << 24);
    write(base, register, trigger | u32::from(vector));
    true
}

/// The I/O APIC of a line, and the first register of its pin.
fn pin(line: u32) -> Option<(usize, u32)> {
    let base = *BASES.get((line / PINS) as usize)?;
    let number = line % PINS;
    // Where there is no I/O APIC all bits read the same.
    let version = read(base, VERSION);
    let there = !matches!(version, 0 | u32::MAX) && number <= version >> 16 & 0xff;
    there.then_some((base, PIN + 2 * number))
}

fn read(base: usize, register: u32) -> u32 {
    // SAFETY: `paging` maps the registers; nothing comes between the choice and the access.
    critical_section::with(|_| unsafe {
        at(base, SELECT).write_volatile(register);
        at(base, WINDOW).read_volatile()
    })
}

fn write(base: usize, register: u32, value: u32) {
    // SAFETY: as above; what is written changes how interrupts arrive and no memory.
    critical_section::with(|_| unsafe {
        at(base, SELECT).write_volatile(register);
        at(base, WINDOW).write_volatile(value);
    });
}

fn at(base: usize, offset: usize) -> *mut u32 {
    (paging::OFFSET + base + offset) as *mut u32
}
