//! The demo's colours, as escapes for the terminal. One place, few colours: text, dim text, one accent.

use core::fmt;

/// Clears the screen and puts the cursor into its top left corner.
pub const CLEAR: &str = "\x1b[2J\x1b[H";

/// Back to plain text.
pub const PLAIN: &str = "\x1b[0m";
/// Labels and other text that may be overlooked.
pub const DIM: &str = "\x1b[38;2;124;135;150m";
/// What the eye should find first in a line.
pub const STRONG: &str = "\x1b[1;97m";
/// The one accent colour: names.
pub const ACCENT: &str = "\x1b[38;2;110;180;245m";
/// All is well.
pub const GOOD: &str = "\x1b[1;92m";
/// Worth a look.
pub const WARN: &str = "\x1b[93m";
/// The title bar.
pub const BAR: &str = "\x1b[48;2;30;64;112m\x1b[97m";
/// Quieter text in the title bar.
pub const BAR_DIM: &str = "\x1b[22m\x1b[38;2;168;196;232m";
/// Fills the rest of the line with the background colour.
pub const FILL: &str = "\x1b[K";

/// The width of the label column.
pub(crate) const LABEL: usize = 14;

/// Writes one line of a table: a dim label, then a value.
///
/// # Errors
///
/// Those of `out`.
pub fn field(out: &mut impl fmt::Write, label: &str, value: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(out, "  {DIM}{label:<LABEL$}{PLAIN}{value}")
}
