//! `cargo xtask ci`: formatting, lints, documentation, the oldest compiler, every test, Miri.

use std::process::Command;

use crate::arch::Arch;
use crate::exec::{self, BUILD_LIMIT, DOWNLOAD_LIMIT, QUESTION_LIMIT};
use crate::failure::Result;
use crate::report::Report;
use crate::setup::toolchain;
use crate::test::{self, Part, packages};
use crate::{kernel, miri, workspace};

/// The compiler the libraries promise to build with; as in the workspace's manifest.
const OLDEST: &str = "1.85.1";

/// Runs everything and prints one closing line.
pub fn verb() -> Result {
    let mut report = Report::default();
    formatting(&mut report);
    lints(&mut report);
    documentation(&mut report);
    oldest_compiler(&mut report);
    test::run(&Part::All, &mut report);
    miri::run(&mut report);
    report.close()
}

fn formatting(report: &mut Report) {
    cargo(report, "formatting of the workspace", &["fmt", "--all", "--check"]);
    for arch in Arch::ALL {
        let name = format!("formatting of examples/{}", arch.name());
        report.check(&name, || {
            let mut cargo = Command::new("cargo");
            cargo.current_dir(kernel::folder(arch)).args(["fmt", "--check"]);
            exec::run(&mut cargo, &name, BUILD_LIMIT)?.success(&name).map(drop)
        });
    }
}

fn lints(report: &mut Report) {
    const DENY: [&str; 3] = ["--", "-D", "warnings"];
    let host =
        |more: &[&'static str]| [&["clippy", "--workspace", "--all-targets"][..], more, &DENY].concat();
    cargo(report, "lints on the host", &host(&[]));
    cargo(report, "lints on the host, all features", &host(&["--all-features"]));
    for target in packages::BARE_TARGETS {
        let name = format!("lints of the libraries for {target}");
        report.check(&name, || {
            let mut cargo = toolchain::ensure(target)?.cargo(&workspace::root(), "clippy", target);
            cargo.args(packages::select(&packages::libraries()?)).args(DENY);
            exec::run(&mut cargo, &name, BUILD_LIMIT)?.success(&name).map(drop)
        });
    }
    for arch in Arch::ALL {
        for features in [&[][..], &["--features", "defmt"]] {
            let name = format!("lints of examples/{} {}", arch.name(), features.join(" "));
            let name = name.trim_end();
            report.check(name, || {
                let mut cargo =
                    toolchain::ensure(arch.target())?.cargo(&kernel::folder(arch), "clippy", arch.target());
                cargo.args(["--release", "--locked", "--target-dir"]).arg(kernel::target_folder());
                cargo.args(features).args(DENY);
                exec::run(&mut cargo, name, BUILD_LIMIT)?.success(name).map(drop)
            });
        }
    }
}

fn documentation(report: &mut Report) {
    let name = "documentation";
    report.check(name, || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root()).env("RUSTDOCFLAGS", "-D warnings");
        cargo.args(["doc", "--workspace", "--no-deps", "--all-features"]);
        exec::run(&mut cargo, name, BUILD_LIMIT)?.success(name).map(drop)
    });
}

/// The libraries with the compiler they promise to build with, which is fetched if it is missing.
fn oldest_compiler(report: &mut Report) {
    let name = format!("the libraries with Rust {OLDEST}");
    report.check(&name, || {
        if !exec::quiet(Command::new("rustup").args(["toolchain", "list"]), QUESTION_LIMIT)?
            .success("rustup toolchain list")?
            .stdout
            .split_whitespace()
            .any(|word| word.starts_with(OLDEST))
        {
            let label = format!("fetching Rust {OLDEST}");
            let mut rustup = Command::new("rustup");
            rustup.args(["toolchain", "install", OLDEST, "--profile", "minimal"]);
            exec::run(&mut rustup, &label, DOWNLOAD_LIMIT)?.success(&label)?;
        }
        let mut rustup = Command::new("rustup");
        rustup.current_dir(workspace::root()).env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
        rustup.args(["run", OLDEST, "cargo", "check", "--all-features", "--target-dir"]);
        rustup.arg(workspace::target().join("oldest")).args(packages::select(&packages::libraries()?));
        exec::run(&mut rustup, &name, BUILD_LIMIT)?.success(&name).map(drop)
    });
}

/// One `cargo` in the tree, counted.
fn cargo(report: &mut Report, name: &str, arguments: &[&str]) {
    report.check(name, || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root()).args(arguments);
        exec::run(&mut cargo, name, BUILD_LIMIT)?.success(name).map(drop)
    });
}
