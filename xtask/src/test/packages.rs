//! What the packages promise: they build for bare targets, depend on little, have no `unsafe` where they say so,
//! and the examples stand alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::arch::Arch;
use crate::exec::{self, BUILD_LIMIT, DOWNLOAD_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::report::Report;
use crate::setup::toolchain;
use crate::{kernel, workspace};

/// Every target the libraries are built for; the last one has no compare-and-swap.
pub const BARE_TARGETS: [&str; 5] = [
    "aarch64-unknown-none",
    "riscv64gc-unknown-none-elf",
    "x86_64-unknown-none",
    "riscv32imac-unknown-none-elf",
    "riscv32imc-unknown-none-elf",
];

/// What a device crate may depend on without being asked, besides this workspace.
const ALLOWED: [&str; 4] = ["bitflags", "critical-section", "volatile-register", "zerocopy"];

/// The crates whose sources have no `unsafe`.
const WITHOUT_UNSAFE: [&str; 6] =
    ["virtio-gpu", "virtio-input", "virtio-rng", "virtio-blk", "virtio-net", "virtio-console"];

/// Runs and counts them all.
pub fn run(report: &mut Report) {
    for target in BARE_TARGETS {
        report.check(&format!("libraries for {target}, without default features"), || {
            let toolchain = toolchain::ensure(target)?;
            let mut cargo = toolchain.cargo(&workspace::root(), "build", target);
            cargo.arg("--no-default-features").args(select(&libraries()?));
            let label = format!("building the libraries for {target}");
            exec::run(&mut cargo, &label, BUILD_LIMIT)?.success(&label).map(drop)
        });
    }
    report.check("dependencies of virtio-gpu", || {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root());
        cargo.args(["tree", "-p", "virtio-gpu", "-e", "normal", "--prefix", "depth"]);
        let tree = exec::quiet(&mut cargo, DOWNLOAD_LIMIT)?.success("cargo tree")?;
        only_allowed(&tree.stdout)
    });
    for package in WITHOUT_UNSAFE {
        report.check(&format!("no unsafe in {package}"), || {
            without_unsafe(&workspace::root().join(package).join("src"))
        });
    }
    report.check("a kernel that only polls links without a critical-section implementation", polled_kernel);
    for arch in Arch::ALL {
        report.check(&format!("examples/{} stands alone", arch.name()), || stands_alone(arch));
    }
}

/// Links a kernel that drives GPU and keyboard by polling. A call to a missing implementation would be an undefined
/// symbol; an empty program would prove nothing.
fn polled_kernel() -> Result {
    const TARGET: &str = "aarch64-unknown-none";
    let toolchain = toolchain::ensure(TARGET)?;
    let folder = workspace::root().join("conformance/polled");
    let target = workspace::target().join("polled");
    let label = "linking conformance/polled";
    let mut cargo = toolchain.cargo(&folder, "build", TARGET);
    cargo.args(["--release", "--locked", "--target-dir"]).arg(&target);
    exec::run(&mut cargo, label, BUILD_LIMIT)?.success(label)?;
    let program = target.join(TARGET).join("release/polled");
    let bytes = fs::read(&program).context(program.display())?;
    if !bytes.windows(10).any(|word| word == b"virtio_gpu") {
        fail!("{} contains no GPU driver", program.display());
    }
    Ok(())
}

/// The packages that are published for bare targets: all of the workspace but tools and test kit.
pub fn libraries() -> Result<Vec<String>> {
    Ok(described()?.into_iter().map(|(name, _)| name).collect())
}

/// `PACKAGE/FEATURE,…` for every feature of the libraries but these.
pub fn features_without(these: &[&str]) -> Result<String> {
    let features: Vec<_> = described()?
        .iter()
        .flat_map(|(name, features)| features.iter().map(move |feature| (name, feature)))
        .filter(|(_, feature)| !these.contains(&feature.as_str()))
        .map(|(name, feature)| format!("{name}/{feature}"))
        .collect();
    if features.is_empty() {
        fail!("the libraries have no features");
    }
    Ok(features.join(","))
}

/// The names of the libraries, each with its features.
fn described() -> Result<Vec<(String, Vec<String>)>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).args(["metadata", "--no-deps", "--format-version", "1"]);
    let answer = exec::quiet(&mut cargo, DOWNLOAD_LIMIT)?.success("cargo metadata")?;
    let metadata: Value = serde_json::from_str(&answer.stdout).context("cargo metadata")?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("cargo metadata: no packages")?;
    let libraries: Vec<_> = packages
        .iter()
        .filter(|package| package.get("publish") != Some(&Value::Array(Vec::new())))
        .filter_map(|package| {
            let features = package.get("features")?.as_object()?.keys().cloned().collect();
            Some((package.get("name")?.as_str()?.to_owned(), features))
        })
        .filter(|(name, _)| name != "virtio-testkit")
        .collect();
    if libraries.is_empty() {
        fail!("the workspace has no libraries");
    }
    Ok(libraries)
}

/// `-p NAME` for each.
pub fn select(packages: &[String]) -> impl Iterator<Item = &str> {
    packages.iter().flat_map(|name| ["-p", name.as_str()])
}

