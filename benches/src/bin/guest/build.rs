//! Building kernels.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Fault;

/// The target of all kernels here.
pub const TARGET: &str = "aarch64-unknown-none";

/// The folder of the package that this program is of.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `cargo` in the folder of a kernel.
pub fn cargo(folder: &Path) -> Command {
    // The one that has started this program, if one has.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(folder);
    cargo
}

/// Builds the kernel in `folder`, called `name`, below `target`: where it is, and how long that took.
pub fn kernel(folder: &Path, name: &str, target: &Path) -> Result<(PathBuf, Duration), Fault> {
    let mut cargo = cargo(folder);
    cargo.args(["build", "--release", "--locked", "--target", TARGET, "--target-dir"]).arg(target);
    let begin = Instant::now();
    let output = cargo.output()?;
    let took = begin.elapsed();
    if !output.status.success() {
        return Err(format!("{name} was not built:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok((target.join(TARGET).join("release").join(name), took))
}

/// Builds the kernel that measures.
pub fn bench_kernel(out: &Path) -> Result<PathBuf, Fault> {
    eprintln!("building the kernel");
    Ok(kernel(&here().join("kernel"), "bench-kernel", &out.join("kernel"))?.0)
}
