//! `cargo xtask new-device NAME`: lays out the crate of a device in the family's shape. It builds, and its tests pass, before
//! a line of it is changed.

mod name;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lexopt::prelude::*;

use crate::exec::{self, QUESTION_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::workspace;
use name::Name;

/// What every crate gets: where it goes, and what is in it.
const FILES: [(&str, &str); 11] = [
    ("src/lib.rs", include_str!("../templates/device/src/lib.rs")),
    ("src/abi/mod.rs", include_str!("../templates/device/src/abi/mod.rs")),
    ("src/abi/config.rs", include_str!("../templates/device/src/abi/config.rs")),
    ("src/abi/features.rs", include_str!("../templates/device/src/abi/features.rs")),
    ("src/abi/request.rs", include_str!("../templates/device/src/abi/request.rs")),
    ("src/error.rs", include_str!("../templates/device/src/error.rs")),
    ("src/device.rs", include_str!("../templates/device/src/device.rs")),
    ("tests/device/main.rs", include_str!("../templates/device/tests/device/main.rs")),
    ("tests/device/bench.rs", include_str!("../templates/device/tests/device/bench.rs")),
    ("tests/device/bring_up.rs", include_str!("../templates/device/tests/device/bring_up.rs")),
    ("tests/device/requests.rs", include_str!("../templates/device/tests/device/requests.rs")),
];
/// The manifest of a member of this workspace.
const INSIDE: &str = include_str!("../templates/device/inside.toml");
/// The manifest of a package of its own.
const OUTSIDE: &str = include_str!("../templates/device/outside.toml");
/// What goes beside the manifest of a package of its own.
const BESIDE: [(&str, &str); 2] = [
    ("rustfmt.toml", include_str!("../../rustfmt.toml")),
    ("clippy.toml", include_str!("../../clippy.toml")),
];

/// The number that stands in for a device type that the specification does not list; it gives out none so high.
const NO_TYPE: u32 = 63;

/// What is asked for.
#[derive(Debug, PartialEq)]
struct Options {
    name: Name,
    /// The device type's number.
    id: u32,
    /// Where, if not in the workspace.
    out: Option<PathBuf>,
    /// Where `virtio-core` is: a folder, or the address of a repository. For a package of its own.
    core: Option<String>,
}

/// Reads the options, lays out the crate and says what is left to do.
pub fn verb(args: &[OsString]) -> Result {
    let apart = args.iter().any(|arg| arg.to_string_lossy().starts_with("--out"));
    let place = if apart { lay_out_outside(args)? } else { lay_out_inside(args, &workspace::root())? };
    println!(
        "{} is laid out, which was step 1; `cargo test` there checks it. What is left:",
        place.display()
    );
    let contributing = workspace::root().join("CONTRIBUTING.md");
    let text = fs::read_to_string(&contributing).context(contributing.display())?;
    println!("{}", remaining(&text, !apart).context("CONTRIBUTING.md lists no steps")?);
    Ok(())
}

/// Lays out a package of its own, with the arguments of the verb. Answers where it is.
pub fn lay_out_outside(args: &[OsString]) -> Result<PathBuf> {
    let options = Options::parse(args)?;
    let out = options.out.as_ref().context("new-device: --out is missing")?;
    let place = workspace::caller_folder()?.join(out);
    outside(&options, &place)?;
    Ok(place)
}

/// Lays out a member of the workspace at `root`, with the arguments of the verb. Answers where it is.
pub fn lay_out_inside(args: &[OsString], root: &Path) -> Result<PathBuf> {
    inside(&Options::parse(args)?, root)
}

impl Options {
    fn parse(args: &[OsString]) -> Result<Self> {
        let (mut name, mut id, mut out, mut core) = (None, None, None, None);
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().context("new-device")? {
            match arg {
                Long("id") => {
                    let value = parser.value().context("new-device")?;
                    let number = value.to_str().and_then(|number| number.parse().ok());
                    id = Some(number.context(format!("--id takes a number, not {value:?}"))?);
                }
                Long("out") => out = Some(PathBuf::from(parser.value().context("new-device")?)),
                Long("core") => core = Some(parser.value().and_then(ValueExt::string).context("new-device")?),
                Value(word) if name.is_none() => name = Some(Name::parse(&word.to_string_lossy())?),
                other => fail!("new-device: {}", other.unexpected()),
            }
        }
        if core.is_some() && out.is_none() {
            fail!("new-device: --core goes with --out; inside the workspace, core is at hand");
        }
        let name = name.context("new-device takes the name of a device, as in `new-device sound`")?;
        if let Some(taken) = FILES.iter().find_map(|(_, text)| name.taken_in(text)) {
            fail!("new-device: the files have a {taken} of their own already: choose another name");
        }
        let id = id.or_else(|| name.listed_type()).unwrap_or(NO_TYPE);
        Ok(Self { name, id, out, core })
    }

    fn fill_in(&self, text: &str) -> String {
        self.name.fill_in(text).replace("NUMBER", &self.id.to_string())
    }
}

/// Lays the crate out in the workspace at `root` and declares it there. Answers where it is.
fn inside(options: &Options, root: &Path) -> Result<PathBuf> {
    let place = root.join(options.name.package());
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).context(manifest.display())?;
    let declared = declare(&text, &options.name)?;
    lay_out(options, &place, INSIDE)?;
    fs::write(&manifest, declared).context(manifest.display())?;
    format(&place)?;
    Ok(place)
}

