//! What the kernel's serial output means: where the screen begins, when it is ready, what it says.
//!
//! From the first clear-and-home sequence on, the serial line carries exactly the bytes that the
//! terminal on the screen was fed, each piece sent when the screen already shows it.

/// Clear the screen, cursor to the top left corner: the first bytes any screen gets.
pub const CLEAR_HOME: &[u8] = b"\x1b[2J\x1b[H";

/// What the shell prints when it waits for a line.
const PROMPT: &str = "> ";

/// The bytes the terminal was fed, from its first clear-and-home on.
pub fn screen(received: &[u8]) -> Option<&[u8]> {
    let start = received.windows(CLEAR_HOME.len()).position(|window| window == CLEAR_HOME)?;
    received.get(start..)
}

/// The text without escape sequences, line ends as `\n`.
pub fn plain(received: &[u8]) -> String {
    let mut text = Vec::with_capacity(received.len());
    let mut bytes = received.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\x1b' if bytes.next_if_eq(&b'[').is_some() => {
                // Parameters, then one final byte from `@` up.
                while bytes.next().is_some_and(|byte| byte < b'@') {}
            }
            b'\x1b' | b'\r' | 0 => {}
            other => text.push(other),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The last lines with anything in them, joined into one; for error messages.
pub fn tail(received: &[u8]) -> String {
    const LINES: usize = 4;
    let text = plain(received);
    let mut lines: Vec<_> =
        text.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(LINES).collect();
    lines.reverse();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(" | ") }
}

/// Whether the boot screen is complete: a line that is READY, and the prompt behind it.
pub fn is_ready(received: &[u8]) -> bool {
    let Some(text) = screen(received).map(plain) else { return false };
    text.lines().any(|line| line.trim() == "READY") && at_prompt(&text)
}

/// Whether a command typed when `before` bytes had come in has been answered.
pub fn is_answered(received: &[u8], before: usize) -> bool {
    let echo_and_answer = plain(received.get(before..).unwrap_or_default());
    at_prompt(&echo_and_answer)
}

/// Whether the kernel has said that it serves its page.
pub fn serves(received: &[u8]) -> bool {
    let text = plain(received);
    text.lines().any(|line| line.trim_start().starts_with("page ") && line.ends_with(demo::net::SERVED))
}

/// The line by which the kernel says why it cannot go on.
pub fn kernel_failure(received: &[u8]) -> Option<String> {
    let text = plain(received);
    // A line still on its way is not quoted in half.
    let (complete, _) = text.rsplit_once('\n')?;
    complete.lines().map(str::trim).find(|line| line.starts_with("FAILED: ")).map(str::to_owned)
}

fn at_prompt(text: &str) -> bool {
    text.strip_suffix(PROMPT).is_some_and(|rest| rest.ends_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &[u8] = b"OpenSBI v1\r\nlog > line\n\x1b[2J\x1b[Hvirtio\n\x1b[1;92mREADY\x1b[0m\n> ";

    #[test]
    fn the_screen_begins_at_the_first_clear() {
        assert_eq!(screen(b"abc"), None);
        assert_eq!(screen(b"abc\x1b[2J\x1b[Hx\x1b[2J\x1b[Hy").unwrap(), b"\x1b[2J\x1b[Hx\x1b[2J\x1b[Hy");
    }

    #[test]
    fn escapes_and_returns_are_not_text() {
        assert_eq!(plain(b"\x1b[2J\x1b[Ha\x1b[38;2;1;2;3mb\r\nc\x1b[0m\0"), "ab\nc");
        assert_eq!(plain(b"cut off \x1b[1"), "cut off ");
    }

    #[test]
    fn ready_needs_its_own_line_and_the_prompt() {
        assert!(is_ready(BOOT));
        for cut in 0..BOOT.len() {
            assert!(!is_ready(&BOOT[..cut]), "{cut}");
        }
        assert!(!is_ready(b"READY\n> "), "not on the screen");
        assert!(!is_ready(b"\x1b[2J\x1b[HNOT READY\n> "));
    }

    #[test]
    fn an_answer_ends_in_a_new_prompt() {
        let mut all = BOOT.to_vec();
        assert!(!is_answered(&all, BOOT.len()));
        for (piece, done) in [("edid", false), ("\n", false), ("QEMU Monitor > x\n", false), ("> ", true)] {
            all.extend_from_slice(piece.as_bytes());
            assert_eq!(is_answered(&all, BOOT.len()), done, "{piece}");
        }
    }

    #[test]
    fn the_kernels_own_failure_is_found_once_complete() {
        assert_eq!(kernel_failure(b"x\r\nFAILED: no GPU"), None);
        assert_eq!(kernel_failure(b"x\r\nFAILED: no GPU\r\n").as_deref(), Some("FAILED: no GPU"));
        assert_eq!(kernel_failure(BOOT), None);
    }

    #[test]
    fn the_tail_is_one_line() {
        assert_eq!(tail(b""), "nothing");
        assert_eq!(tail(b"\x1b[0m\r\n\r\n"), "nothing");
        assert_eq!(tail(b"1\n2\n3\n\n4\n5\n"), "2 | 3 | 4 | 5");
    }
}
