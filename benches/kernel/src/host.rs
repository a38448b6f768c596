//! The way to whoever started the machine: semihosting (Arm's "Semihosting for AArch32 and AArch64"). QEMU answers each call at
//! the instruction, so that nothing of it runs while something is measured.

use core::arch::asm;
use core::fmt;

/// Operation: write a string that ends with a zero byte.
const SYS_WRITE0: u64 = 0x04;
/// Operation: the words that the machine was started with.
const SYS_GET_CMDLINE: u64 = 0x15;
/// Operation: leave.
const SYS_EXIT: u64 = 0x18;
/// Reason to leave: the application has ended by itself.
const APPLICATION_EXIT: u64 = 0x20026;

/// One call: `argument` is an address, of what the operation takes.
///
/// # Safety
/// It points to what the operation reads and writes.
unsafe fn call(operation: u64, argument: *mut u64) -> u64 {
    let answer;
    // SAFETY: the host accesses what the caller vouches for, and nothing else.
    unsafe { asm!("hlt #0xf000", inout("x0") operation => answer, in("x1") argument, options(nostack)) };
    answer
}

/// Puts the words that the machine was started with into `bytes`.
pub fn words(bytes: &mut [u8]) -> &str {
    let mut block = [bytes.as_mut_ptr() as u64, bytes.len() as u64];
    // SAFETY: an address and a length of memory that is ours; the host puts the length there.
    let answer = unsafe { call(SYS_GET_CMDLINE, block.as_mut_ptr()) };
    assert_eq!(answer, 0, "no words, or too many");
    let len = block[1] as usize;
    core::str::from_utf8(&bytes[..len]).expect("words are text").trim_end_matches('\0')
}

/// The host's standard output.
pub struct Out;

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for chunk in text.as_bytes().chunks(255) {
            let mut line = [0_u8; 256];
            line[..chunk.len()].copy_from_slice(chunk);
            // SAFETY: a string that ends with a zero byte; the host only reads it.
            unsafe { call(SYS_WRITE0, line.as_mut_ptr().cast()) };
        }
        Ok(())
    }
}

/// Prints a line.
macro_rules! say {
    ($($words:tt)*) => {{
        // Cannot fail: see `Out`.
        let _ = core::fmt::Write::write_fmt(&mut $crate::host::Out, format_args!("{}\n", format_args!($($words)*)));
    }};
}
pub(crate) use say;

/// Ends the machine, with this as QEMU's exit code.
pub fn leave(code: u64) -> ! {
    let mut block = [APPLICATION_EXIT, code];
    // SAFETY: two words that the host reads.
    unsafe { call(SYS_EXIT, block.as_mut_ptr()) };
    loop {
        core::hint::spin_loop();
    }
}
