//! Where things are: the tree, the build folder, a folder of our own for sockets and copies.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::{Context, Result};

/// The folder with the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // Cargo says it when it runs us; the build-time value serves the bare binary.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// The folder the user called from: paths on the command line count from there.
///
/// `run.sh` changes to the tree, so it hands its caller's folder over.
pub fn caller_folder() -> Result<PathBuf> {
    match env::var_os("XTASK_CALLED_FROM") {
        Some(folder) => Ok(folder.into()),
        None => env::current_dir().context("the current folder"),
    }
}

/// Cargo's build folder.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Where pictures go unless told otherwise.
pub fn pictures() -> PathBuf {
    root().join("target").join("demo")
}

/// Whether we run in CI, where nothing is asked and nothing is skipped.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != OsStr::new("false"))
}

/// The program called `name` on the search path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A new folder outside the tree, removed with the value.
pub fn scratch(purpose: &str) -> Result<Scratch> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // Short: socket paths are limited to about 100 bytes.
    let path = env::temp_dir().join(format!("virtio-{purpose}-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).context(format!("creating {}", path.display()))?;
    Ok(Scratch(path))
}

/// See [`scratch`].
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Only litter in the temporary folder is left if this fails.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_with_its_value() {
        let folder = scratch("test").unwrap();
        let path = folder.path().to_path_buf();
        std::fs::write(path.join("file"), "x").unwrap();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_tree_is_found() {
        assert!(root().join("xtask").join("Cargo.toml").is_file());
    }
}
