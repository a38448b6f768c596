//! `run.sh` on machines that have no cargo, or an old one.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::exec::{self, Outcome, QUESTION_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::report::Report;
use crate::workspace;

/// Runs and counts them.
pub fn run(report: &mut Report) {
    report.check("run.sh without cargo says how to install it", || {
        let programs = workspace::scratch("no-cargo")?;
        must_say_how(&start(programs.path())?)
    });
    report.check("run.sh with an old cargo says how to get a new one", || {
        let programs = workspace::scratch("old-cargo")?;
        let cargo = programs.path().join("cargo");
        fs::write(&cargo, "#!/bin/sh\necho 'cargo 1.70.0 (7fe40dc8c 2023-04-27)'\n")
            .context("a false cargo")?;
        fs::set_permissions(&cargo, Permissions::from_mode(0o755)).context("a false cargo")?;
        let outcome = start(programs.path())?;
        if !outcome.stderr.contains("1.70.0") {
            fail!("it does not name the old version: {}", outcome.stderr);
        }
        must_say_how(&outcome)
    });
}

/// Runs `run.sh` on a machine that has only the programs in the folder `path`.
fn start(path: &Path) -> Result<Outcome> {
    let mut shell = Command::new("/bin/sh");
    shell.arg(workspace::root().join("run.sh")).env("PATH", path);
    exec::quiet(&mut shell, QUESTION_LIMIT)
}

fn must_say_how(outcome: &Outcome) -> Result {
    if outcome.status.success() || !outcome.stderr.contains("https://sh.rustup.rs") {
        fail!("{}, and it said: {}", outcome.status, outcome.stderr);
    }
    Ok(())
}
