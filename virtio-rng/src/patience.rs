//! How many empty answers are enough.

use crate::RngError;

/// Empty answers in a row until the device counts as dry. One may be an accident of the host's.
pub(crate) const EMPTY_ANSWERS: u32 = 16;

/// Counts empty answers in a row.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    empty: u32,
}

impl Patience {
    /// Takes note of an answer of `len` bytes.
    ///
    /// # Errors
    /// [`RngError::NoEntropy`] if there were too many empty ones.
    pub(crate) fn answer(&mut self, len: usize) -> Result<(), RngError> {
        self.empty = if len == 0 { self.empty.saturating_add(1) } else { 0 };
        if self.empty < EMPTY_ANSWERS { Ok(()) } else { Err(RngError::NoEntropy { answers: self.empty }) }
    }
}
