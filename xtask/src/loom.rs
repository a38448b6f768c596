//! `cargo xtask loom`: the queue's hand-shakes, in every order of memory accesses that the model allows.

use std::process::Command;

use crate::failure::Result;
use crate::report::Report;
use crate::{test, workspace};

/// Runs them and prints the closing line.
pub fn verb() -> Result {
    let mut report = Report::default();
    run(&mut report);
    report.close()
}

/// Runs and counts them. That no test ran is a failure.
pub fn run(report: &mut Report) {
    test::count(report, &mut command(), "loom");
}

fn command() -> Command {
    let mut cargo = Command::new("cargo");
    // Optimized, for there are many orders. A folder of its own, for other flags would build everything anew each time.
    cargo.current_dir(workspace::root()).args(["test", "--release", "-p", "virtio-core", "--lib", "loom"]);
    cargo.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    // It would take the place of RUSTFLAGS.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn loom_is_a_flag_and_has_its_own_folder() {
        let command = command();
        let value = |name: &str| {
            command.get_envs().find(|(key, _)| *key == OsStr::new(name)).and_then(|(_, value)| value)
        };
        assert_eq!(value("RUSTFLAGS"), Some(OsStr::new("--cfg loom")));
        assert!(value("CARGO_TARGET_DIR").is_some_and(|folder| folder.to_string_lossy().ends_with("loom")));
    }
}
