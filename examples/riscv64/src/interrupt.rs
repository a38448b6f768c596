//! Interrupts: who is asked, and sleep. The hart's entry is in [`trap`](crate::trap).

use crate::plic::Plic;
use crate::{HANDLERS, uart};
use core::arch::asm;
use core::cell::Cell;
use critical_section::Mutex;
use demo::fdt::Controller;

/// `sstatus.SIE`: interrupts are on.
const ON: usize = 1 << 1;
/// `sie.SEIE`: those of the controller are let through.
const EXTERNAL: usize = 1 << 9;

/// What the device tree says.
#[derive(Clone, Copy)]
struct Known {
    plic: Plic,
    /// The serial line's interrupt.
    serial: Option<u32>,
}

static KNOWN: Mutex<Cell<Option<Known>>> = Mutex::new(Cell::new(None));

/// The controller has something: called from the trap, interrupts off.
pub fn external() {
    let Some(Known { plic, serial }) = known() else { return };
    let Some(number) = plic.claim() else { return };
    if Some(number) == serial {
        uart::silence();
    }
    HANDLERS.handle(number);
    plic.complete(number);
}

/// Takes the controller into use; without one there are no interrupts. None comes before it is enabled and the hart sleeps.
///
/// # Safety
///
/// The controller is the machine's.
pub unsafe fn init(controller: Option<Controller>, serial: Option<u32>) {
    // SAFETY: by the caller's promise; every address is physical.
    let plic = controller.and_then(|controller| unsafe { Plic::new(controller) });
    critical_section::with(|section| KNOWN.borrow(section).set(plic.map(|plic| Known { plic, serial })));
    // SAFETY: interrupts as a whole are still off.
    unsafe { asm!("csrs sie, {}", in(reg) EXTERNAL, options(nostack)) };
}

/// Lets an interrupt through, from now on. False if there is none of this number.
pub fn enable(number: u32) -> bool {
    let Some(Known { plic, serial }) = known() else { return false };
    if Some(number) == serial {
        uart::listen();
    }
    plic.enable(number)
}

/// The serial line's interrupt.
pub fn serial() -> Option<u32> {
    known()?.serial
}

/// Sleeps until an interrupt comes, unless `awake`. Interrupts are on afterwards.
pub fn sleep(awake: &dyn Fn() -> bool) {
    // SAFETY: switches interrupts off, so that none comes between the question and the sleep.
    unsafe { asm!("csrci sstatus, {}", const ON, options(nostack)) };
    if !awake() {
        // SAFETY: waits. An interrupt ends the wait also while they are off, and is taken below.
        unsafe { asm!("wfi", options(nostack)) };
    }
    // SAFETY: the trap copes with whatever comes.
    unsafe { asm!("csrsi sstatus, {}", const ON, options(nostack)) };
}

fn known() -> Option<Known> {
    critical_section::with(|section| KNOWN.borrow(section).get())
}
