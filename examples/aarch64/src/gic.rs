//! The interrupt controller: Arm's GIC, version 2 or 3, for one CPU without security states.
//!
//! Both versions share the distributor, which lets interrupts through; how the CPU takes them differs: by registers in memory
//! (version 2) or by system registers (version 3). Messages come by a GICv2m frame, which version 2 has on QEMU.

use core::arch::asm;
use core::ptr::{read_volatile, write_volatile};
use core::sync::atomic::{AtomicU32, Ordering};
use demo::MsixMessage;
use demo::fdt::Controller;

/// The first shared interrupt; those before it belong to one CPU.
const FIRST_SHARED: u32 = 32;
/// From here on a number stands for no interrupt at all.
const SPECIAL: u32 = 1020;

/// Distributor: control, and tables by interrupt number of 1, 1, 8, 8, 2 and 64 bits.
mod distributor {
    pub const CONTROL: u64 = 0x000;
    pub const GROUP: u64 = 0x080;
    pub const ENABLE: u64 = 0x100;
    pub const PRIORITY: u64 = 0x400;
    pub const TARGET: u64 = 0x800;
    pub const CONFIGURE: u64 = 0xc00;
    pub const ROUTE: u64 = 0x6000;

    /// Control: group 0 (all there is in version 2), group 1, and routes by affinity (version 3).
    pub const GROUP_0: u32 = 1 << 0;
    pub const GROUP_1: u32 = 1 << 1;
    pub const AFFINITY: u32 = 1 << 4;
}

/// CPU interface of version 2.
mod cpu {
    pub const CONTROL: u64 = 0x00;
    pub const PRIORITY_MASK: u64 = 0x04;
    pub const ACKNOWLEDGE: u64 = 0x0c;
    pub const END: u64 = 0x10;
    pub const ON: u32 = 1;
}

/// Redistributor of version 3: whether the CPU sleeps; behind it, a page like the distributor's for the CPU's own interrupts.
const WAKER: u64 = 0x14;
const OWN: u64 = 0x1_0000;
const PROCESSOR_SLEEP: u32 = 1 << 1;
const CHILDREN_ASLEEP: u32 = 1 << 2;

/// GICv2m: first interrupt and their number; where messages go.
const MESSAGE_TYPE: u64 = 0x008;
const MESSAGE: u64 = 0x040;

/// In the middle; the mask lets everything through that is more urgent than the least.
const SOME_PRIORITY: u8 = 0x80;
const ALL_PRIORITIES: u32 = 0xff;

/// A controller in use.
#[derive(Clone, Copy)]
pub struct Gic(Controller);

impl Gic {
    /// Lets the CPU take interrupts. `None` if this is no GIC.
    ///
    /// # Safety
    ///
    /// The controller is the machine's, and its registers are mapped where they are.
    pub unsafe fn new(controller: Controller) -> Option<Self> {
        let gic = Self(controller);
        match controller {
            Controller::GicV2 { distributor: base, cpu: interface, .. } => {
                write(base + distributor::CONTROL, distributor::GROUP_0);
                write(interface + cpu::PRIORITY_MASK, ALL_PRIORITIES);
                write(interface + cpu::CONTROL, cpu::ON);
            }
            Controller::GicV3 { distributor: base, redistributor } => {
                // SAFETY: switches from registers in memory to system registers, for interrupts only.
                unsafe { asm!("msr icc_sre_el1, {}", "isb", in(reg) 1_u64, options(nostack)) };
                write(redistributor + WAKER, read(redistributor + WAKER) & !PROCESSOR_SLEEP);
                while read(redistributor + WAKER) & CHILDREN_ASLEEP != 0 {
                    core::hint::spin_loop();
                }
                write(base + distributor::CONTROL, distributor::AFFINITY | distributor::GROUP_1);
                // SAFETY: all priorities and group 1 are let through to this CPU.
                unsafe {
                    asm!("msr icc_pmr_el1, {}", "msr icc_igrpen1_el1, {}", "isb",
                         in(reg) u64::from(ALL_PRIORITIES), in(reg) 1_u64, options(nostack));
                }
            }
            Controller::Plic { .. } => return None,
        }
        Some(gic)
    }

