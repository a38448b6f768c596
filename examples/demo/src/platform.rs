//! What the demo asks of a kernel.

/// The services of a kernel that the demo uses. One implementation per architecture.
pub trait Platform {
    /// The architecture's name, as the banner shows it: `aarch64`, `riscv64`, `x86_64`.
    const ARCH: &'static str;

    /// Writes to the serial line, and returns when all of it has been taken.
    fn serial_write(&self, bytes: &[u8]);

    /// The next byte from the serial line, or `None` when nothing waits.
    fn serial_read(&self) -> Option<u8>;

    /// Ends the machine. QEMU's exit code tells success from failure.
    fn power_off(&self, success: bool) -> !;
}
