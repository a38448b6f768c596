//! `cargo xtask miri`: the host tests of core and test kit under Miri, here, on 32 bits and big-endian.

use std::path::Path;
use std::process::Command;

use crate::exec::{self, DOWNLOAD_LIMIT, QUESTION_LIMIT};
use crate::failure::Result;
use crate::report::Report;
use crate::{test, workspace};

/// Beside the host: 32 bits, and big-endian.
const TARGETS: [&str; 2] = ["i686-unknown-linux-gnu", "s390x-unknown-linux-gnu"];

/// Runs them and prints the closing line.
pub fn verb() -> Result {
    let mut report = Report::default();
    run(&mut report);
    report.close()
}

/// Runs and counts them.
pub fn run(report: &mut Report) {
    if report.value("nightly with Miri", ensure).is_none() {
        return;
    }
    for target in [None, Some(TARGETS[0]), Some(TARGETS[1])] {
        let mut miri = nightly(&["miri", "test", "-p", "virtio-core", "-p", "virtio-testkit"]);
        if let Some(target) = target {
            miri.args(["--target", target]);
        }
        let name = format!("Miri for {}", target.unwrap_or("the host"));
        test::count(report, &mut miri, &name);
    }
}

fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    // Through rustup: the `cargo` on the search path need not understand `+nightly`.
    command.current_dir(workspace::root()).args(["run", "nightly", "cargo"]).args(arguments);
    // The toolchain that runs us hands these on, and they are not nightly's.
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO"] {
        command.env_remove(variable);
    }
    command
}

/// Has a nightly toolchain with Miri and the library's sources.
fn ensure() -> Result {
    let works = |command: &mut Command| {
        exec::quiet(command, QUESTION_LIMIT).is_ok_and(|outcome| outcome.status.success())
    };
    if !works(&mut nightly(&["miri", "--version"])) {
        let label = "fetching nightly with Miri";
        let mut rustup = Command::new("rustup");
        rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
        rustup.args(["--component", "miri", "--component", "rust-src"]);
        exec::run(&mut rustup, label, DOWNLOAD_LIMIT)?.success(label)?;
    }
    // Miri builds the library itself.
    let mut sysroot = Command::new("rustup");
    sysroot.args(["run", "nightly", "rustc", "--print", "sysroot"]);
    let sysroot = exec::quiet(&mut sysroot, QUESTION_LIMIT)?.success("rustup run nightly rustc")?;
    let sources = Path::new(sysroot.stdout.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if !sources.is_file() {
        let label = "fetching the sources of nightly's library";
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add", "--toolchain", "nightly", "rust-src"]);
        exec::run(&mut rustup, label, DOWNLOAD_LIMIT)?.success(label)?;
    }
    Ok(())
}
