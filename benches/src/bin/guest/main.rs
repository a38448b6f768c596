//! Drivers in a kernel, measured beside `virtio-drivers` 0.13 in the same kernel, in QEMU:
//!
//! * `guest blk --out FOLDER [--rounds N]`: reads of a disk; writes `blk.tsv` and `blk.png`
//! * `guest net --out FOLDER [--rounds N]`: packets; writes `net.tsv` and `net.png`
//! * `guest where blk|net WHO ROW --out FOLDER`: where the instructions of a row are, by function and by line
//! * `guest size --out FOLDER`: kernels that read one block and do nothing else: what they depend on, how long they take to
//!   build, how large they are; writes `size.tsv`
//!
//! The kernel is `benches/kernel`; how it is measured is said there, in `meter.rs`. Instructions are counted by QEMU and do not
//! depend on the machine. Time does, and is compared within a round: one QEMU for each side, in turns, and the median over the
//! rounds of the ratios.

mod blk;
mod build;
mod chart;
mod net;
mod peer;
mod places;
mod qemu;
mod samples;
mod size;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// An error to be shown.
type Fault = Box<dyn std::error::Error>;

const USAGE: &str = "usage: guest blk|net --out FOLDER [--rounds N]
       guest size --out FOLDER
       guest where blk|net WHO ROW --out FOLDER     where the instructions of a row are";

/// Rounds of the clock.
const ROUNDS: usize = 11;

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

/// Prints. Whoever reads only the beginning closes the pipe.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// When and with what: the end of each table.
fn stamp(what: &str) -> String {
    let first_line = |program: &str, argument: &str| {
        let output = std::process::Command::new(program).arg(argument).output().ok()?;
        String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
    };
    let answers =
        [first_line("date", "+%F"), first_line(qemu::PROGRAM, "--version"), first_line("rustc", "--version")];
    let answers: Vec<_> = answers.into_iter().flatten().collect();
    format!("{}; to repeat: cargo xtask bench {what}", answers.join("; "))
}

fn run(args: &[&str]) -> Result<(), Fault> {
    let (what, folder, rounds) = match args {
        ["where", what @ ("blk" | "net"), who, row, "--out", folder] => {
            let place = if *what == "blk" { blk::places } else { net::places };
            return place(Path::new(folder), who, row);
        }
        [what, "--out", folder] => (*what, Path::new(folder), ROUNDS),
        [what @ ("blk" | "net"), "--out", folder, "--rounds", rounds] => {
            (*what, Path::new(folder), rounds.parse()?)
        }
        _ => return Err(USAGE.into()),
    };
    if rounds == 0 {
        return Err("no rounds, no median".into());
    }
    std::fs::create_dir_all(folder)?;
    match what {
        "blk" => blk::measure(folder, rounds),
        "net" => net::measure(folder, rounds),
        "size" => size::measure(folder),
        _ => Err(USAGE.into()),
    }
}
