//! The test pattern of the `colors` command: named colours, and ramps of 24-bit colours. It is text like all
//! the rest, so it goes down the serial line as well.

use crate::style::{DIM, LABEL, PLAIN};
use core::fmt::{self, Write};

/// The most cells in a ramp.
const STEPS: u16 = 64;
/// The fewest, on a screen too narrow for more.
const FEWEST: u16 = 8;

/// Prints the pattern, as wide as a screen of so many columns lets it be.
///
/// # Errors
///
/// Those of `out`.
pub fn print(out: &mut impl Write, columns: u16) -> fmt::Result {
    let margins = u16::try_from(LABEL + 4).unwrap_or(u16::MAX);
    let steps = columns.saturating_sub(margins).clamp(FEWEST, STEPS);
    named(out, "named", 40, steps)?;
    named(out, "bright", 100, steps)?;
    ramp(out, "grey", steps, |level| (level, level, level))?;
    ramp(out, "red", steps, |level| (level, 0, 0))?;
    ramp(out, "green", steps, |level| (0, level, 0))?;
    ramp(out, "blue", steps, |level| (0, 0, level))?;
    ramp(out, "hue", steps, hue)
}

fn label(out: &mut impl Write, text: &str) -> fmt::Result {
    write!(out, "  {DIM}{text:<LABEL$}{PLAIN}")
}

/// The eight colours from code `first` on, together as wide as a ramp.
fn named(out: &mut impl Write, text: &str, first: u16, steps: u16) -> fmt::Result {
    label(out, text)?;
    for color in 0..8 {
        let width = usize::from(steps * (color + 1) / 8 - steps * color / 8);
        write!(out, "\x1b[{}m{:width$}", first + color, "")?;
    }
    writeln!(out, "{PLAIN}")
}

fn ramp(out: &mut impl Write, text: &str, steps: u16, color: fn(u16) -> (u16, u16, u16)) -> fmt::Result {
    label(out, text)?;
    for step in 0..steps {
        let (r, g, b) = color(step * 255 / (steps - 1));
        write!(out, "\x1b[48;2;{r};{g};{b}m ")?;
    }
    writeln!(out, "{PLAIN}")
}

/// Once round the colour wheel, as `level` goes from 0 to 255.
fn hue(level: u16) -> (u16, u16, u16) {
    let (sector, part) = (level * 6 / 256, level * 6 % 256);
    match sector {
        0 => (255, part, 0),
        1 => (255 - part, 255, 0),
        2 => (0, 255, part),
        3 => (0, 255 - part, 255),
        4 => (part, 0, 255),
        _ => (255, 0, 255 - part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Canvas, terminal};
    use embedded_graphics::pixelcolor::Rgb888;

    #[test]
    fn ramps_run_from_end_to_end() {
        let mut terminal = terminal(1280, 800);
        let mut canvas = Canvas::new(1280, 800);
        print(&mut *terminal, 124).unwrap();
        terminal.draw(&mut canvas).unwrap();
        // Margin 20, label 2 + 14 cells, ramps of 64 cells of 10 by 20 pixels.
        let at = |step: usize, row: usize| canvas.pixel(20 + (16 + step) * 10 + 5, 20 + row * 20 + 10);
        assert_eq!(at(0, 2), Rgb888::new(0, 0, 0));
        assert_eq!(at(63, 2), Rgb888::new(255, 255, 255));
        assert_eq!(at(63, 3), Rgb888::new(255, 0, 0));
        assert_eq!(at(63, 4), Rgb888::new(0, 255, 0));
        assert_eq!(at(63, 5), Rgb888::new(0, 0, 255));
        assert_eq!(at(0, 6), Rgb888::new(255, 0, 0));
        assert_ne!(at(8, 0), at(16, 0));
        assert_eq!(at(64, 2), at(64, 20), "the ramp ends");
    }

    #[test]
    fn a_line_each_on_any_width() {
        for columns in 26..140 {
            let mut terminal = terminal(u32::from(columns) * 10 + 32, 800);
            assert_eq!(terminal.columns(), columns);
            print(&mut *terminal, columns).unwrap();
            assert_eq!(terminal.cursor(), (0, 7), "{columns} columns");
        }
        let mut text = alloc::string::String::new();
        print(&mut text, 0).unwrap();
        assert_eq!(text.lines().count(), 7);
    }

    #[test]
    fn the_wheel_has_no_jumps() {
        let far = |(a, b): (u16, u16)| a.abs_diff(b);
        for level in 0..255 {
            let ((r, g, b), (r2, g2, b2)) = (hue(level), hue(level + 1));
            assert!(far((r, r2)) + far((g, g2)) + far((b, b2)) <= 8, "at {level}");
        }
    }
}
