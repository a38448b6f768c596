//! The command `irq`: which interrupts there are, how often each came, and how long the CPU has slept.

use crate::banner::padded;
use crate::interrupts::{Row, Source};
use crate::rest::Share;
use crate::style::{ACCENT, DIM, PLAIN, WARN, field};
use core::fmt::{self, Write};

const NUMBER: usize = 9;
const KIND: usize = 10;
const DEVICE: usize = 11;
const TELLS: usize = 26;

/// Prints the table. `stray` interrupts were nobody's; `share` is what the CPU slept since the last time, `None` if there
/// is no clock.
///
/// # Errors
///
/// Those of `out`.
pub fn print(
    out: &mut impl Write,
    rows: impl Iterator<Item = Row>,
    stray: u32,
    share: Option<Share>,
) -> fmt::Result {
    writeln!(
        out,
        "  {DIM}{:<NUMBER$}{:<KIND$}{:<DEVICE$}{:<TELLS$}CAME{PLAIN}",
        "NUMBER", "KIND", "DEVICE", "TELLS OF"
    )?;
    for row in rows {
        write!(out, "  {:<NUMBER$}{:<KIND$}{ACCENT}", row.number, row.kind)?;
        write!(out, "{:<DEVICE$}{PLAIN}", row.source.name())?;
        padded(out, Tells(row), TELLS)?;
        writeln!(out, "{}", row.count)?;
    }
    if stray > 0 {
        field(out, "nobody's", format_args!("{WARN}{stray}{PLAIN}"))?;
    }
    match share {
        Some(share) => field(out, "asleep", format_args!("{share}")),
        None => field(out, "asleep", format_args!("{WARN}there is no clock{PLAIN}")),
    }
}

/// What there is to say where nothing interrupts.
///
/// # Errors
///
/// Those of `out`.
pub fn print_polled(out: &mut impl Write) -> fmt::Result {
    writeln!(out, "  {WARN}polled{PLAIN}: interrupts are off, and the CPU never sleeps")
}

/// What an interrupt is about.
struct Tells(Row);

impl fmt::Display for Tells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { source, config, queues, .. } = self.0;
        if source == Source::Serial {
            return f.write_str("received bytes");
        }
        let mut gap = "";
        if config {
            f.write_str("config")?;
            gap = ", ";
        }
        if queues != 0 {
            write!(f, "{gap}queue ")?;
            gap = "";
        }
        let told = |queue: u32| queues.checked_shr(queue).is_some_and(|rest| rest & 1 == 1);
        let mut queue = 0;
        while queue < u32::BITS {
            let end = (queue..).find(|&queue| !told(queue)).unwrap_or(queue);
            // Three and more in a row are told by the first and the last.
            match end - queue {
                0 => {}
                1 => write!(f, "{gap}{queue}")?,
                2 => write!(f, "{gap}{queue}, {}", queue + 1)?,
                _ => write!(f, "{gap}{queue} to {}", end - 1)?,
            }
            if end > queue {
                gap = ", ";
            }
            queue = end + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupts::Kind;
    use alloc::string::{String, ToString};
    use core::time::Duration;

    #[test]
    fn every_interrupt_has_a_line_of_its_own() {
        let row =
            |number, kind, source, config, queues, count| Row { number, kind, source, config, queues, count };
        let rows = [
            row(79, Kind::Line, Source::Gpu, true, 0b11, 2),
            row(81, Kind::Message(0), Source::Keyboard, true, 0, 0),
            row(82, Kind::Message(1), Source::Keyboard, false, 1, 123),
            row(33, Kind::Line, Source::Serial, false, 0, 4),
        ];
        let share = Share { asleep: Duration::from_millis(1985), total: Duration::from_secs(2) };
        let mut text = String::new();
        print(&mut text, rows.into_iter(), 0, Some(share)).unwrap();
        let text = text.replace(ACCENT, "").replace(DIM, "").replace(PLAIN, "");
        let wanted = "  NUMBER   KIND      DEVICE     TELLS OF                  CAME
  79       line      gpu        config, queue 0, 1        2
  81       message   keyboard   config                    0
  82       message   keyboard   queue 0                   123
  33       line      serial     received bytes            4
  asleep        99.2 % of 2.00 s
";
        assert_eq!(text, wanted);
        let told = |queues| Tells(row(1, Kind::Line, Source::Ports, false, queues, 0)).to_string();
        assert_eq!(told(0b1110_0101_1011), "queue 0, 1, 3, 4, 6, 9 to 11");
        assert_eq!(told(u32::MAX), "queue 0 to 31");
        assert_eq!(told(1 << 31), "queue 31");
        let mut text = String::new();
        print(&mut text, rows.into_iter().take(1), 3, None).unwrap();
        assert!(text.contains("nobody's") && text.contains("no clock"), "{text}");
    }
}
