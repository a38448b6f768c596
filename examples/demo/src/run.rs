//! The demo, from finding the devices to power off.

use crate::background::Background;
use crate::banner::{self, Banner};
use crate::card::Card;
use crate::console::Console;
use crate::converse::{self, Screen, Surroundings};
use crate::discover::{self, Config};
use crate::disk::Drive;
use crate::edid::Monitor;
use crate::entropy::Entropy;
use crate::interrupts::Source;
use crate::inventory::Inventory;
use crate::keyboard::Keyboard;
use crate::machine::Machine;
use crate::platform::Platform;
use crate::ports::Ports;
use crate::random::Random;
use crate::rest::Rest;
use crate::screen::Display;
use crate::terminal::Terminal;
use crate::wiring::Wires;
use core::cell::Cell;
use core::fmt::{self, Write};
use virtio::gpu::GpuError;
use virtio::{BouncePool, DeviceId, Hal, HalError};

/// Runs the demo and ends the machine: with success after the command `off`, otherwise with a line that says why.
pub fn run<P: Platform>(platform: P, machine: &Machine<'_>) -> ! {
    let greeted = Cell::new(false);
    let hal = platform.hal();
    let ended = if platform.options().pool {
        let pool = BouncePool::new(hal, POOL).map_err(Failure::Pool);
        pool.and_then(|pool| session(&platform, machine, pool, &greeted))
    } else {
        session(&platform, machine, hal, &greeted)
    };
    // Nobody interrupts any more: all devices are reset.
    platform.handlers().clear();
    let ended = ended.and_then(|()| all_returned(&platform));
    if let Err(failure) = &ended {
        // A line of its own, also in the middle of a session. The serial line takes everything.
        let start = if greeted.get() { "\n" } else { "" };
        let _ = writeln!(Serial(&platform), "{start}FAILED: {failure}");
    }
    platform.power_off(ended.is_ok())
}

