//! The demo, from finding the devices to power off.

use crate::banner::{self, Banner};
use crate::commands::{self, Next};
use crate::console::Console;
use crate::discover::{self, AnyDevice, Config};
use crate::edid::Monitor;
use crate::inventory::Inventory;
use crate::keyboard::Keyboard;
use crate::machine::Machine;
use crate::platform::Platform;
use crate::screen::Display;
use crate::shell::{Command, LineEditor, PROMPT};
use crate::style::{PLAIN, WARN};
use crate::terminal::Terminal;
use core::cell::Cell;
use core::fmt::{self, Write};
use virtio::gpu::GpuError;
use virtio::{DeviceId, HalError};

/// Runs the demo and ends the machine: with success after the command `off`, otherwise with a line that says why.
pub fn run<P: Platform>(platform: P, machine: &Machine<'_>) -> ! {
    let greeted = Cell::new(false);
    let ended = session(&platform, machine, &greeted).and_then(|()| all_returned(&platform));
    if let Err(failure) = &ended {
        // A line of its own, also in the middle of a session. The serial line takes everything.
        let start = if greeted.get() { "\n" } else { "" };
        let _ = writeln!(Serial(&platform), "{start}FAILED: {failure}");
    }
    platform.power_off(ended.is_ok())
}

/// Why there is no demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// None was found that can be used.
    NoGpu,
    /// The GPU failed.
    Gpu(GpuError),
    /// The GPU's screen has no room for text.
    ScreenTooSmall,
    /// PCI configuration space cannot be reached.
    Config(HalError),
    /// A driver has kept so many frames.
    Kept(usize),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGpu => f.write_str("no virtio GPU found"),
            Self::Gpu(error) => write!(f, "GPU: {error}"),
            Self::ScreenTooSmall => f.write_str("the screen is too small for text"),
            Self::Config(error) => write!(f, "PCI configuration space: {error}"),
            Self::Kept(frames) => write!(f, "{frames} page frames were not given back"),
        }
    }
}

impl core::error::Error for Failure {}

impl From<GpuError> for Failure {
    fn from(error: GpuError) -> Self {
        Self::Gpu(error)
    }
}

/// The serial line, before there is a screen and after.
struct Serial<'p, P>(&'p P);

impl<P: Platform> Write for Serial<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.serial_write(text.as_bytes());
        Ok(())
    }
}

fn all_returned<P: Platform>(platform: &P) -> Result<(), Failure> {
    match platform.frames().used() {
        0 => Ok(()),
        kept => Err(Failure::Kept(kept)),
    }
}

/// Everything between boot and power off. At its end all devices are reset and all memory is given back. `greeted`
/// tells, whatever the end, whether the screen's text has begun.
fn session<P: Platform>(platform: &P, machine: &Machine<'_>, greeted: &Cell<bool>) -> Result<(), Failure> {
    let log = &mut Serial(platform);
    let config = match &machine.pci {
        Some(host) => Config::open(platform, host).map_err(Failure::Config)?,
        None => None,
    };
    let mut devices = discover::all(platform, machine, config.as_ref(), log);
    let mut inventory = Inventory::new(&devices);
    let mut display = None;
    let mut keyboard = None;
    for (index, found) in devices.iter_mut().enumerate() {
        match found.id {
            DeviceId::GPU if display.is_none() => {
                let Some(transport) = found.transport.take() else { continue };
                let gpu = display.insert((index, Display::new(platform, transport)?));
                inventory.driven(index, found.id, gpu.1.gpu().features(), None);
            }
            DeviceId::INPUT if keyboard.is_none() => {
                let Some(transport) = found.transport.take() else { continue };
                match Keyboard::new(transport, platform.hal()) {
                    Ok(Some(found_one)) => {
                        let features = found_one.input().features();
                        inventory.driven(index, found.id, features, Some("keyboard"));
                        keyboard = Some(found_one);
                    }
                    Ok(None) => {}
                    // One device less; the serial line types as well.
                    Err(error) => {
                        let _ = writeln!(log, "input: {error}");
                    }
                }
            }
            _ => {}
        }
    }
    let (index, display) = display.ok_or(Failure::NoGpu)?;
    let terminal = Terminal::take().ok_or(Failure::ScreenTooSmall)?;
    terminal.resize(display.size());
    if terminal.columns() == 0 {
        return Err(Failure::ScreenTooSmall);
    }
    let mut console = Console::new(terminal, display);
    greeted.set(true);
    greet::<P>(&mut console, &inventory, index, keyboard.is_some())?;
    shell(platform, &mut console, &inventory, keyboard)?;
    console.into_output().close()?;
    Ok(())
}

type Screen<'t, 'p, 'c, P> = Console<'t, Display<'p, P, AnyDevice<'c, P>>>;

/// The boot screen, READY, and the first prompt: each is on the screen before it is on the serial line.
fn greet<P: Platform>(
    console: &mut Screen<'_, '_, '_, P>,
    inventory: &Inventory,
    gpu: usize,
    keyboard: bool,
) -> Result<(), GpuError> {
    let size = console.output().size();
    let monitor = console.output().monitor().ok();
    let columns = console.columns();
    // A write fails only if a flush inside it does; the flushes below say why.
    let _ = inventory.with_lines(|devices| {
        let Some(line) = devices.get(gpu) else { return Ok(()) };
        let banner = Banner {
            arch: P::ARCH,
            transport: line.transport,
            screen: (size.width, size.height),
            monitor: monitor.as_ref().and_then(Monitor::name),
            features: line.features.unwrap_or_default(),
            devices,
            keyboard,
        };
        banner::print(console, &banner, columns)
    });
    console.flush()?;
    let _ = banner::ready(console);
    console.flush()?;
    prompt(console)
}

fn prompt<P: Platform>(console: &mut Screen<'_, '_, '_, P>) -> Result<(), GpuError> {
    let _ = console.write_str(PROMPT);
    console.flush()
}

/// Reads lines from both ends and carries them out, until `off`.
fn shell<P: Platform>(
    platform: &P,
    console: &mut Screen<'_, '_, '_, P>,
    inventory: &Inventory,
    mut keyboard: Option<Keyboard<AnyDevice<'_, P>, P::Hal>>,
) -> Result<(), GpuError> {
    let mut editor = LineEditor::new();
    loop {
        let typed = match keyboard.as_mut().map(Keyboard::read) {
            None | Some(Ok(None)) => platform.serial_read(),
            Some(Ok(typed)) => typed,
            Some(Err(error)) => {
                keyboard = None;
                let _ = writeln!(console, "\n  {WARN}the keyboard is lost: {error}{PLAIN}");
                prompt(console)?;
                None
            }
        };
        let Some(byte) = typed else {
            core::hint::spin_loop();
            continue;
        };
        let line = editor.feed(byte, console);
        let next = match line {
            Ok(Some(line)) => commands::run(Command::parse(line), console, inventory),
            Ok(None) => {
                console.flush()?;
                continue;
            }
            Err(error) => Err(error),
        };
        console.flush()?;
        match next {
            Ok(Next::Off) => return Ok(()),
            Ok(Next::Prompt) | Err(fmt::Error) => prompt(console)?,
        }
    }
}
