//! The interrupt descriptor table: where the CPU goes when something happens, by its number, the vector.
//!
//! The first 32 vectors are the CPU's own exceptions ([`crate::fault`]), all others are interrupts
//! ([`crate::interrupt`]).

use core::arch::asm;
use core::cell::UnsafeCell;

/// Vectors of exceptions.
pub const EXCEPTIONS: usize = 32;
/// All vectors in use. The CPU knows twice as many; the number of one of these fits into a byte with a sign, which
/// makes the entries short.
pub const VECTORS: usize = 128;

/// One entry of machine code for each of `N` vectors, one behind the other.
pub type Entries<const N: usize> = [[u8; 16]; N];

/// As many gates as there are vectors.
#[repr(C, align(16))]
struct Gates(UnsafeCell<[[u32; 4]; VECTORS]>);

// SAFETY: written by `init` only, which runs once before anything else does.
unsafe impl Sync for Gates {}

static GATES: Gates = Gates(UnsafeCell::new([[0; 4]; VECTORS]));

/// What `lidt` reads: size less one, and address.
#[repr(C, packed)]
struct Pointer(u16, *const Gates);

/// From here on exceptions go to the first entries; interrupts, once they are on, to the others.
///
/// # Safety
///
/// To be called once, first of all. The entries are machine code that copes with what the CPU has pushed.
pub unsafe fn init(
    exceptions: *const Entries<EXCEPTIONS>,
    interrupts: *const Entries<{ VECTORS - EXCEPTIONS }>,
) {
    // SAFETY: by the caller's promise nothing else could look at the gates yet.
    let gates = unsafe { &mut *GATES.0.get() };
    let (first, others) = gates.split_at_mut(EXCEPTIONS);
    for (gates, entries) in [(first, exceptions as u64), (others, interrupts as u64)] {
        for (number, gate) in gates.iter_mut().enumerate() {
            let entry = entries + (size_of::<Entries<1>>() * number) as u64;
            // Code segment 8; present, 64-bit interrupt gate, which switches interrupts off; the address in three
            // pieces.
            let (low, middle, high) =
                (entry as u32 & 0xffff, entry as u32 & 0xffff_0000, (entry >> 32) as u32);
            *gate = [8 << 16 | low, middle | 0x8e00, high, 0];
        }
    }
    let pointer = Pointer(size_of::<Gates>() as u16 - 1, &GATES);
    // SAFETY: the table is static and complete.
    unsafe { asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags)) };
}
