//! Text on the serial line: plain, or in defmt frames when built so.

use core::fmt;

/// Sends `bytes`; waits until they are on their way.
pub fn write(bytes: &[u8]) {
    #[cfg(feature = "defmt")]
    crate::log::text(bytes);
    #[cfg(not(feature = "defmt"))]
    crate::uart::write(bytes);
}

/// For `write!`.
pub struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}
