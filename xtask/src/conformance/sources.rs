//! Which files are read: every Rust source in the tree, but this tool's own.

use std::fs;
use std::path::Path;

use super::annotation::{self, Found};
use crate::failure::{Context, Result};

/// Folders without sources of ours, and this tool, whose tests have comments that only look like ours.
const NOT_READ: [&str; 3] = ["target", "xtask", "seeds"];

/// Where the cases of the bench on QEMU are, and which file there lists them.
const BENCH: &str = "conformance/qemu/tests/matrix";
const PLAN: &str = "plan.rs";

/// Reads all of them, in the order of their names.
pub fn annotations(root: &Path) -> Result<Found> {
    let plan = root.join(BENCH).join(PLAN);
    let plan = if plan.exists() { fs::read_to_string(&plan).context(plan.display())? } else { String::new() };
    let mut found = Found::default();
    folder(root, root, &plan, &mut found)?;
    Ok(found)
}

/// Whether the plan names this function of a file.
fn is_case(plan: &str, file: &Path, name: &str) -> bool {
    let Some(module) = file.file_stem().filter(|_| file.starts_with(BENCH)) else { return false };
    let path = format!("{}::{name}", module.to_string_lossy());
    let ends = |rest: &str| !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    // Whatever stands behind it belongs to it only if it is part of a name.
    plan.split(path.as_str()).skip(1).any(ends)
}

fn folder(root: &Path, at: &Path, plan: &str, found: &mut Found) -> Result {
    let mut paths = Vec::new();
    for entry in fs::read_dir(at).context(at.display())? {
        paths.push(entry.context(at.display())?.path());
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !NOT_READ.contains(&name.as_ref()) {
                folder(root, &path, plan, found)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).context(path.display())?;
            let file = path.strip_prefix(root).unwrap_or(&path);
            annotation::read(&file.to_string_lossy(), &text, |name| is_case(plan, file, name), found);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn files_are_named_from_the_root_and_build_folders_passed_over() {
        let root = workspace::scratch("ledger").unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("b/tests/t.rs", "// shows: x.1\n#[test]\nfn t() {}\n");
        write("a/src/lib.rs", "// true by construction: y.2 — it cannot be said\n");
        write("b/target/debug/t.rs", "// shows: nothing\n");
        write("xtask/src/main.rs", "// shows: nothing\n");
        write("conformance/qemu/tests/matrix/rng.rs", "// shows: z.3\npub(crate) fn polled<W>() {}\n");
        write("conformance/qemu/tests/matrix/plan.rs", "case(rng::polled_long); case(rng::polled::<W>);");
        write("b/notes.md", "// shows: nothing\n");
        let found = annotations(root.path()).unwrap();
        let places: Vec<_> = found.annotations.iter().map(|one| one.place.as_str()).collect();
        let case = "conformance/qemu/tests/matrix/rng.rs :: polled";
        assert_eq!(places, ["a/src/lib.rs", "b/tests/t.rs :: t", case]);
        assert_eq!(found.faults, [""; 0]);
        write("conformance/qemu/tests/matrix/plan.rs", "case(rng::polled_long);");
        assert_eq!(annotations(root.path()).unwrap().faults.len(), 1);
    }
}
