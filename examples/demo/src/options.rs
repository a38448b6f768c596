//! What the kernel's command line asks for.

/// The words of a command line that mean something. Whatever else stands there is for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `polled`: no interrupts; the shell asks its devices again and again.
    pub polled: bool,
    /// `pool`: devices are shown a pool of pages only, and every buffer is copied there and back.
    pub pool: bool,
}

impl Options {
    /// Reads a command line.
    pub fn parse(line: &str) -> Self {
        let has = |wanted| line.split_ascii_whitespace().any(|word| word == wanted);
        Self { polled: has("polled"), pool: has("pool") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_wherever_they_stand() {
        assert_eq!(Options::parse(""), Options::default());
        assert_eq!(Options::parse("console=ttyS0 polled"), Options { polled: true, pool: false });
        assert_eq!(Options::parse(" pool\tpolled "), Options { polled: true, pool: true });
        assert_eq!(Options::parse("polledx nopool pool=1"), Options::default());
    }
}