    /// Lets an interrupt through to this CPU. False if there is no such interrupt.
    pub fn enable(self, number: u32) -> bool {
        let base = self.distributor();
        if !(FIRST_SHARED..SPECIAL).contains(&number) {
            return false;
        }
        let (word, bit) = (u64::from(number / 32 * 4), 1 << (number % 32));
        let byte = u64::from(number);
        write8(base + distributor::PRIORITY + byte, SOME_PRIORITY);
        if let Controller::GicV3 { .. } = self.0 {
            write(base + distributor::GROUP + word, read(base + distributor::GROUP + word) | bit);
            write64(base + distributor::ROUTE + 8 * byte, affinity());
        } else {
            // The targets of a CPU's own interrupts read as that CPU; as nobody where there is only one.
            write8(base + distributor::TARGET + byte, read(base + distributor::TARGET) as u8);
        }
        write(base + distributor::ENABLE + word, bit);
        read(base + distributor::ENABLE + word) & bit != 0
    }

    /// Lets one of the CPU's own interrupts through. False if there is none of this number.
    pub fn enable_own(self, number: u32) -> bool {
        if number >= FIRST_SHARED {
            return false;
        }
        let (base, bit) = match self.0 {
            Controller::GicV3 { redistributor, .. } => (redistributor + OWN, 1 << number),
            _ => (self.distributor(), 1 << number),
        };
        if let Controller::GicV3 { .. } = self.0 {
            write(base + distributor::GROUP, read(base + distributor::GROUP) | bit);
        }
        write8(base + distributor::PRIORITY + u64::from(number), SOME_PRIORITY);
        write(base + distributor::ENABLE, bit);
        read(base + distributor::ENABLE) & bit != 0
    }

    /// The next interrupt that a message raises. `None` when all are in use, or where there are no messages.
    pub fn message(self) -> Option<(u32, MsixMessage)> {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let Controller::GicV2 { messages: Some(frame), .. } = self.0 else { return None };
        let kinds = read(frame + MESSAGE_TYPE);
        let (first, count) = (kinds >> 16 & 0x3ff, kinds & 0x3ff);
        let number = first
            + TAKEN
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                    (taken < count).then_some(taken + 1)
                })
                .ok()?;
        // A message is over as soon as it has come: an edge.
        let at = self.distributor() + distributor::CONFIGURE + u64::from(number / 16 * 4);
        write(at, read(at) | 0b10 << (number % 16 * 2));
        self.enable(number).then_some((number, MsixMessage { address: frame + MESSAGE, data: number }))
    }

    /// The interrupt that has come, by [`Gic::end`] to be ended. `None` if it has gone again.
    pub fn acknowledge(self) -> Option<u32> {
        let number = match self.0 {
            Controller::GicV2 { cpu: interface, .. } => read(interface + cpu::ACKNOWLEDGE) & 0x3ff,
            _ => {
                let number: u64;
                // SAFETY: reads which interrupt has come, and marks it as being served.
                unsafe { asm!("mrs {}, icc_iar1_el1", "dsb sy", out(reg) number, options(nostack)) };
                number as u32
            }
        };
        (number < SPECIAL).then_some(number)
    }

    /// The interrupt has been served.
    pub fn end(self, number: u32) {
        match self.0 {
            Controller::GicV2 { cpu: interface, .. } => write(interface + cpu::END, number),
            // SAFETY: ends what `acknowledge` has begun.
            _ => unsafe { asm!("msr icc_eoir1_el1, {}", "isb", in(reg) u64::from(number), options(nostack)) },
        }
    }

    fn distributor(self) -> u64 {
        match self.0 {
            Controller::GicV2 { distributor, .. } | Controller::GicV3 { distributor, .. } => distributor,
            Controller::Plic { base, .. } => base,
        }
    }
}

/// This CPU's place, as routes have it.
fn affinity() -> u64 {
    let place: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, mpidr_el1", out(reg) place, options(nomem, nostack)) };
    place & 0xff_00ff_ffff
}

fn read(address: u64) -> u32 {
    // SAFETY: a register of the controller, by the promise to `Gic::new`; reading it touches no Rust object.
    unsafe { read_volatile(address as *const u32) }
}

fn write(address: u64, value: u32) {
    // SAFETY: as in `read`.
    unsafe { write_volatile(address as *mut u32, value) };
}

fn write8(address: u64, value: u8) {
    // SAFETY: as in `read`; the tables of bytes may be written so.
    unsafe { write_volatile(address as *mut u8, value) };
}

fn write64(address: u64, value: u64) {
    // SAFETY: as in `read`; the table of routes is one of 64 bits.
    unsafe { write_volatile(address as *mut u64, value) };
}
