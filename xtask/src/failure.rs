//! The one error type: a line for the person at the terminal.

use std::fmt;

/// What went wrong, in one line.
#[derive(Debug)]
pub struct Failure(String);

/// What nearly everything here returns.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that says `line`. Line breaks become ` | `: one failure, one line.
    pub fn new(line: impl fmt::Display) -> Self {
        Self(line.to_string().trim().replace('\n', " | "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns early with a [`Failure`] made from a format string.
macro_rules! fail {
    ($($part:tt)*) => { return Err($crate::failure::Failure::new(format!($($part)*))) };
}
pub(crate) use fail;

/// Says what was being done when some other error came up.
pub trait Context<T> {
    /// Turns the error into `what: error`.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{what}: {error}")))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Failure::new(what))
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(Failure::new("a\nb\n").to_string(), "a | b");
    }
}