/// Checks what `cargo tree --prefix depth` printed: below a crate of ours stand only crates of ours and allowed ones.
fn only_allowed(tree: &str) -> Result {
    let mut seen = BTreeSet::new();
    // The depth of the allowed crate we are below of: what it needs itself is its own affair.
    let mut below = usize::MAX;
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let name_at = line.find(|letter: char| !letter.is_ascii_digit()).context("cargo tree: no name")?;
        let (depth, rest) = line.split_at(name_at);
        let depth: usize = depth.parse().context("cargo tree: no depth")?;
        if depth > below {
            continue;
        }
        let name = rest.split_whitespace().next().context("cargo tree: no name")?;
        let ours = name.starts_with("virtio-") && rest.contains("(/");
        if !ours && !ALLOWED.contains(&name) {
            fail!("it depends on {name}");
        }
        below = if ours { usize::MAX } else { depth };
        seen.insert(name.to_owned());
    }
    if !seen.contains("virtio-core") {
        fail!("cargo tree shows no virtio-core: {tree:?}");
    }
    Ok(())
}

/// Checks that the only `unsafe` in the sources is the lint that forbids it.
fn without_unsafe(folder: &Path) -> Result {
    let mut forbidden = false;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).context(folder.display())? {
            let path = entry.context(folder.display())?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).context(path.display())?;
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("unsafe")) {
                if line.trim() != "#![forbid(unsafe_code)]" {
                    fail!("{}:{}: {}", path.display(), number + 1, line.trim());
                }
                forbidden = true;
            }
        }
    }
    if !forbidden {
        fail!("{} does not forbid unsafe code", folder.display());
    }
    Ok(())
}

/// Copies an example out of the tree and builds it there.
fn stands_alone(arch: Arch) -> Result {
    let toolchain = toolchain::ensure(arch.target())?;
    let inside = kernel::folder(arch);
    let outside = workspace::scratch("alone")?;
    copy(&inside, outside.path())?;
    let manifest = outside.path().join("Cargo.toml");
    let text = fs::read_to_string(&manifest).context(manifest.display())?;
    fs::write(&manifest, with_absolute_paths(&text, &inside)?).context(manifest.display())?;

    let label = format!("building a copy of examples/{}", arch.name());
    let mut cargo = toolchain.cargo(outside.path(), "build", arch.target());
    cargo.arg("--release").arg("--target-dir").arg(kernel::target_folder());
    exec::run(&mut cargo, &label, BUILD_LIMIT)?.success(&label).map(drop)
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to).context(to.display())?;
    for entry in fs::read_dir(from).context(from.display())? {
        let entry = entry.context(from.display())?;
        let (source, copy_to) = (entry.path(), to.join(entry.file_name()));
        if source.is_file() {
            fs::copy(&source, &copy_to).context(source.display())?;
        } else if entry.file_name() != "target" {
            copy(&source, &copy_to)?;
        }
    }
    Ok(())
}

/// The manifest with every `path = "../…"` made absolute: what a user replaces by a version or a git address.
fn with_absolute_paths(manifest: &str, folder: &Path) -> Result<String> {
    const PATH: &str = "path = \"";
    let mut text = String::new();
    for (index, part) in manifest.split(PATH).enumerate() {
        if index > 0 {
            text.push_str(PATH);
            if part.starts_with("..") {
                text.push_str(folder.to_str().context("the tree's path is not UTF-8")?);
                text.push('/');
            }
        }
        text.push_str(part);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0virtio-gpu v0.1.0 (/t/virtio-gpu)\n1bitflags v2.9.0\n1virtio-core v0.1.0 (/t/virtio-core)\n\
        2volatile-register v0.2.2\n3vcell v0.1.3\n2zerocopy v0.8.27\n3zerocopy-derive v0.8.27 (proc-macro)\n4syn v2.0.0\n";

    #[test]
    fn allowed_crates_may_have_what_they_need() {
        only_allowed(TREE).unwrap();
    }

    #[test]
    fn others_may_not() {
        for (line, name) in [
            ("1syn v2.0.0\n", "syn"),
            ("2log v0.4.0\n", "log"),
            ("1virtio-drivers v0.1.0\n", "virtio-drivers"),
        ] {
            let failure = only_allowed(&format!("{TREE}{line}")).unwrap_err().to_string();
            assert!(failure.ends_with(name), "{failure}");
        }
        assert!(only_allowed("").is_err());
    }

    #[test]
    fn unsafe_is_found_and_so_is_a_missing_lint() {
        let folder = workspace::scratch("unsafe").unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.rs", "fn f() {}\n");
        assert!(without_unsafe(folder.path()).is_err());
        write("lib.rs", "#![forbid(unsafe_code)]\n");
        without_unsafe(folder.path()).unwrap();
        write("b.rs", "\nlet x = unsafe { *p };\n");
        let failure = without_unsafe(folder.path()).unwrap_err().to_string();
        assert!(failure.contains("b.rs:2:"), "{failure}");
    }

    #[test]
    fn paths_out_of_the_folder_become_absolute() {
        let manifest = "[[bin]]\npath = \"src/main.rs\"\n[dependencies]\ndemo = { path = \"../demo\" }\n";
        let rewritten = with_absolute_paths(manifest, Path::new("/t/examples/a")).unwrap();
        assert!(rewritten.contains("path = \"/t/examples/a/../demo\""), "{rewritten}");
        assert!(rewritten.contains("path = \"src/main.rs\""));
    }
}