/// Bytes that buffers are copied through, where the command line asks for it.
const POOL: usize = 1 << 20;

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
    /// There is no memory for the pool.
    Pool(HalError),
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
            Self::Pool(error) => write!(f, "the pool of pages: {error}"),
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
/// tells, whatever the end, whether the screen's text has begun; `hal` is what drivers are given.
fn session<P: Platform, H: Hal + Clone + 'static>(
    platform: &P,
    machine: &Machine<'_>,
    hal: H,
    greeted: &Cell<bool>,
) -> Result<(), Failure> {
    let log = &mut Serial(platform);
    let config = match &machine.pci {
        Some(host) => Config::open(platform, host).map_err(Failure::Config)?,
        None => None,
    };
    let mut devices = discover::all(platform, machine, config.as_ref(), log);
    let mut inventory = Inventory::new(&devices);
    let mut wires = Wires::new(platform);
    let (mut display, mut keyboard, mut entropy) = (None, None, None);
    let (mut disk, mut background) = (None, Background { card: None, ports: None });
    for (index, found) in devices.iter_mut().enumerate() {
        match (found.id, found.transport.take()) {
            (DeviceId::GPU, Some(transport)) if display.is_none() => {
                let gpu = display.insert((index, Display::new(platform, transport, hal.clone())?)).1.gpu();
                inventory.driven(index, found.id, gpu.features(), None);
                // Its driver waits for the queues by itself; without an interrupt, changes of the display go unnoticed.
                wires.connect(Source::Gpu, found.wiring, gpu.device(), 2, log);
            }
            (DeviceId::INPUT, Some(transport)) if keyboard.is_none() => {
                match Keyboard::new(transport, hal.clone()) {
                    Ok(Some(found_one)) => {
                        let input = found_one.input();
                        inventory.driven(index, found.id, input.features(), Some("keyboard"));
                        if !wires.connect(Source::Keyboard, found.wiring, input.device(), 2, log) {
                            wires.poll("the keyboard has no interrupt", log);
                        }
                        keyboard = Some(found_one);
                    }
                    Ok(None) => {}
                    // One device less; the serial line types as well.
                    Err(error) => {
                        let _ = writeln!(log, "input: {error}");
                    }
                }
            }
            (DeviceId::ENTROPY, Some(transport)) if entropy.is_none() => {
                match Random::new(transport, hal.clone()) {
                    Ok(random) => {
                        let awaited = wires.connect(Source::Random, found.wiring, random.device(), 1, log);
                        let random = if awaited { Entropy::Awaited(random) } else { Entropy::Asked(random) };
                        entropy = Some((index, random));
                    }
                    Err(error) => {
                        let _ = writeln!(log, "rng: {error}");
                    }
                }
            }
            (DeviceId::BLOCK, Some(transport)) if disk.is_none() => {
                match Drive::new(transport, hal.clone()) {
                    Ok(drive) => {
                        inventory.driven(index, found.id, drive.features(), None);
                        let awaited = wires.connect(Source::Disk, found.wiring, drive.device(), 1, log);
                        disk = Some(drive.awaited(awaited));
                    }
                    Err(error) => {
                        let _ = writeln!(log, "blk: {error}");
                    }
                }
            }
            (DeviceId::NET, Some(transport)) if background.card.is_none() => {
                match Card::new(transport, hal.clone()) {
                    Ok(card) => {
                        inventory.driven(index, found.id, card.features(), None);
                        if !wires.connect(Source::Net, found.wiring, card.net().device(), 2, log) {
                            wires.poll("the network card has no interrupt", log);
                        }
                        background.card = Some(card);
                    }
                    Err(error) => {
                        let _ = writeln!(log, "net: {error}");
                    }
                }
            }
            (DeviceId::CONSOLE, Some(transport)) if background.ports.is_none() => {
                match Ports::new(transport, hal.clone()) {
                    Ok(ports) => {
                        inventory.driven(index, found.id, ports.features(), None);
                        let queues = 2 * (crate::ports::MOST + 1);
                        let device = ports.console().device();
                        if !wires.connect(Source::Ports, found.wiring, device, queues, log) {
                            wires.poll("the console has no interrupt", log);
                        }
                        background.ports = Some(ports);
                    }
                    Err(error) => {
                        let _ = writeln!(log, "console: {error}");
                    }
                }
            }
            // Not for this one: it stays as it was found.
            (_, transport) => found.transport = transport,
        }
    }
    let (index, display) = display.ok_or(Failure::NoGpu)?;
    let polled = wires.finish(log);
    let rest = Rest::new(platform.hal().now().unwrap_or_default());
    let entropy = entropy.map(|(index, mut entropy)| {
        inventory.driven(index, DeviceId::ENTROPY, entropy.features(), None);
        // Before the screen's text begins: pictures of it are compared, and these differ each time.
        let _ = match converse::block_on(platform, &rest, entropy.read(platform)) {
            Ok(bytes) => writeln!(log, "rng: {bytes}"),
            Err(error) => writeln!(log, "rng: {error}"),
        };
        entropy
    });
    let terminal = Terminal::take().ok_or(Failure::ScreenTooSmall)?;
    terminal.resize(display.size());
    if terminal.columns() == 0 {
        return Err(Failure::ScreenTooSmall);
    }
    let mut console = Console::new(terminal, display);
    greeted.set(true);
    greet::<P, H>(&mut console, &inventory, index, keyboard.is_some())?;
    let around =
        Surroundings { platform, inventory: &inventory, polled, rest: &rest, entropy, disk, background };
    Ok(converse::shell(console, around, keyboard)?)
}

/// The boot screen, READY, and the first prompt: each is on the screen before it is on the serial line.
fn greet<P: Platform, H: Hal + Clone>(
    console: &mut Screen<'_, '_, '_, P, H>,
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
    converse::prompt(console)
}
