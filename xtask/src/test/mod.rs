//! `cargo xtask test`: on the host, of the packages, in the guests.

mod bench;
mod guests;
mod host;
mod outside;
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
    /// Device crates outside of this tree, and what `new-device` lays out; among the packages already.
    Outside,
    /// What the packages promise: targets, dependencies, no `unsafe`, examples that stand alone.
    Packages,
    /// Every kernel on every transport.
    Guests,
    /// Disk, network, random bytes and console ports in the kernels; among the guests already.
    Devices,
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
            ["outside"] => Ok(Self::Outside),
            ["packages"] => Ok(Self::Packages),
            ["guests"] => Ok(Self::Guests),
            ["devices"] => Ok(Self::Devices),
            ["defmt"] => Ok(Self::Defmt),
            _ => {
                fail!(
                    "test takes host, bench, outside, packages, guests, devices, defmt or nothing, not {:?}",
                    words.join(" ")
                )
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
    if wants(Part::Packages) || *part == Part::Outside {
        outside::run(report);
    }
    if wants(Part::Guests) {
        guests::run(report);
    }
    if *part == Part::Devices {
        guests::devices(report);
    }
    if *part == Part::Defmt {
        guests::defmt(report);
    }
}