/// Lays the crate out at `place`, as a package of its own.
fn outside(options: &Options, place: &Path) -> Result {
    lay_out(options, place, &manifest_outside(options.core.as_deref())?)?;
    for (name, text) in BESIDE {
        write(&place.join(name), text)?;
    }
    format(place)
}

/// The manifest of a package of its own, on the core in a folder or a repository; on this tree's if it is not said.
fn manifest_outside(core: Option<&str>) -> Result<String> {
    Ok(match core {
        Some(core) if core.contains("://") => OUTSIDE
            .replace("path = \"CORE\"", &format!("git = \"{core}\""))
            .replace("path = \"TESTKIT\"", &format!("git = \"{core}\"")),
        folder => {
            let core = match folder {
                Some(folder) => workspace::caller_folder()?.join(folder),
                None => workspace::root().join("virtio-core"),
            };
            let core = core.canonicalize().context(format!("--core {}", core.display()))?;
            let testkit = core.with_file_name("virtio-testkit");
            for folder in [&core, &testkit] {
                if !folder.join("Cargo.toml").is_file() {
                    fail!("--core: there is no package at {}", folder.display());
                }
            }
            let path =
                |path: PathBuf| path.to_str().map(str::to_owned).context("--core: a path that is not UTF-8");
            OUTSIDE.replace("CORE", &path(core)?).replace("TESTKIT", &path(testkit)?)
        }
    })
}

