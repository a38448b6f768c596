//! What we drive against devices of other people's, in workspaces of their own: queues against rust-vmm's, the disk against
//! QEMU's storage daemon over vhost-user.

use std::process::Command;

use crate::arch::Arch;
use crate::report::Report;
use crate::{setup, test, workspace};

/// Runs and counts them.
pub fn run(report: &mut Report) {
    test::count(report, &mut cargo("conformance/queues", "queues"), "queues against rust-vmm's devices");
    if !cfg!(target_os = "linux") {
        println!("        the disk over vhost-user: not run, it needs Linux (memfd, eventfd)");
        return;
    }
    // The daemon comes with what every QEMU depends on.
    if let Err(failure) = setup::ensure_qemu(Arch::Aarch64) {
        report.check("qemu-storage-daemon", || Err(failure));
    }
    test::count(report, &mut cargo("conformance/vhost-user", "vhost-user"), "the disk over vhost-user");
}

/// The tests of a folder.
fn cargo(folder: &str, target: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root().join(folder)).args(["test", "--locked", "--target-dir"]);
    cargo.arg(workspace::target().join(target));
    cargo
}
