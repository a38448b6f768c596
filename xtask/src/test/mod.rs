//! `cargo xtask test`: on the host, of the packages, in the guests.

mod bench;
mod guests;
mod host;
pub mod packages;
mod queues;
mod starter;

use std::ffi::OsString;

use crate::failure::{Result, fail};
use crate::report::Report;
pub use host::count;

/// Which tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every one.
    All,
    /// Unit tests, doctests, queues against devices of other people's, everything against QEMU's devices without a guest.
    Host,
    /// QEMU's devices without a guest; among the host's already.
    Bench,
    /// What the packages promise: targets, dependencies, no `unsafe`, examples that stand alone.
    Packages,
    /// Every kernel on every transport.
    Guests,
    /// The kernels that log by defmt; among the guests already.
    Defmt,
}

impl Part {
    /// Reads what stands behind `test`.
    pub fn parse(args: &[OsString]) -> Result<Self> {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
        match words.as_slice() {
            [] => Ok(Self::All),
            ["host"] => Ok(Self::Host),
            ["bench"] => Ok(Self::Bench),
            ["packages"] => Ok(Self::Packages),
            ["guests"] => Ok(Self::Guests),
            ["defmt"] => Ok(Self::Defmt),
            _ => {
                fail!("test takes host, bench, packages, guests, defmt or nothing, not {:?}", words.join(" "))
            }
        }
    }
}

/// Runs `part` and prints the closing line.
pub fn verb(part: &Part) -> Result {
    let mut report = Report::default();
    run(part, &mut report);
    report.close()
}

/// Runs `part` and counts.
pub fn run(part: &Part, report: &mut Report) {
    let wants = |one: Part| *part == Part::All || *part == one;
    if wants(Part::Host) {
        host::run(report);
        queues::run(report);
    }
    if wants(Part::Host) || *part == Part::Bench {
        bench::run(report);
    }
    if wants(Part::Packages) {
        packages::run(report);
        starter::run(report);
    }
    if wants(Part::Guests) {
        guests::run(report);
    }
    if *part == Part::Defmt {
        guests::defmt(report);
    }
}
