//! The interrupt controller: RISC-V's PLIC, for one hart in supervisor mode.

use core::ptr::{read_volatile, write_volatile};
use demo::fdt::Controller;

/// A priority for each source, 32 bits each; source 0 does not exist.
const PRIORITY: u64 = 0;
/// A bit for each source, in a table for each context.
const ENABLE: u64 = 0x2000;
const ENABLE_LEN: u64 = 0x80;
/// For each context a page: the threshold, then where sources are claimed and given back.
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_LEN: u64 = 0x1000;
const CLAIM: u64 = 4;

/// The most sources that a PLIC can have.
const SOURCES: u32 = 1024;

/// A controller in use.
#[derive(Clone, Copy)]
pub struct Plic {
    base: u64,
    context: u64,
}

impl Plic {
    /// Lets the hart take interrupts. `None` if this is no PLIC.
    ///
    /// # Safety
    ///
    /// The controller is the machine's, and its registers are reached at their physical addresses.
    pub unsafe fn new(controller: Controller) -> Option<Self> {
        let Controller::Plic { base, context } = controller else { return None };
        let plic = Self { base, context: context.into() };
        // Everything above priority 0, which means never.
        write(plic.page(), 0);
        Some(plic)
    }

    /// Lets a source through to this hart. False if there is no such source.
    pub fn enable(self, source: u32) -> bool {
        if source == 0 || source >= SOURCES {
            return false;
        }
        write(self.base + PRIORITY + 4 * u64::from(source), 1);
        let word = self.base + ENABLE + ENABLE_LEN * self.context + u64::from(source / 32 * 4);
        let bit = 1 << (source % 32);
        write(word, read(word) | bit);
        read(word) & bit != 0
    }

    /// The source that has interrupted, by [`Plic::complete`] to be given back. `None` if there is none.
    pub fn claim(self) -> Option<u32> {
        Some(read(self.page() + CLAIM)).filter(|&source| source != 0)
    }

    /// The source may interrupt again.
    pub fn complete(self, source: u32) {
        write(self.page() + CLAIM, source);
    }

    fn page(self) -> u64 {
        self.base + CONTEXT + CONTEXT_LEN * self.context
    }
}

fn read(address: u64) -> u32 {
    // SAFETY: a register of the controller, by the promise to `Plic::new`; reading it touches no Rust object.
    unsafe { read_volatile(address as *const u32) }
}

fn write(address: u64, value: u32) {
    // SAFETY: as in `read`.
    unsafe { write_volatile(address as *mut u32, value) };
}
