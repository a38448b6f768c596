//! The command line.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::contestant::Contestant;
use crate::results::Results;
use crate::row::Row;
use crate::{disk, plot, profile, table};

const USAGE: &str = "usage: vhost-user-bench --out FOLDER [--rounds N]
       vhost-user-bench profile CONTESTANT ROW     where the instructions are, by function and by line
       vhost-user-bench count CONTESTANT ROW N     N reads, and prints nothing: what callgrind is given
       vhost-user-bench names                      contestants and rows";

/// Rounds of the clock.
const ROUNDS: usize = 101;

/// Does what it says.
///
/// # Errors
/// In words.
pub fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    match args {
        ["--out", folder] => measure(Path::new(folder), ROUNDS),
        ["--out", folder, "--rounds", rounds] => measure(Path::new(folder), rounds.parse()?),
        ["count", contestant, row, count] => {
            let (contestant, row) = names(contestant, row)?;
            let daemon = disk::daemon()?;
            let mut bench = contestant.connect(&daemon.socket(contestant.name()))?;
            Ok(bench.run_in_step(row.depth, count.parse()?)?)
        }
        ["profile", contestant, row] => {
            let (contestant, row) = names(contestant, row)?;
            let scratch = Scratch::new()?;
            let count = profile::count(contestant, row, &scratch.0)?;
            say(&table::profile(contestant, row, &count)?);
            Ok(())
        }
        ["names"] => {
            let contestants = Contestant::ALL.iter().map(ToString::to_string);
            let names: Vec<_> = contestants.chain(Row::all().map(|row| row.to_string())).collect();
            say(&names.join("\n"));
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn names(contestant: &str, row: &str) -> Result<(Contestant, Row), Box<dyn Error>> {
    let contestant = Contestant::parse(contestant).ok_or("there is no such contestant")?;
    let row = Row::parse(row).filter(|row| row.is_counted());
    Ok((contestant, row.ok_or("there is no such row, or its instructions are not counted")?))
}

fn measure(folder: &Path, rounds: usize) -> Result<(), Box<dyn Error>> {
    if rounds == 0 {
        return Err("no rounds, no median".into());
    }
    std::fs::create_dir_all(folder)?;
    let scratch = Scratch::new()?;
    let daemon = disk::daemon()?;
    disk::keep_apart(&daemon)?;
    let results = Results::measure(&daemon, rounds, &scratch.0)?;
    let (tsv, png) = (folder.join("vhost-user.tsv"), folder.join("vhost-user.png"));
    std::fs::write(&tsv, table::tsv(&results))?;
    plot::draw(&results, &png)?;
    let text = table::text(&results, rounds);
    say(&format!("{text}\n{}\n{}", tsv.display(), png.display()));
    Ok(())
}

/// Prints. Whoever reads only the beginning closes the pipe.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A folder for callgrind's files, removed with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("vhost-user-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Only litter in the temporary folder is left if this fails.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
