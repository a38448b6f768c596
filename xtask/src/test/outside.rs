//! Device crates that are written on the public interface alone: the toy in `examples/`, and what `new-device` lays out.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::report::Report;
use crate::test::host;
use crate::{new_device, workspace};

/// The toy, in the tree.
const TOY: &str = "examples/toy-device";
/// What its example ends with, when all went well.
const LAST_LINE: &str = "the table is cleared";

/// Runs and counts them.
pub fn run(report: &mut Report) {
    let toy = workspace::root().join(TOY);
    host::count(report, cargo(&toy, "test").arg("--locked"), &format!("cargo test in {TOY}"));
    report.check(&format!("{TOY} plays"), || {
        let label = format!("running {TOY}");
        let mut play = cargo(&toy, "run");
        play.args(["--locked", "--quiet", "--example", "play"]);
        let outcome = exec::run(&mut play, &label, BUILD_LIMIT)?.success(&label)?;
        if outcome.stdout.lines().last() != Some(LAST_LINE) {
            fail!("it does not end with {LAST_LINE:?}: {:?}", outcome.stdout);
        }
        Ok(())
    });
    if let Some(scratch) = report.value("room for new devices", || workspace::scratch("new-device")) {
        laid_out(report, scratch.path());
    }
}

/// What `new-device` lays out has to be right as it is, inside a workspace and outside of one.
fn laid_out(report: &mut Report, scratch: &Path) {
    let outside = scratch.join("kettle");
    let inside = scratch.join("workspace");
    let words = |line: &str| line.split_whitespace().map(Into::into).collect::<Vec<_>>();
    let made = report.value("new-device lays out a package of its own", || {
        let mut args = words("kettle --id 61 --out");
        args.push(outside.clone().into());
        new_device::lay_out_outside(&args)?;
        // The versions of ours: what is new in the registry is not what is tested here.
        copy("Cargo.lock", scratch.join("kettle").as_path())
    });
    if made.is_some() {
        whole(report, &outside, "virtio-kettle", "a package that new-device laid out");
    }
    let made = report.value("new-device lays out a member of a workspace", || {
        fs::create_dir_all(&inside).context(inside.display())?;
        let root = workspace::root();
        for file in ["Cargo.toml", "Cargo.lock", "rustfmt.toml", "clippy.toml"] {
            copy(file, &inside)?;
        }
        new_device::lay_out_inside(&words("file-system"), &inside)?;
        // Of the workspace that comes out, the new member is here; the others stay where they are.
        let manifest = inside.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).context(manifest.display())?;
        fs::write(&manifest, alone(&text, "virtio-file-system", &root)?).context(manifest.display())?;
        let member = inside.join("virtio-file-system/Cargo.toml");
        let text = fs::read_to_string(&member).context(member.display())?;
        let testkit = root.join("virtio-testkit");
        let text = text.replace("\"../virtio-testkit\"", &format!("{:?}", testkit));
        fs::write(&member, text).context(member.display())
    });
    if made.is_some() {
        whole(report, &inside, "virtio-file-system", "a workspace that new-device has added to");
    }
    report.check("new-device refuses a name that is none, in one line", || {
        for name in ["9p", "../x", "Sound", "file-system"] {
            match new_device::lay_out_inside(&words(name), &inside) {
                Err(failure) if failure.to_string().contains(name) => {}
                Err(failure) => fail!("{name}: {failure}"),
                Ok(place) => fail!("{name}: laid out at {}", place.display()),
            }
        }
        Ok(())
    });
}

/// Formatting, lints, documentation and tests of what is in a folder.
fn whole(report: &mut Report, folder: &Path, package: &str, name: &str) {
    for (what, arguments) in [
        ("formatting", &["fmt", "-p", package, "--check"][..]),
        ("lints", &["clippy", "--all-targets", "--all-features", "--", "-D", "warnings"]),
        ("documentation", &["doc", "--no-deps", "--all-features"]),
    ] {
        let label = format!("{what} of {name}");
        report.check(&label, || {
            let (verb, rest) = arguments.split_first().context("no verb")?;
            let mut cargo = if *verb == "fmt" { plain(folder, verb) } else { cargo(folder, verb) };
            cargo.args(rest).env("RUSTDOCFLAGS", "-D warnings");
            exec::run(&mut cargo, &label, BUILD_LIMIT)?.success(&label).map(drop)
        });
    }
    host::count(report, &mut cargo(folder, "test"), &format!("tests of {name}"));
}

fn copy(file: &str, to: &Path) -> Result {
    let from = workspace::root().join(file);
    fs::copy(&from, to.join(file)).context(from.display()).map(drop)
}

/// The manifest of a workspace that has this one member, and finds the others at `root`.
fn alone(manifest: &str, member: &str, root: &Path) -> Result<String> {
    let (_, rest) =
        manifest.split_once("[workspace.package]").context("Cargo.toml has no [workspace.package]")?;
    let root = root.to_str().context("the tree's path is not UTF-8")?;
    let mut text = format!("[workspace]\nresolver = \"3\"\nmembers = [\"{member}\"]\n\n[workspace.package]");
    for line in rest.lines() {
        if line.starts_with(member) {
            text.push_str(line);
        } else {
            text.push_str(&line.replace("{ path = \"", &format!("{{ path = \"{root}/")));
        }
        text.push('\n');
    }
    Ok(text)
}

fn plain(folder: &Path, verb: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).arg(verb);
    cargo
}

fn cargo(folder: &Path, verb: &str) -> Command {
    let mut cargo = plain(folder, verb);
    cargo.arg("--target-dir").arg(workspace::target().join("outside"));
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_is_left_and_the_others_are_found() {
        let manifest = "[workspace]\nmembers = [\n    \"virtio-core\",\n]\n\n[workspace.package]\nversion = \"1\"\n\
            virtio-core = { path = \"virtio-core\" }\nvirtio-new = { path = \"virtio-new\" }\n";
        let text = alone(manifest, "virtio-new", Path::new("/t")).unwrap();
        assert!(text.contains("members = [\"virtio-new\"]"), "{text}");
        assert!(text.contains("virtio-core = { path = \"/t/virtio-core\" }"), "{text}");
        assert!(text.contains("virtio-new = { path = \"virtio-new\" }"), "{text}");
    }
}
