//! The table: one message for each vector (PCI Local Bus 3.0 §6.8.2.6 to 9).

use core::mem::{offset_of, size_of};

use virtio_core::regs::{RW, Register, Registers, register};

/// What a device writes to memory to interrupt: where, and what. Only the platform knows: on x86 the local APIC of a CPU
/// and a vector number, on Arm a GICv2m frame or an ITS, on RISC-V an IMSIC.
///
/// *Honest Hands*: this is memory that a device writes to, and no type can tell an interrupt controller's from another. Whoever
/// hands the device out vouches for the code that makes messages for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MsixMessage {
    /// Where the device writes, as it sees memory: a multiple of 4.
    pub address: u64,
    /// What it writes.
    pub data: u32,
}

/// An entry of the table.
#[repr(C)]
struct Entry {
    address_low: RW<u32>,
    address_high: RW<u32>,
    data: RW<u32>,
    control: RW<u32>,
}

const _: () = {
    assert!(offset_of!(Entry, address_low) == 0);
    assert!(offset_of!(Entry, address_high) == 4);
    assert!(offset_of!(Entry, data) == 8);
    assert!(offset_of!(Entry, control) == 12);
    assert!(size_of::<Entry>() as u64 == ENTRY);
};

/// Bytes of an entry.
pub(crate) const ENTRY: u64 = 16;
const ADDRESS_LOW: Register<RW<u32>> = register!(Entry, address_low);
const ADDRESS_HIGH: Register<RW<u32>> = register!(Entry, address_high);
const DATA: Register<RW<u32>> = register!(Entry, data);
const CONTROL: Register<RW<u32>> = register!(Entry, control);
/// Vector control: the entry is masked. The other bits are reserved, and kept.
const MASKED: u32 = 1;

/// Writes the entry of a vector, masked meanwhile, and lets it go; answers whether all of it reads back.
pub(crate) fn program<R: Registers>(regs: &R, vector: usize, message: &MsixMessage) -> bool {
    let start = vector.saturating_mul(size_of::<Entry>());
    let at = |register: Register<RW<u32>>| start.saturating_add(register.offset());
    let [a, b, c, d, e, f, g, h] = message.address.to_le_bytes();
    let words = [
        (at(ADDRESS_LOW), u32::from_le_bytes([a, b, c, d])),
        (at(ADDRESS_HIGH), u32::from_le_bytes([e, f, g, h])),
        (at(DATA), message.data),
    ];
    let control = regs.read32(at(CONTROL));
    regs.write32(at(CONTROL), control | MASKED);
    for (offset, value) in words {
        regs.write32(offset, value);
    }
    regs.write32(at(CONTROL), control & !MASKED);
    words.iter().all(|&(offset, value)| regs.read32(offset) == value)
        && regs.read32(at(CONTROL)) & MASKED == 0
}
