//! The boot screen: what this machine is, and what was found on it.
//!
//! Everything is plain data, so that the host can print the same screen.

use crate::style::{ACCENT, BAR, BAR_DIM, CLEAR, DIM, FILL, GOOD, LABEL, PLAIN, STRONG, WARN, field};
use core::fmt::{self, Write};

/// All that the boot screen says.
#[derive(Clone, Copy, Debug)]
pub struct Banner<'a> {
    /// The architecture's name.
    pub arch: &'a str,
    /// How the GPU is reached.
    pub transport: Transport,
    /// Width and height of the screen in pixels.
    pub screen: (u32, u32),
    /// The monitor's name, if it has said one.
    pub monitor: Option<&'a str>,
    /// The features negotiated with the GPU, by name.
    pub features: &'a [&'a str],
    /// Every virtio device found.
    pub devices: &'a [DeviceLine<'a>],
    /// Whether one of them is a keyboard that works.
    pub keyboard: bool,
}

/// One device found.
#[derive(Clone, Copy, Debug)]
pub struct DeviceLine<'a> {
    /// What kind of device it is.
    pub name: &'a str,
    /// How it is reached.
    pub transport: Transport,
    /// Where it is.
    pub location: Location,
    /// The features negotiated with it, by name; `None` if the demo does not use the device.
    pub features: Option<&'a [&'a str]>,
}

/// How a device is reached, and by which version of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// virtio-mmio version 1 (VIRTIO 1.4 §4.2.4).
    MmioLegacy,
    /// virtio-mmio version 2 (VIRTIO 1.4 §4.2.2).
    Mmio,
    /// virtio over PCI (VIRTIO 1.4 §4.1).
    Pci,
    /// virtio over PCI with the legacy interface only (VIRTIO 1.4 §4.1.4.10).
    PciLegacy,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MmioLegacy => "mmio, version 1 (legacy)",
            Self::Mmio => "mmio, version 2",
            Self::Pci => "pci, version 1.x",
            Self::PciLegacy => "pci, legacy only",
        })
    }
}

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// The physical address of its registers.
    Address(u64),
    /// Its PCI function.
    Function {
        /// Bus number.
        bus: u8,
        /// Device number on the bus.
        device: u8,
        /// Function number in the device.
        function: u8,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address:#010x}"),
            Self::Function { bus, device, function } => write!(f, "{bus:02x}:{device:02x}.{function}"),
        }
    }
}

/// Prints the boot screen, from a clear screen on, up to where READY goes. `columns` is the screen's width in
/// characters, for the lists that need more than one line.
///
/// # Errors
///
/// Those of `out`.
pub fn print(out: &mut impl Write, banner: &Banner<'_>, columns: u16) -> fmt::Result {
    write!(out, "{CLEAR}")?;
    writeln!(out, "{BAR}{FILL}")?;
    writeln!(out, "  \x1b[1mvirtio in Rust{BAR_DIM}    a terminal on the virtio GPU{FILL}")?;
    writeln!(out, "{FILL}{PLAIN}\n")?;
    field(out, "machine", format_args!("{STRONG}{}{PLAIN}", banner.arch))?;
    field(out, "transport", format_args!("{}", banner.transport))?;
    let (width, height) = banner.screen;
    field(
        out,
        "screen",
        format_args!("{width} x {height}{}", Prefixed(", ", banner.monitor.unwrap_or_default())),
    )?;
    write!(out, "  {DIM}{:<LABEL$}{PLAIN}", "gpu features")?;
    words(out, banner.features, LABEL + 2, columns)?;
    writeln!(out)?;
    devices(out, banner.devices)?;
    writeln!(out)?;
    if !banner.keyboard {
        writeln!(out, "  {WARN}no keyboard: type on the serial line{PLAIN}")?;
    }
    writeln!(out, "  {DIM}Type {PLAIN}help{DIM} and Enter for the list of commands.{PLAIN}\n")
}

/// Prints the line that says the system is up.
///
/// # Errors
///
/// Those of `out`.
pub fn ready(out: &mut impl Write) -> fmt::Result {
    writeln!(out, "{GOOD}READY{PLAIN}")
}

