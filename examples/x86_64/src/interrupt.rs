//! Interrupts, from the CPU's entry to the handler, and sleep until one comes.
//!
//! An interrupt's number is its vector less the vectors of exceptions, so that a line's is its global system interrupt:
//!
//! | number | vector | what |
//! |---|---|---|
//! | 0 – 47 | 32 – 79 | lines of the I/O APICs |
//! | 48 – 93 | 80 – 125 | messages of devices with MSI-X, handed out one by one |
//! | 94 | 126 | the timer of the local APIC, which ends a sleep |
//! | 95 | 127 | spurious: nothing to do |

use crate::idt::{EXCEPTIONS, Entries, VECTORS};
use crate::ioapic::{self, LINES, Trigger};
use crate::{HANDLERS, apic, clock, port, uart};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use demo::MsixMessage;

const NUMBERS: usize = VECTORS - EXCEPTIONS;
const SPURIOUS: u32 = NUMBERS as u32 - 1;
const TIMER: u32 = SPURIOUS - 1;
const _: () = assert!(LINES < TIMER, "there are numbers for messages");
// Older CPUs have these bits of the spurious vector fixed.
const _: () = assert!(vector(SPURIOUS) & 0xf == 0xf);

/// The mask registers of the two 8259 interrupt controllers, which the I/O APIC replaces.
const OLD_CONTROLLERS: [u16; 2] = [0x21, 0xa1];

// One entry of 16 bytes for each interrupt: it notes its vector and goes on where all go. Rust code here uses no
// vector registers, so those that a call does not keep are the nine general ones. The CPU has aligned the stack to 16
// and pushed five words; with the vector, the nine and one more that makes it even again.
global_asm!(
    r#"
    .text
    .balign 16
    .global interrupts
interrupts:
    .set    number, {first}
    .rept   {numbers}
    .balign 16
    pushq   $number
    jmp     interrupt_any
    .set    number, number + 1
    .endr
    .org    interrupts + 16 * {numbers} // an error if an entry is longer
interrupt_any:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    movq    72(%rsp), %rdi
    subq    $8, %rsp
    cld
    call    interrupt
    addq    $8, %rsp
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $8, %rsp
    iretq
"#,
    first = const EXCEPTIONS,
    numbers = const NUMBERS,
    options(att_syntax)
);

/// One entry for each interrupt.
pub fn entries() -> *const Entries<NUMBERS> {
    unsafe extern "C" {
        static interrupts: Entries<NUMBERS>;
    }
    &raw const interrupts
}

const fn vector(number: u32) -> u8 {
    EXCEPTIONS as u8 + number as u8
}

/// Makes interrupts possible. None comes before it is enabled and the CPU sleeps: messages that devices send while they are brought
/// up wait until somebody can be asked.
///
/// # Safety
///
/// To be called once, with the [entries] in the CPU's table.
pub unsafe fn init() {
    for port in OLD_CONTROLLERS {
        // SAFETY: they mask all their lines, if they are there at all.
        unsafe { port::write8(port, 0xff) };
    }
    ioapic::init();
    apic::init(vector(SPURIOUS));
}

/// Lets the interrupts of a line through, from now on. `false` if there is no such line.
pub fn enable_line(number: u32) -> bool {
    // The lines of the first PC are edges. Virtio devices keep theirs high until they are acknowledged.
    let trigger = if number == uart::LINE { Trigger::Edge } else { Trigger::Level };
    let there = ioapic::connect(number, trigger, apic::id(), vector(number));
    if there && number == uart::LINE {
        uart::listen();
    }
    there
}

/// A new interrupt by message, and its number. `None` when all are taken.
pub fn message() -> Option<(u32, MsixMessage)> {
    static NEXT: AtomicU32 = AtomicU32::new(LINES);
    let next = |number| (number < TIMER).then_some(number + 1);
    let number = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
    Some((number, apic::message(vector(number))))
}

/// Ends a sleep after so long; earlier if the timer does not count that far.
pub fn alarm(after: Duration) {
    /// A measurement takes a part of a second: 2 ms.
    const PART: u32 = 500;
    static HERTZ: AtomicU64 = AtomicU64::new(0);
    let mut hertz = HERTZ.load(Ordering::Relaxed);
    if hertz == 0 {
        hertz = apic::measure_timer(PART, || clock::pause(PART)).max(1);
        HERTZ.store(hertz, Ordering::Relaxed);
    }
    let counts = after.as_nanos().saturating_mul(hertz.into()) / 1_000_000_000;
    apic::start_timer(vector(TIMER), counts.clamp(1, u32::MAX.into()) as u32);
}

/// Sleeps until an interrupt comes, unless `awake`. Interrupts are on afterwards.
pub fn sleep(awake: &dyn Fn() -> bool) {
    // SAFETY: what comes between the question and the sleep would be slept through; now it waits.
    unsafe { asm!("cli", options(nostack)) };
    if awake() {
        // SAFETY: whatever has come has an entry that copes with it.
        unsafe { asm!("sti", options(nostack)) };
    } else {
        // SAFETY: interrupts come again only after the instruction behind `sti`, and each of them ends `hlt`.
        unsafe { asm!("sti", "hlt", options(nostack)) };
    }
}

/// Where all entries go; interrupts are off.
#[unsafe(no_mangle)]
extern "C" fn interrupt(vector: u64) {
    let number = vector as u32 - EXCEPTIONS as u32;
    if number == SPURIOUS {
        return;
    }
    if number == uart::LINE {
        uart::silence();
    }
    if number != TIMER {
        HANDLERS.handle(number);
    }
    apic::end_of_interrupt();
}
