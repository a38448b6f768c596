//! Two threads, one real ring: `stress [--requests N]` counts the kicks and interrupts that are lost, and fails if one of
//! ours is.
//!
//! * **kicks**: the driver makes one request after the other and polls for the answer. The device works until nothing is
//!   left, dawdles, asks for a kick, looks once more, and sleeps until it is kicked.
//! * **interrupts**: the device polls and answers. The driver takes what is there, dawdles, asks for an interrupt, looks once
//!   more, and sleeps until it is interrupted.
//!
//! Dawdling, for a random time of up to 399 no-ops, is what brings the two decisions close together: without it, next to
//! nothing is seen. A loss is certain and not guessed from a clock, see [`signal`]; who has missed something is woken, and
//! the run goes on.
//!
//! Ours are run in both formats, with and without `EVENT_IDX`. Beside them are `virtio-drivers` 0.13, and ours with the full
//! barrier taken away: they show that this test can see a loss at all, on a processor that delays stores.

#[path = "../../memory.rs"]
mod memory;

mod device;
mod incumbent;
mod ours;
mod packed;
mod race;
mod signal;
mod split;

use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Instant;

use race::Direction;

const USAGE: &str =
    "usage: stress [--requests N]    so many requests for each line of the table; 2000000 if not said";
const REQUESTS: u64 = 2_000_000;
/// A contestant that is expected to lose has shown it after so many.
const ENOUGH: u64 = 1_000_000;

/// Whether a loss is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Other,
}

/// Runs so many requests, and answers how many notifications were lost.
type Run = fn(Direction, u64) -> u64;

const CONTESTANTS: [(&str, Side, Run); 9] = [
    ("split", Side::Ours, ours::run::<false, false, true>),
    ("split, EVENT_IDX", Side::Ours, ours::run::<false, true, true>),
    ("packed", Side::Ours, ours::run::<true, false, true>),
    ("packed, EVENT_IDX", Side::Ours, ours::run::<true, true, true>),
    ("split without its barrier", Side::Other, ours::run::<false, false, false>),
    ("split, EVENT_IDX without its barrier", Side::Other, ours::run::<false, true, false>),
    ("packed without its barrier", Side::Other, ours::run::<true, false, false>),
    ("packed, EVENT_IDX without its barrier", Side::Other, ours::run::<true, true, false>),
    ("virtio-drivers 0.13, split", Side::Other, incumbent::run),
];

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let requests = match args[..] {
        [] => Some(REQUESTS),
        ["--requests", number] => number.parse().ok().filter(|number| *number > 0),
        _ => None,
    };
    let Some(requests) = requests else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    if !available_parallelism().is_ok_and(|processors| processors.get() > 1) {
        eprintln!("error: driver and device race only on two processors, and here is one");
        return ExitCode::FAILURE;
    }
    match table(requests) {
        0 => ExitCode::SUCCESS,
        lost => {
            eprintln!("error: ours lost {lost}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table, and answers how much ours have lost.
fn table(requests: u64) -> u64 {
    println!("{:<40}{:<12}{:>8} of {:>12}{:>10}", "contestant", "direction", "lost", "requests", "seconds");
    let mut lost_by_us = 0;
    for direction in [Direction::Kicks, Direction::Interrupts] {
        for (name, side, run) in CONTESTANTS {
            let requests = if side == Side::Ours { requests } else { requests.min(ENOUGH) };
            let start = Instant::now();
            let lost = run(direction, requests);
            let seconds = start.elapsed().as_secs_f64();
            println!("{name:<40}{direction:<12}{lost:>8} of {requests:>12}{seconds:>10.1}");
            if side == Side::Ours {
                lost_by_us += lost;
            }
        }
    }
    lost_by_us
}