/// Widths of the device table's columns.
const NAME: usize = LABEL;
const LOCATION: usize = 14;
const TRANSPORT: usize = 27;

/// Prints a table of devices: what, where, how, and whether the demo uses it.
///
/// # Errors
///
/// Those of `out`.
pub fn devices(out: &mut impl Write, devices: &[DeviceLine<'_>]) -> fmt::Result {
    writeln!(out, "  {DIM}{:<NAME$}{:<LOCATION$}{:<TRANSPORT$}USE{PLAIN}", "DEVICE", "PLACE", "TRANSPORT")?;
    for device in devices {
        let (color, usage) = match device.features {
            Some(_) => (ACCENT, "driven"),
            None => (DIM, "seen"),
        };
        write!(out, "  {color}{:<NAME$}{PLAIN}", device.name)?;
        padded(out, device.location, LOCATION)?;
        writeln!(out, "{:<TRANSPORT$}{DIM}{usage}{PLAIN}", device.transport)?;
    }
    Ok(())
}

/// Prints, for each device that is driven, the features negotiated with it.
///
/// # Errors
///
/// Those of `out`.
pub fn features(out: &mut impl Write, devices: &[DeviceLine<'_>], columns: u16) -> fmt::Result {
    for device in devices {
        if let Some(features) = device.features {
            write!(out, "  {ACCENT}{:<LABEL$}{PLAIN}", device.name)?;
            words(out, features, LABEL + 2, columns)?;
        }
    }
    Ok(())
}

/// Prints words from column `indent` on, in as many lines as they need, and ends the last.
fn words(out: &mut impl Write, words: &[&str], indent: usize, columns: u16) -> fmt::Result {
    const GAP: usize = 2;
    let mut column = indent;
    if words.is_empty() {
        write!(out, "{DIM}none{PLAIN}")?;
    }
    for word in words {
        if column > indent && column + word.len() > usize::from(columns) {
            write!(out, "\n{:indent$}", "")?;
            column = indent;
        }
        let gap = if column > indent { GAP } else { 0 };
        write!(out, "{:gap$}{word}", "")?;
        column += gap + word.len();
    }
    writeln!(out)
}

/// Writes a value that cannot pad itself, then blanks up to `width`.
pub(crate) fn padded(out: &mut impl Write, value: impl fmt::Display, width: usize) -> fmt::Result {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    write!(count, "{value}")?;
    let rest = width.saturating_sub(count.0);
    write!(out, "{value}{:rest$}", "")
}

/// A prefix and a text, or nothing if there is no text.
struct Prefixed<'a>(&'a str, &'a str);

impl fmt::Display for Prefixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(prefix, text) = self;
        if text.is_empty() { Ok(()) } else { write!(f, "{prefix}{text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Terminal;
    use crate::testing::{Canvas, terminal};
    use crate::{colors, shell};
    use alloc::string::String;
    use alloc::vec::Vec;

    const GPU: &[&str] = &["EDID", "RING_INDIRECT_DESC", "RING_EVENT_IDX"];

    fn sample() -> [DeviceLine<'static>; 3] {
        let line = |name, slot: u64, features| DeviceLine {
            name,
            transport: Transport::MmioLegacy,
            location: Location::Address(0x0a00_0000 + slot * 0x200),
            features,
        };
        [line("gpu", 31, Some(GPU)), line("keyboard", 30, Some(&GPU[1..])), line("block", 29, None)]
    }

    fn print_sample(out: &mut impl Write, keyboard: bool, columns: u16) {
        let devices = sample();
        let banner = Banner {
            arch: "aarch64",
            transport: Transport::MmioLegacy,
            screen: (1280, 800),
            monitor: Some("QEMU Monitor"),
            features: GPU,
            devices: &devices,
            keyboard,
        };
        print(out, &banner, columns).unwrap();
    }

    fn rows(terminal: &Terminal) -> Vec<String> {
        (0..terminal.rows()).map(|row| terminal.row(row).collect::<String>().trim_end().into()).collect()
    }

    #[test]
    fn says_everything_once() {
        let mut terminal = terminal(1280, 800);
        print_sample(&mut *terminal, true, 124);
        ready(&mut *terminal).unwrap();
        let text = rows(&terminal).join("\n");
        for part in
            ["aarch64", "mmio, version 1 (legacy)", "1280 x 800, QEMU Monitor", "EDID  RING_INDIRECT_DESC"]
        {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        for part in ["0x0a003e00", "0x0a003c00", "0x0a003a00", "keyboard", "seen", "READY"] {
            assert_eq!(text.matches(part).count(), 1, "{part}\n{text}");
        }
        assert!(!text.contains("serial line"));
    }

    #[test]
    fn no_keyboard_is_said() {
        let mut terminal = terminal(1280, 800);
        print_sample(&mut *terminal, false, 124);
        assert!(rows(&terminal).iter().any(|row| row.trim() == "no keyboard: type on the serial line"));
    }

    #[test]
    fn the_stream_begins_with_clear_and_ends_at_a_prompt() {
        let mut stream = String::new();
        print_sample(&mut stream, true, 80);
        ready(&mut stream).unwrap();
        assert!(stream.starts_with(CLEAR));
        stream.push_str(shell::PROMPT);
        assert!(shell::at_prompt(stream.as_bytes()));
        assert!(stream.contains("READY"));
    }

    #[test]
    fn columns_line_up_whatever_the_place() {
        let mut devices = sample();
        devices[1].location = Location::Function { bus: 0, device: 2, function: 0 };
        devices[1].transport = Transport::Pci;
        devices[2].location = Location::Address(0x40_1000_0000);
        let mut terminal = terminal(1280, 800);
        super::devices(&mut *terminal, &devices).unwrap();
        let rows = rows(&terminal);
        assert!(rows[2].contains("00:02.0"));
        assert!(rows[3].contains("0x4010000000"));
        let column = rows[0].find("TRANSPORT").unwrap();
        assert!(rows[1..4].iter().all(|row| {
            let rest = row.get(column..).unwrap();
            rest.starts_with("mmio,") || rest.starts_with("pci,")
        }));
    }

    #[test]
    fn long_lists_break_between_words() {
        let mut text = String::new();
        let many = ["RING_INDIRECT_DESC"; 7];
        words(&mut text, &many, 16, 60).unwrap();
        assert_eq!(text.lines().count(), 4);
        assert!(text.lines().skip(1).all(|line| line.starts_with(&" ".repeat(16)) && line.len() <= 60));
        let mut narrow = String::new();
        words(&mut narrow, &many, 16, 10).unwrap();
        assert_eq!(narrow.lines().count(), 7, "never an endless loop on a narrow screen");
    }

    /// Leaves pictures to be looked at in the folder that `DEMO_PICTURES` names.
    #[test]
    fn a_whole_session_fits_the_screen() {
        for (width, height) in [(1280, 800), (800, 600)] {
            let mut terminal = terminal(width, height);
            let columns = terminal.columns();
            print_sample(&mut *terminal, true, columns);
            ready(&mut *terminal).unwrap();
            writeln!(terminal, "{}help", shell::PROMPT).unwrap();
            shell::help(&mut *terminal).unwrap();
            write!(terminal, "{}", shell::PROMPT).unwrap();
            let text = rows(&terminal).join("\n");
            assert!(text.contains("\nREADY\n> help\n"), "{text}");
            if height == 800 {
                let (column, row) = terminal.cursor();
                assert_eq!(column, 2);
                assert!(row + 1 < terminal.rows(), "nothing scrolled away");
                assert_eq!(rows(&terminal)[1], "  virtio in Rust    a terminal on the virtio GPU");
            }
            writeln!(terminal, "colors").unwrap();
            colors::print(&mut *terminal, columns).unwrap();
            write!(terminal, "{}", shell::PROMPT).unwrap();
            assert!(
                rows(&terminal).contains(&"> colors".into()),
                "of what is on the screen, the last is whole"
            );
            let mut canvas = Canvas::new(width.try_into().unwrap(), height.try_into().unwrap());
            terminal.draw(&mut canvas).unwrap();
            if let Some(folder) = std::env::var_os("DEMO_PICTURES") {
                canvas.save(&std::path::Path::new(&folder).join(alloc::format!("demo-{width}x{height}.png")));
            }
        }
    }
}
