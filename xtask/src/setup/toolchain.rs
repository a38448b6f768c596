//! A Rust compiler for a bare target: the installed one, rustup's, one that builds the library itself, or the
//! distribution's.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::packages::{self, Need};
use crate::exec::{self, DOWNLOAD_LIMIT, QUESTION_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::workspace::{self, find_program};

/// How to run cargo for a bare target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// The folder of `cargo` and `rustc`, if not those on the search path.
    folder: Option<PathBuf>,
    /// Build `core` and `alloc` from their sources.
    build_std: bool,
    /// The linker, if the compiler did not bring its own.
    linker: Option<&'static str>,
}

impl Toolchain {
    /// `cargo VERB --target TARGET`, to be run in `folder`.
    pub fn cargo(&self, folder: &Path, verb: &str, target: &str) -> Command {
        let mut command = match &self.folder {
            Some(programs) => {
                let mut command = Command::new(programs.join("cargo"));
                command.env("RUSTC", programs.join("rustc"));
                command
            }
            None => Command::new("cargo"),
        };
        command.current_dir(folder).args([verb, "--target", target]);
        if self.build_std {
            // The flag is unstable, the library it builds is the compiler's own.
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core,alloc,compiler_builtins");
        }
        if let Some(linker) = self.linker {
            let variable = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_"));
            command.env(variable, linker);
        }
        command
    }

    fn rustc(&self) -> Command {
        match &self.folder {
            Some(programs) => Command::new(programs.join("rustc")),
            None => Command::new("rustc"),
        }
    }

    fn print(&self, arguments: &[&str]) -> Option<PathBuf> {
        let answer = exec::quiet(self.rustc().args(arguments), QUESTION_LIMIT).ok()?.success("rustc").ok()?;
        Some(PathBuf::from(answer.stdout.trim()))
    }

    /// Whether the compiled library for `target` is there.
    fn has_target(&self, target: &str) -> bool {
        let Some(folder) = self.print(&["--print", "target-libdir", "--target", target]) else {
            return false;
        };
        std::fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
            })
        })
    }

    /// Whether the library's sources are there.
    fn has_sources(&self) -> bool {
        let Some(sysroot) = self.print(&["--print", "sysroot"]) else { return false };
        sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
    }

    /// Whether the compiler brought a linker for bare targets.
    fn has_linker(&self) -> bool {
        let bundled = self.print(&["--print", "target-libdir"]).is_some_and(|host_libraries| {
            host_libraries.parent().is_some_and(|host| host.join("bin").join("rust-lld").is_file())
        });
        bundled || find_program("rust-lld").is_some()
    }
}

/// Has a compiler and a linker for `target`, and says how to run them.
pub fn ensure(target: &str) -> Result<Toolchain> {
    let mut toolchain = compiler(target)?;
    if !toolchain.has_linker() {
        if find_program("ld.lld").is_none() {
            packages::install(&[Need::Lld], "a linker for bare targets is missing")?;
            find_program("ld.lld").context("ld.lld is still missing after installing it")?;
        }
        toolchain.linker = Some("ld.lld");
    }
    Ok(toolchain)
}

fn compiler(target: &str) -> Result<Toolchain> {
    let own = Toolchain::default();
    if own.has_target(target) {
        return Ok(own);
    }
    let rustup = find_program("rustup").is_some();
    if rustup {
        if !super::agreed(&format!("The Rust target {target} is missing. Fetch it with rustup?")) {
            fail!("the Rust target {target} is missing; type: rustup target add {target}");
        }
        match rustup_add(&["target", "add", target]) {
            Ok(()) if own.has_target(target) => return Ok(own),
            Ok(()) => eprintln!("rustup added {target} to another toolchain than the one in use"),
            Err(failure) => eprintln!("{failure}; trying to build the library instead"),
        }
    }
    let building = Toolchain { build_std: true, ..Toolchain::default() };
    if building.has_sources() {
        return Ok(building);
    }
    if rustup {
        match rustup_add(&["component", "add", "rust-src"]) {
            Ok(()) if building.has_sources() => return Ok(building),
            Ok(()) => eprintln!("rustup added rust-src to another toolchain than the one in use"),
            Err(failure) => eprintln!("{failure}; trying the distribution's compiler"),
        }
    }
    let distribution =
        Toolchain { folder: Some(PathBuf::from("/usr/bin")), build_std: true, ..Toolchain::default() };
    if !(distribution.new_enough() && distribution.has_sources()) {
        packages::install(&[Need::DistributionRust], &format!("the Rust target {target} is missing"))?;
    }
    if !(distribution.new_enough() && distribution.has_sources()) {
        fail!("no compiler for {target} is to be had; with rustup it is: rustup target add {target}");
    }
    Ok(distribution)
}

impl Toolchain {
    fn new_enough(&self) -> bool {
        let Ok(answer) = exec::quiet(self.rustc().arg("--version"), QUESTION_LIMIT) else { return false };
        let version = answer.stdout.split_whitespace().nth(1).and_then(minor);
        version.zip(minor(needed_version())).is_some_and(|(have, need)| have >= need)
    }
}

/// The oldest compiler that builds the examples, as this package's manifest says.
pub fn needed_version() -> &'static str {
    env!("CARGO_PKG_RUST_VERSION")
}

/// The number behind the first dot; the one before it has been 1 for ever.
fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

fn rustup_add(arguments: &[&str]) -> Result {
    let what = format!("rustup {}", arguments.join(" "));
    let mut rustup = Command::new("rustup");
    rustup.current_dir(workspace::root()).args(arguments);
    exec::run(&mut rustup, &what, DOWNLOAD_LIMIT)?.success(&what).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(minor("1.88"), Some(88));
        assert_eq!(minor("1.100.0-nightly"), Some(100));
        assert_eq!(minor("rustc"), None);
        assert!(minor(needed_version()).is_some());
    }

    #[test]
    fn no_example_needs_a_newer_compiler_than_run_sh_asks_for() {
        for example in ["demo", "aarch64", "riscv64", "x86_64"] {
            let manifest = workspace::root().join("examples").join(example).join("Cargo.toml");
            let text = std::fs::read_to_string(&manifest).unwrap();
            let version = text.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
            assert!(minor(version.trim_matches('"')) <= minor(needed_version()), "{example}");
        }
    }

    #[test]
    fn building_the_library_needs_its_flag_and_the_linkers_name() {
        let toolchain = Toolchain { folder: None, build_std: true, linker: Some("ld.lld") };
        let command = toolchain.cargo(Path::new("/k"), "build", "aarch64-unknown-none");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments[..3], ["build", "--target", "aarch64-unknown-none"]);
        assert!(arguments.contains(&OsStr::new("-Zbuild-std=core,alloc,compiler_builtins")));
        let environment: Vec<_> = command.get_envs().collect();
        assert!(environment.contains(&(OsStr::new("RUSTC_BOOTSTRAP"), Some(OsStr::new("1")))));
        let linker = OsStr::new("CARGO_TARGET_AARCH64_UNKNOWN_NONE_LINKER");
        assert!(environment.contains(&(linker, Some(OsStr::new("ld.lld")))));
    }
}
