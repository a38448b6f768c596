//! The command `ports`: the console's ports. Those that are open are greeted, and what comes in by any is sent back.
//!
//! Once begun, it goes on beside the shell: [`Ports::go_on`] is called when the device interrupts, or again and again.

use crate::style::{ACCENT, DIM, PLAIN, WARN, field};
use core::fmt::{self, Write};
use virtio::console::{Console, ConsoleError, Event, PortId};
use virtio::device::DeviceEvent;
use virtio::transport::InterruptStatus;
use virtio::{Features, Hal, Transport};

/// The most ports that are looked after.
pub const MOST: u16 = 8;
/// Bytes sent back at a time.
const PIECE: usize = 256;
/// Pieces in one turn of a port: the others have theirs, and so has the shell.
const TURNS: usize = 16;

const NUMBER: usize = 6;
const NAME: usize = 20;
const STATE: usize = 10;
const SIZE: usize = 12;

/// The console, and what was said on its ports.
#[derive(Debug)]
pub struct Ports<T: Transport, H: Hal + Clone + 'static> {
    console: Console<T, H>,
    /// The command was given: the ports are looked after.
    begun: bool,
    lines: [Line; MOST as usize],
}

/// What was said on one port.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Our end is open.
    opened: bool,
    /// The device has said that the other end is open.
    other_end: bool,
    greeted: bool,
    /// Bytes sent back.
    echoed: u64,
}

/// How far [`Ports::go_on`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing waits; the device interrupts for more.
    Idle,
    /// There is more to do: something waits, or somebody does not read what is sent back.
    More,
}

impl<T: Transport, H: Hal + Clone + 'static> Ports<T, H> {
    /// Brings the console up.
    ///
    /// # Errors
    ///
    /// It cannot be driven.
    pub fn new(transport: T, hal: H) -> Result<Self, ConsoleError> {
        Ok(Self {
            console: Console::new(transport, hal)?,
            begun: false,
            lines: [Line::default(); MOST as usize],
        })
    }

    /// The device.
    pub fn console(&self) -> &Console<T, H> {
        &self.console
    }

    /// The features negotiated.
    pub fn features(&self) -> Features {
        self.console.features()
    }

    /// How many ports there are, as far as the device has said.
    pub fn count(&self) -> usize {
        self.console.present().count()
    }

    /// Follows up on an interrupt about something else than a queue; the device is brought up again if it asks for that.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn attend(mut self) -> Result<Self, ConsoleError> {
        match self.console.attend(InterruptStatus::CONFIG)? {
            Some(DeviceEvent::NeedsReset) => Ok(Self {
                console: self.console.recover()?,
                begun: self.begun,
                lines: [Line::default(); MOST as usize],
            }),
            // The size of the first port, which is asked for when it is shown.
            _ => Ok(self),
        }
    }

    /// Looks after the ports, from the first command on: opens our ends, greets, sends back. `arch` is who greets.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn go_on(&mut self, arch: &str) -> Result<Turn, ConsoleError> {
        self.hear()?;
        let mut turn = Turn::Idle;
        if self.begun {
            for (number, line) in (0..).zip(&mut self.lines) {
                let port = PortId::new(number);
                let is_there = self.console.present().any(|present| present == port);
                if is_there && look_after(&mut self.console, port, line, arch)? == Turn::More {
                    turn = Turn::More;
                }
            }
        }
        // What was said while the ports were looked after brings no interrupt any more.
        let waits = self.console.enable_interrupts()? | self.hear()?;
        if waits { Ok(Turn::More) } else { Ok(turn) }
    }

    /// Hears what the device has to say; it waits for answers in any case. Answers whether there was anything.
    fn hear(&mut self) -> Result<bool, ConsoleError> {
        let mut heard = false;
        while let Some(event) = self.console.next_event().transpose() {
            heard = true;
            let (port, change) = match event {
                // Whether a port is open may be known before its event is read: the event counts, so that each greets once.
                Ok(Event::Opened(port)) => (port, Some(true)),
                Ok(Event::Closed(port)) => (port, Some(false)),
                Ok(Event::Removed(port)) => (port, None),
                Err(error @ ConsoleError::Core(_)) => return Err(error),
                // One message that makes no sense; the device goes on.
                Ok(_) | Err(_) => continue,
            };
            let line = usize::try_from(port.get()).ok().and_then(|place| self.lines.get_mut(place));
            match (line, change) {
                (Some(line), Some(open)) => (line.other_end, line.greeted) = (open, false),
                (Some(line), None) => *line = Line::default(),
                (None, _) => {}
            }
        }
        Ok(heard)
    }

    /// Lists the ports, and begins to look after them.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn print(&mut self, out: &mut impl Write, arch: &str) -> fmt::Result {
        self.begun = true;
        let turn = self.go_on(arch);
        writeln!(
            out,
            "  {DIM}{:<NUMBER$}{:<NAME$}{:<STATE$}{:<SIZE$}SENT BACK{PLAIN}",
            "PORT", "NAME", "HOST", "SIZE"
        )?;
        for port in self.console.present() {
            let name = self.console.name(port).map(|name| name.as_str()).unwrap_or_default();
            let state = if self.console.is_open(port) { "open" } else { "closed" };
            let line = usize::try_from(port.get()).ok().and_then(|place| self.lines.get(place));
            write!(out, "  {:<NUMBER$}{ACCENT}", port.get())?;
            // What a device says is text, and nothing else.
            crate::banner::padded(out, name.escape_default(), NAME)?;
            write!(out, "{PLAIN}{state:<STATE$}")?;
            match self.console.size(port) {
                Ok(Some(size)) => {
                    crate::banner::padded(out, format_args!("{} x {}", size.cols, size.rows), SIZE)?;
                }
                _ => write!(out, "{:<SIZE$}", "unknown")?,
            }
            writeln!(out, "{} bytes", line.map_or(0, |line| line.echoed))?;
        }
        match turn {
            Ok(_) => field(out, "echo", format_args!("what comes in by a port goes back, until power-off")),
            Err(error) => field(out, "echo", format_args!("{WARN}{error}{PLAIN}")),
        }
    }
}

