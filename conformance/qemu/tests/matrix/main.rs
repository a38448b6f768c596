//! Every transport, ring and device of QEMU's against ours, as a matrix.
//!
//! ```text
//! cargo test                         all
//! cargo test -- mmio-v2              those with this in their names; several words: any of them
//! cargo test -- --list               their names
//! cargo test -- --jobs 1             one machine at a time
//! cargo test -- --tap                also what needs a tap interface: Linux, and the rights of root
//! ```
//!
//! The cases of one machine run one after another, on devices that are reset in between; machines run side by side. A case
//! ends well only if all memory came back and nothing was written to it afterwards.

mod blk;
mod case;
mod console;
mod disk;
mod events;
mod executor;
mod fronts;
mod gpu;
mod input;
mod interrupts;
mod legacy;
mod messages;
mod negative;
mod net;
mod plan;
mod queue_reset;
mod report;
mod rng;
mod runner;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = Vec::new();
    let mut jobs = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let (mut list, mut tap) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--tap" => tap = true,
            "--jobs" | "--test-threads" => match arguments.next().and_then(|number| number.parse().ok()) {
                Some(number @ 1..) => jobs = number,
                _ => {
                    eprintln!("{argument} takes a number above 0");
                    return ExitCode::from(2);
                }
            },
            "--nocapture" | "--show-output" => {}
            flag if flag.starts_with('-') => {
                eprintln!(
                    "no such option: {flag}; there are --list, --jobs and --tap, all else is a part of names"
                );
                return ExitCode::from(2);
            }
            word => words.push(word.to_owned()),
        }
    }
    let mut groups = plan::all();
    groups.extend(fronts::all(tap));
    for group in &mut groups {
        group.cases.retain(|case| words.is_empty() || words.iter().any(|word| case.name.contains(word)));
    }
    groups.retain(|group| !group.cases.is_empty());
    if list {
        groups.iter().flat_map(|group| &group.cases).for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    }
    let report = runner::run(groups, jobs);
    report.print();
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