/// Writes the files to `place`, which must not be there yet.
fn lay_out(options: &Options, place: &Path, manifest: &str) -> Result {
    if place.exists() {
        fail!("{} is there already", place.display());
    }
    write(&place.join("Cargo.toml"), &options.fill_in(manifest))?;
    for (name, text) in FILES {
        write(&place.join(name), &options.fill_in(text))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    fs::write(path, text).context(path.display())
}

/// Breaks the lines where they belong: that depends on how long the name is.
fn format(place: &Path) -> Result {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024"]).args(["src/lib.rs", "tests/device/main.rs"]).current_dir(place);
    exec::quiet(&mut rustfmt, QUESTION_LIMIT)?.success("rustfmt").map(drop)
}

/// The workspace's manifest with one more device: a member before the facade, a dependency before the test kit.
fn declare(manifest: &str, name: &Name) -> Result<String> {
    let package = name.package();
    let member = format!("    \"{package}\", # device: {}\n", name.words());
    let dependency =
        format!("{package} = {{ path = \"{package}\", version = \"0.1.0\", default-features = false }}\n");
    if manifest.contains(&format!("\"{package}\"")) {
        fail!("the workspace has a {package} already");
    }
    let manifest = before(manifest, "    \"virtio\",", &member)?;
    before(&manifest, "virtio-testkit = {", &dependency)
}

/// `text` with `line` before the one line that starts with `mark`.
fn before(text: &str, mark: &str, line: &str) -> Result<String> {
    let (above, below) = text
        .split_once(&format!("\n{mark}"))
        .context(format!("Cargo.toml has no line that starts with {mark}"))?;
    Ok(format!("{above}\n{line}{mark}{below}"))
}

/// The steps of CONTRIBUTING that are left when the files are there. Outside the workspace, those for this tree are not.
fn remaining(contributing: &str, inside: bool) -> Option<String> {
    let section = contributing.split_once("\n## How to add a device\n")?.1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let list = section.get(section.find("\n2. ")?..)?;
    let end = if inside { None } else { list.find("\n9. ") };
    Some(list.get(..end.unwrap_or(list.len()))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Options::parse(&words)
    }

    fn refusal(line: &str) -> String {
        let said = parse(line).unwrap_err().to_string();
        assert!(!said.contains('\n') && !said.is_empty(), "{said}");
        said
    }

    #[test]
    fn wrong_options_are_one_line() {
        for (line, word) in [
            ("", "name of a device"),
            ("9p", "\"9p\""),
            ("sound --fast", "--fast"),
            ("sound light", "light"),
            ("sound --id x", "\"x\""),
            ("sound --core ../core", "--out"),
            ("device", "device"),
            ("header", "Header"),
        ] {
            let said = refusal(line);
            assert!(said.contains(word), "{line:?}: {said}");
        }
    }

    #[test]
    fn a_listed_device_has_its_number() {
        assert_eq!(parse("sound").unwrap().id, 25);
        assert_eq!(parse("file-system").unwrap().id, 26);
        assert_eq!(parse("sound --id 7").unwrap().id, 7);
        assert_eq!(parse("kettle").unwrap().id, NO_TYPE);
    }

    #[test]
    fn every_template_is_used() {
        fn count(folder: &Path) -> usize {
            let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            paths.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        assert_eq!(count(&workspace::root().join("xtask/templates/device")), FILES.len() + 2);
    }

    #[test]
    fn nothing_of_the_template_s_own_name_is_left() {
        let options = parse("file-system").unwrap();
        for (name, text) in FILES {
            let text = options.fill_in(text);
            assert!(!text.to_lowercase().contains("newdev"), "{name}");
            assert!(!text.contains("NUMBER"), "{name}");
        }
        assert!(options.fill_in(FILES[0].1).contains("use virtio_file_system::FileSystem;"));
        assert!(options.fill_in(INSIDE).contains("name = \"virtio-file-system\""));
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let scratch = workspace::scratch("there").unwrap();
        fs::write(scratch.path().join("mine"), "precious").unwrap();
        let said = outside(&parse("kettle").unwrap(), scratch.path()).unwrap_err().to_string();
        assert!(said.ends_with("is there already"), "{said}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_package_of_its_own_finds_the_core() {
        let path = manifest_outside(None).unwrap();
        let root = workspace::root().canonicalize().unwrap();
        assert!(path.contains(&format!("path = \"{}\"", root.join("virtio-core").display())), "{path}");
        assert!(path.contains(&format!("path = \"{}\"", root.join("virtio-testkit").display())), "{path}");
        let git = manifest_outside(Some("https://example.org/virtio.git")).unwrap();
        assert_eq!(git.matches("{ git = \"https://example.org/virtio.git\"").count(), 2, "{git}");
        assert!(!git.contains("path = "), "{git}");
        let said = manifest_outside(Some("/nowhere")).unwrap_err().to_string();
        assert!(said.contains("--core /nowhere"), "{said}");
    }

    #[test]
    fn the_workspace_gets_a_member_and_a_dependency() {
        let manifest = fs::read_to_string(workspace::root().join("Cargo.toml")).unwrap();
        let declared = declare(&manifest, &Name::parse("tea-kettle").unwrap()).unwrap();
        let added: Vec<_> =
            declared.lines().filter(|line| !manifest.lines().any(|old| old == *line)).collect();
        let dependency = "virtio-tea-kettle = { path = \"virtio-tea-kettle\", version = \"0.1.0\", \
            default-features = false }";
        assert_eq!(added, ["    \"virtio-tea-kettle\", # device: tea kettle", dependency]);
        assert_eq!(declared.lines().count(), manifest.lines().count() + 2);
        let said = declare(&manifest, &Name::parse("gpu").unwrap()).unwrap_err().to_string();
        assert!(said.contains("virtio-gpu"), "{said}");
        assert!(declare("[workspace]\n", &Name::parse("kettle").unwrap()).is_err());
    }

    #[test]
    fn what_is_left_is_what_contributing_says() {
        let text = "# C\n\n## How to add a device\n\nWords.\n\n1. One.\n2. Two,\n   and more.\n9. Nine.\n\n## Licence\n\nx\n";
        assert_eq!(remaining(text, true).unwrap(), "2. Two,\n   and more.\n9. Nine.");
        assert_eq!(remaining(text, false).unwrap(), "2. Two,\n   and more.");
        assert_eq!(remaining("# C\n", true), None);
        let ours = fs::read_to_string(workspace::root().join("CONTRIBUTING.md")).unwrap();
        assert!(remaining(&ours, true).unwrap().contains("ledger"));
    }
}
