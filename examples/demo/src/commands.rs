//! What the shell's commands do.

use crate::console::Console;
use crate::edid;
use crate::inventory::Inventory;
use crate::platform::Platform;
use crate::screen::Display;
use crate::shell::{self, Command};
use crate::style::{CLEAR, PLAIN, WARN, field};
use crate::{banner, colors};
use core::fmt::{self, Write};
use virtio::Transport;

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
/// Those of the console; [`Console::flush`] says why.
pub fn run<P: Platform, T: Transport>(
    command: Command<'_>,
    console: &mut Console<'_, Display<'_, P, T>>,
    inventory: &Inventory,
) -> Result<Next, fmt::Error> {
    let columns = console.columns();
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
