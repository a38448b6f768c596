//! Measures virtqueues beside each other: `ring --out FOLDER` prints the table and writes `ring.tsv` and `ring.png`.
//!
//! * who is measured, and what each cannot do: [`contestant`]; the hand-written ring all are compared with: [`floor`]
//! * what is measured: [`row`]; on which device: [`device`]; in which loop: [`drive`]
//! * how: [`profile`] counts instructions, [`clock`] takes the time, [`results`] collects, [`table`] and [`plot`] show

mod bell;
mod clock;
mod contestant;
mod device;
mod drive;
mod floor;
mod memory;
mod ours;
mod peers;
mod plot;
mod pool;
mod profile;
mod results;
mod row;
mod table;
mod wire;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use contestant::Contestant;
use drive::Turn;
use results::Results;
use row::Row;

const USAGE: &str = "usage: ring --out FOLDER [--rounds N]
       ring profile CONTESTANT ROW     where the instructions are, by function and by line
       ring count CONTESTANT ROW N     runs N requests and prints nothing: what callgrind is given
       ring names                      contestants and rows";

/// Rounds of the clock.
const ROUNDS: usize = 201;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<(), Box<dyn Error>> {
    match args {
        ["--out", folder] => measure(Path::new(folder), ROUNDS),
        ["--out", folder, "--rounds", rounds] => measure(Path::new(folder), rounds.parse()?),
        ["count", contestant, row, count] => {
            let (contestant, row) = names(contestant, row)?;
            let mut bench = contestant.build(row, row.wish()).ok_or("it has no such row")?;
            bench.run(count.parse()?, Turn::Once);
            Ok(())
        }
        ["profile", contestant, row] => {
            let (contestant, row) = names(contestant, row)?;
            let scratch = Scratch::new()?;
            let count = profile::count(contestant, row, &scratch.0)?;
            let places = profile::places(&count)?;
            let (adding, completing) = (count.submit, count.complete);
            let mut out = format!("{contestant} {row}: {adding:.2} adding, {completing:.2} completing\n\n");
            table::places(&mut out, &places.functions, 60);
            out.push('\n');
            table::places(&mut out, &places.lines, 60);
            say(&out);
            Ok(())
        }
        ["names"] => {
            let contestants = Contestant::ALL.iter().map(ToString::to_string);
            let names: Vec<_> = contestants.chain(Row::all().iter().map(ToString::to_string)).collect();
            say(&names.join("\n"));
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn names(contestant: &str, row: &str) -> Result<(Contestant, Row), Box<dyn Error>> {
    let contestant = Contestant::parse(contestant).ok_or("there is no such contestant")?;
    Ok((contestant, Row::parse(row).ok_or("there is no such row")?))
}

fn measure(folder: &Path, rounds: usize) -> Result<(), Box<dyn Error>> {
    if rounds == 0 {
        return Err("no rounds, no median".into());
    }
    std::fs::create_dir_all(folder)?;
    let scratch = Scratch::new()?;
    let results = Results::measure(rounds, &scratch.0)?;
    let mut out = table::text(&results);
    out.push_str(&table::worst(&results)?);
    let (tsv, png) = (folder.join("ring.tsv"), folder.join("ring.png"));
    std::fs::write(&tsv, table::tsv(&results))?;
    plot::draw(&results, &png)?;
    say(&format!("{out}\n{}\n{}", tsv.display(), png.display()));
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
        let folder = std::env::temp_dir().join(format!("virtio-bench-{}", std::process::id()));
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
