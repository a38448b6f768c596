//! `cargo xtask ci`: formatting, lints, documentation, the oldest compiler, every test, Miri, loom, frames, fuzzing.

use std::process::Command;

use crate::arch::Arch;
use crate::exec::{self, BUILD_LIMIT, DOWNLOAD_LIMIT, QUESTION_LIMIT};
use crate::failure::Result;
use crate::report::Report;
use crate::setup::toolchain;
use crate::test::{self, Part, packages};
use crate::{conformance, fuzz, kernel, loom, miri, nightly, stack, stress, workspace};

/// The compiler the libraries promise to build with; as in the workspace's manifest.
const OLDEST: &str = "1.85.1";

/// Features that promise less, for what they bring in asks for more.
const NEWER: [&str; 3] = ["dtoolkit", "embedded-sdmmc", "smoltcp"];

/// Packages of their own, which run on the host.
const APART: [&str; 8] = [
    "conformance/frames",
    "conformance/qemu",
    "conformance/queues",
    "conformance/vhost-user",
    "fuzz",
    "benches",
    "benches/vhost-user",
    "examples/toy-device",
];

/// Packages of their own, which run on a bare machine.
const BARE: [&str; 3] = ["benches/kernel", "benches/size/ours", "benches/size/incumbent"];

/// How many requests the stress test sends here.
const STRESS: u64 = 2_000_000;

/// Runs everything and prints one closing line.
pub fn verb() -> Result {
    let mut report = Report::default();
    formatting(&mut report);
    lints(&mut report);
    documentation(&mut report);
    report.check("every clause that binds us is met", conformance::check);
    oldest_compiler(&mut report);
    test::run(&Part::All, &mut report);
    report.check("no notification lost between two threads", || stress::run(STRESS));
    loom::run(&mut report);
    stack::run(&mut report);
    fuzz::run(fuzz::CI_SECONDS, &mut report);
    reasons(&mut report);
    miri::run(miri::CI_SEEDS, &mut report);
    report.close()
}

/// What must not compile must fail for the reason that is given: only nightly looks at it.
fn reasons(report: &mut Report) {
    if report.value("nightly", nightly::ensure_miri).is_some() {
        let mut cargo = nightly::cargo(&["test", "--doc", "-p", "virtio-core", "--all-features"]);
        cargo.arg("--target-dir").arg(workspace::target().join("nightly"));
        test::count(report, &mut cargo, "reasons for which examples do not compile");
    }
}

fn formatting(report: &mut Report) {
    cargo(report, "formatting of the workspace", &["fmt", "--all", "--check"]);
    let kernels = Arch::ALL.map(kernel::folder);
    let apart =
        ["conformance/polled"].iter().chain(&APART).chain(&BARE).map(|name| workspace::root().join(name));
    for folder in kernels.into_iter().chain(apart) {
        let name =
            format!("formatting of {}", folder.strip_prefix(workspace::root()).unwrap_or(&folder).display());
        report.check(&name, || {
            let mut cargo = Command::new("cargo");
            cargo.current_dir(&folder).args(["fmt", "--check"]);
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
    for package in APART {
        let name = format!("lints of {package}");
        report.check(&name, || {
            let mut cargo = Command::new("cargo");
            cargo.current_dir(workspace::root().join(package)).args([
                "clippy",
                "--all-targets",
                "--locked",
                "--target-dir",
            ]);
            cargo.arg(workspace::target().join("apart")).args(DENY);
            exec::run(&mut cargo, &name, BUILD_LIMIT)?.success(&name).map(drop)
        });
    }
    for package in BARE {
        let name = format!("lints of {package}");
        report.check(&name, || {
            let target = Arch::Aarch64.target();
            let folder = workspace::root().join(package);
            let mut cargo = toolchain::ensure(target)?.cargo(&folder, "clippy", target);
            cargo.args(["--release", "--locked", "--target-dir"]).arg(workspace::target().join("bare"));
            cargo.args(DENY);
            exec::run(&mut cargo, &name, BUILD_LIMIT)?.success(&name).map(drop)
        });
    }
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
        rustup.args(["run", OLDEST, "cargo", "check", "--features", &packages::features_without(&NEWER)?]);
        rustup
            .arg("--target-dir")
            .arg(workspace::target().join("oldest"))
            .args(packages::select(&packages::libraries()?));
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
