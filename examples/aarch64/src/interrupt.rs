//! Interrupts: the CPU's entry, who is asked, and sleep.

use crate::gic::Gic;
use crate::{HANDLERS, timer, uart};
use core::arch::{asm, global_asm};
use core::cell::Cell;
use core::time::Duration;
use critical_section::Mutex;
use demo::MsixMessage;
use demo::fdt::Controller;

/// What the device tree says.
#[derive(Clone, Copy)]
struct Known {
    gic: Gic,
    /// The serial line's interrupt.
    serial: Option<u32>,
}

static KNOWN: Mutex<Cell<Option<Known>>> = Mutex::new(Cell::new(None));

// What a call may change is saved: the general registers that are not kept across calls, and all vector registers, for
// compiled code uses them and a call keeps only halves of some. Interrupts stay off, so the return address does.
global_asm!(
    r#"
    .text
    .global interrupt_entry
interrupt_entry:
    sub     sp, sp, #672
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    add     x0, sp, #160
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    st1     {{v\number\().2d}}, [x0], #16
    .endr
    .irp    number, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    st1     {{v\number\().2d}}, [x0], #16
    .endr
    bl      interrupt
    add     x0, sp, #160
    .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    ld1     {{v\number\().2d}}, [x0], #16
    .endr
    .irp    number, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    ld1     {{v\number\().2d}}, [x0], #16
    .endr
    ldp     x0, x1, [sp, #0]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x30, [sp, #144]
    add     sp, sp, #672
    eret
"#
);

/// Where the entry goes, interrupts off.
#[unsafe(no_mangle)]
extern "C" fn interrupt() {
    let Some(Known { gic, serial }) = known() else { return };
    let Some(number) = gic.acknowledge() else { return };
    if Some(number) == serial {
        uart::silence();
    }
    if number == timer::INTERRUPT {
        timer::stop();
    } else {
        HANDLERS.handle(number);
    }
    gic.end(number);
}

/// Takes the controller into use; without one there are no interrupts. None comes before it is enabled and the CPU sleeps.
///
/// # Safety
///
/// The controller is the machine's.
pub unsafe fn init(controller: Option<Controller>, serial: Option<u32>) {
    // SAFETY: by the caller's promise; `paging` maps all registers where they are.
    let gic = controller.and_then(|controller| unsafe { Gic::new(controller) });
    critical_section::with(|section| KNOWN.borrow(section).set(gic.map(|gic| Known { gic, serial })));
}

/// Lets an interrupt through, from now on. False if there is none of this number.
pub fn enable(number: u32) -> bool {
    let Some(Known { gic, serial }) = known() else { return false };
    if Some(number) == serial {
        uart::listen();
    }
    gic.enable(number)
}

/// An interrupt of its own for a message.
pub fn message() -> Option<(u32, MsixMessage)> {
    known()?.gic.message()
}

/// The serial line's interrupt.
pub fn serial() -> Option<u32> {
    known()?.serial
}

/// Ends a sleep after so long. False if there is no controller that lets the timer through.
pub fn alarm(after: Duration) -> bool {
    let there = known().is_some_and(|Known { gic, .. }| gic.enable_own(timer::INTERRUPT));
    if there {
        timer::set(after);
    }
    there
}

/// Sleeps until an interrupt comes, unless `awake`. Interrupts are on afterwards.
pub fn sleep(awake: &dyn Fn() -> bool) {
    // SAFETY: masks interrupts, so that none comes between the question and the sleep.
    unsafe { asm!("msr daifset, #2", options(nostack)) };
    if !awake() {
        // SAFETY: waits. What is masked ends the wait all the same, and is taken below.
        unsafe { asm!("dsb sy", "wfi", options(nostack)) };
    }
    // SAFETY: the entry copes with whatever comes.
    unsafe { asm!("msr daifclr, #2", "isb", options(nostack)) };
}

fn known() -> Option<Known> {
    critical_section::with(|section| KNOWN.borrow(section).get())
}
