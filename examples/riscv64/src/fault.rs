//! What should never happen, a panic (a CPU exception ends in one), ends the machine with one line that says why.

use crate::{exit, serial::Serial};
use core::fmt::Write;
use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // Writing to the serial line cannot fail.
    let _ = write!(Serial, "\nFAILED: {}", info.message());
    if let Some(place) = info.location() {
        let _ = writeln!(Serial, " ({place})");
    }
    exit::power_off(false)
}
