//! Transports and drivers against QEMU's own devices, without a guest: `conformance/qemu`, a workspace of its own.

use std::process::Command;

use crate::arch::Arch;
use crate::report::Report;
use crate::{setup, test, workspace};

/// What the lines of its table begin with.
const TABLE: &str = "bench ";

/// Runs and counts its cases, and prints its table.
pub fn run(report: &mut Report) {
    for arch in Arch::ALL {
        // A failure here is one for each case below, too: none is skipped.
        if let Err(failure) = setup::ensure_qemu(arch) {
            report.check(arch.qemu(), || Err(failure));
        }
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root().join("conformance/qemu")).args([
        "test",
        "--locked",
        "--no-fail-fast",
        "--target-dir",
    ]);
    cargo.arg(workspace::target().join("bench"));
    let output = test::count(report, &mut cargo, "transports and drivers against QEMU's devices");
    for line in output.lines().filter_map(|line| line.strip_prefix(TABLE)) {
        println!("        {line}");
    }
}
