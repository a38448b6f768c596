//! The queues against a device of other people's: `conformance/queues`, a workspace of its own.

use std::process::Command;

use crate::report::Report;
use crate::{test, workspace};

/// Runs and counts them.
pub fn run(report: &mut Report) {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root().join("conformance/queues")).args([
        "test",
        "--locked",
        "--target-dir",
    ]);
    cargo.arg(workspace::target().join("queues"));
    test::count(report, &mut cargo, "queues against rust-vmm's devices");
}
