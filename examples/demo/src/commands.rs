//! What the shell's commands do.

use crate::converse::{Screen, Surroundings};
use crate::interrupts::Source;
use crate::platform::Platform;
use crate::shell::{self, Command};
use crate::style::{CLEAR, PLAIN, WARN, field};
use crate::{banner, colors, edid, irq, network};
use core::fmt::{self, Write};
use virtio::Hal;

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for the next line.
    Prompt,
    /// The session is over.
    Off,
}

/// Carries out one command. What goes wrong with it is printed like any answer.
///
/// # Errors
///
/// Those of the console; [`Console::flush`](crate::Console::flush) says why.
pub async fn run<'c, P: Platform, H: Hal + Clone + 'static>(
    command: Command<'_>,
    console: &mut Screen<'_, '_, 'c, P, H>,
    around: &mut Surroundings<'_, 'c, P, H>,
) -> Result<Next, fmt::Error> {
    let columns = console.columns();
    let Surroundings { platform, inventory, .. } = *around;
    match command {
        Command::Help => shell::help(console)?,
        Command::Devices => inventory.with_lines(|lines| banner::devices(console, lines))?,
        Command::Features => inventory.with_lines(|lines| banner::features(console, lines, columns))?,
        Command::Edid => {
            let answer = console.output().monitor();
            edid::print(console, &answer)?;
        }
        Command::Cursor => match console.output().toggle_pointer() {
            Ok(Some(place)) => {
                field(console, "cursor", format_args!("moved to {}, {}", place.x, place.y))?;
            }
            Ok(None) => field(console, "cursor", format_args!("hidden"))?,
            Err(error) => writeln!(console, "  {WARN}{error}{PLAIN}")?,
        },
        Command::Irq if around.polled => irq::print_polled(console)?,
        Command::Irq => {
            let handlers = platform.handlers();
            let rows = (0..).map_while(|index| handlers.row(index));
            let share = platform.hal().now().map(|now| around.rest.take(now));
            irq::print(console, rows, handlers.stray(), share)?;
        }
        Command::Rng => match &mut around.entropy {
            Some(entropy) => match entropy.read(platform).await {
                Ok(bytes) => field(console, "random", format_args!("{bytes}"))?,
                Err(error) => writeln!(console, "  {WARN}{error}{PLAIN}")?,
            },
            None => writeln!(console, "  {WARN}there is no entropy device{PLAIN}")?,
        },
        Command::Blk => match around.disk.take() {
            Some(disk) => {
                let (disk, said) = disk.show(console, platform.handlers().bell(Source::Disk)).await;
                around.disk = disk;
                said?;
            }
            None => writeln!(console, "  {WARN}there is no disk{PLAIN}")?,
        },
        Command::Net => network::print(console, around).await?,
        Command::Ports => match &mut around.background.ports {
            Some(ports) => ports.print(console, P::ARCH)?,
            None => writeln!(console, "  {WARN}there is no console with ports{PLAIN}")?,
        },
        Command::Colors => colors::print(console, columns)?,
        Command::Clear => console.write_str(CLEAR)?,
        Command::Off => {
            writeln!(console, "bye")?;
            return Ok(Next::Off);
        }
        Command::Empty => {}
        Command::Unknown(word) => shell::unknown(console, word)?,
    }
    Ok(Next::Prompt)
}