/// One port: our end is opened, it is greeted once each time that its other end opens, and what it sends goes back.
fn look_after<T: Transport, H: Hal + Clone + 'static>(
    console: &mut Console<T, H>,
    port: PortId,
    line: &mut Line,
    arch: &str,
) -> Result<Turn, ConsoleError> {
    if !line.opened {
        console.open(port)?;
        line.opened = true;
    }
    // The only port of a device without control messages is open, and nobody says so.
    let said = line.other_end || !console.is_multiport();
    if !(said && console.is_open(port)) {
        return Ok(Turn::Idle);
    }
    let mut greeting = Greeting::default();
    if !line.greeted {
        let name = console.name(port).map(|name| name.as_str()).unwrap_or_default();
        // What does not fit is cut.
        let _ = writeln!(greeting, "hello from {arch}, on port {} {name}", port.get());
    }
    let mut lent = match console.port(port) {
        Ok(lent) => lent,
        // It has gone meanwhile.
        Err(ConsoleError::NoSuchPort(_) | ConsoleError::Closed(_)) => return Ok(Turn::Idle),
        Err(error) => return Err(error),
    };
    if !line.greeted {
        match lent.write(greeting.bytes()) {
            // Nothing else is on its way, so there is room for all of it.
            Ok(0) => return Ok(Turn::More),
            Ok(_) => line.greeted = true,
            Err(ConsoleError::Closed(_)) => return Ok(Turn::Idle),
            Err(error) => return Err(error),
        }
    }
    for _ in 0..TURNS {
        let mut piece = [0; PIECE];
        let waiting = match lent.peek() {
            Ok(waiting) => waiting,
            Err(ConsoleError::Closed(_)) => return Ok(Turn::Idle),
            Err(error) => return Err(error),
        };
        let len = waiting.len().min(PIECE);
        if len == 0 {
            return Ok(Turn::Idle);
        }
        for (place, byte) in piece.iter_mut().zip(waiting) {
            *place = *byte;
        }
        let sent = match lent.write(piece.get(..len).unwrap_or_default()) {
            Ok(sent) => sent,
            Err(ConsoleError::Closed(_)) => return Ok(Turn::Idle),
            Err(error) => return Err(error),
        };
        lent.consume(sent);
        line.echoed += u64::try_from(sent).unwrap_or_default();
        if sent < len {
            return Ok(Turn::More);
        }
    }
    Ok(Turn::More)
}

/// A line of text.
struct Greeting {
    text: [u8; 128],
    len: usize,
}

impl Default for Greeting {
    fn default() -> Self {
        Self { text: [0; 128], len: 0 }
    }
}

impl Greeting {
    fn bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

impl Write for Greeting {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.text.get_mut(self.len).ok_or(fmt::Error)? = byte;
            self.len += 1;
        }
        Ok(())
    }
}
