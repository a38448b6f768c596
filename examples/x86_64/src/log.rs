//! Built with the feature `defmt`: everything on the serial line is a defmt frame.
//!
//! What drivers log has a level; the terminal's text goes out by `defmt::println!`, which has none, so the host
//! can tell the two apart. The encoder sends a zero byte first: decoders skip whatever firmware printed before.

use crate::{exit, uart};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use critical_section::RestoreState;
use defmt::Encoder;

/// Sends terminal text: one frame for each line, the line's end included.
pub fn text(bytes: &[u8]) {
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        for part in line.utf8_chunks() {
            defmt::println!("{=str}", part.valid());
        }
    }
}

#[defmt::global_logger]
struct Serial;

/// The frame being sent, and what to do with interrupts after it.
struct Frame(UnsafeCell<(Encoder, RestoreState)>);

// SAFETY: reached through `frame` only, whose callers hold a critical section.
unsafe impl Sync for Frame {}

static FRAME: Frame = Frame(UnsafeCell::new((Encoder::new(), RestoreState::invalid())));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Lends the frame.
///
/// # Safety
///
/// The caller is in the critical section that `acquire` began, and lets go of the frame before it returns.
unsafe fn frame<'a>() -> &'a mut (Encoder, RestoreState) {
    // SAFETY: nothing else runs in that section and `TAKEN` keeps a second `acquire` out: the only reference.
    unsafe { &mut *FRAME.0.get() }
}

// SAFETY: `acquire` begins a critical section that `release` ends; a second `acquire` in between ends the kernel.
unsafe impl defmt::Logger for Serial {
    fn acquire() {
        // SAFETY: defmt calls `release` once for each `acquire`.
        let state = unsafe { critical_section::acquire() };
        if TAKEN.swap(true, Ordering::Relaxed) {
            // A panic while a frame was open: there is no way left to say so.
            exit::power_off(false);
        }
        // SAFETY: the section has begun.
        let (encoder, restore) = unsafe { frame() };
        *restore = state;
        encoder.start_frame(uart::write);
    }

    unsafe fn flush() {}

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: defmt calls this between `acquire` and `release`.
        let (encoder, _) = unsafe { frame() };
        encoder.write(bytes, uart::write);
    }

    unsafe fn release() {
        // SAFETY: defmt calls this after `acquire`.
        let (encoder, restore) = unsafe { frame() };
        encoder.end_frame(uart::write);
        let state = *restore;
        TAKEN.store(false, Ordering::Relaxed);
        // SAFETY: the state comes from the matching `acquire`.
        unsafe { critical_section::release(state) };
    }
}
