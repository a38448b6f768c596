//! The nightly toolchain: for Miri, the fuzzer and what else only it can.

use std::path::Path;
use std::process::Command;

use crate::exec::{self, DOWNLOAD_LIMIT, QUESTION_LIMIT};
use crate::failure::{Result, fail};
use crate::{setup, workspace};

/// Nightly's cargo, to be run in the tree.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = rustup(&["run", "nightly", "cargo"]);
    command.args(arguments);
    command
}

/// Has nightly's compiler.
pub fn ensure() -> Result {
    if works(&mut cargo(&["--version"])) {
        return Ok(());
    }
    fetch("nightly Rust", &["toolchain", "install", "nightly", "--profile", "minimal"])
}

/// Has nightly with Miri and the sources of the library, which Miri builds itself.
pub fn ensure_miri() -> Result {
    if !works(&mut cargo(&["miri", "--version"])) {
        let mut install = vec!["toolchain", "install", "nightly", "--profile", "minimal"];
        install.extend(["--component", "miri", "--component", "rust-src"]);
        fetch("nightly Rust with Miri", &install)?;
    }
    let mut sysroot = rustup(&["run", "nightly", "rustc", "--print", "sysroot"]);
    let sysroot = exec::quiet(&mut sysroot, QUESTION_LIMIT)?.success("rustup run nightly rustc")?;
    let sources = Path::new(sysroot.stdout.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if !sources.is_file() {
        let add = ["component", "add", "--toolchain", "nightly", "rust-src"];
        fetch("the sources of nightly's library", &add)?;
    }
    Ok(())
}

/// Fetches `what` by `rustup ARGUMENTS`, after asking.
fn fetch(what: &str, arguments: &[&str]) -> Result {
    let line = format!("rustup {}", arguments.join(" "));
    if !works(&mut rustup(&["--version"])) {
        fail!("{what} is missing, and so is rustup to fetch it; see https://rustup.rs, then type: {line}");
    }
    if !setup::agreed(&format!("{what} is missing. Fetch it with rustup?")) {
        fail!("{what} is missing; type: {line}");
    }
    let label = format!("fetching {what}");
    exec::run(&mut rustup(arguments), &label, DOWNLOAD_LIMIT)?.success(&label).map(drop)
}

fn works(command: &mut Command) -> bool {
    exec::quiet(command, QUESTION_LIMIT).is_ok_and(|outcome| outcome.status.success())
}

fn rustup(arguments: &[&str]) -> Command {
    // Through rustup: the `cargo` on the search path need not understand `+nightly`.
    let mut command = Command::new("rustup");
    command.current_dir(workspace::root()).args(arguments);
    // The toolchain that runs us hands these on, and they are not nightly's.
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO"] {
        command.env_remove(variable);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn our_own_toolchain_does_not_leak_into_it() {
        let command = cargo(&["miri", "test"]);
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["run", "nightly", "cargo", "miri", "test"]);
        assert!(command.get_envs().any(|variable| variable == (OsStr::new("RUSTC"), None)));
    }
}
