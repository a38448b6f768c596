//! `cargo xtask bench`: measures, beside the peers. The programs are those of `benches/`, a workspace of its own.

use std::ffi::OsString;
use std::process::Command;

use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::setup::packages::Manager;
use crate::workspace::{self, find_program};

const WHAT: &str = "\
cargo xtask bench ring [--rounds N]         the virtqueue: instructions, time and kicks beside a ring by hand and the peers;
                                            table, target/bench/ring.tsv and target/bench/ring.png
cargo xtask bench kick                      register accesses per kick and per interrupt, per transport, beside virtio-drivers;
                                            table and target/bench/kick.tsv; x86_64 Linux only, for it single-steps
cargo xtask bench profile CONTESTANT ROW    where its instructions are, by function and by line
cargo xtask bench names                     contestants and rows";

/// Measures what the command line names.
pub fn verb(args: &[OsString]) -> Result {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    let mut program = "ring";
    let arguments = match words.as_slice() {
        [] => {
            println!("{WHAT}");
            return Ok(());
        }
        ["kick"] => {
            program = "kick";
            vec![OsString::from("--out"), workspace::target().join("bench").into()]
        }
        ["names"] => vec![OsString::from("names")],
        ["profile", _, _] => {
            ensure_valgrind()?;
            args.to_vec()
        }
        ["ring", options @ ..] => {
            if !matches!(options, [] | ["--rounds", _]) {
                fail!("bench ring takes --rounds N or nothing");
            }
            ensure_valgrind()?;
            let folder = workspace::target().join("bench");
            let own = [OsString::from("--out"), folder.into()];
            own.into_iter().chain(args.iter().skip(1).cloned()).collect()
        }
        [other, ..] => {
            fail!("bench cannot do {other:?} like that; `cargo xtask bench` alone says what there is")
        }
    };
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).args(["run", "--release", "--locked", "--manifest-path"]);
    cargo.arg(workspace::root().join("benches").join("Cargo.toml"));
    // Beside the other output, not in the tree.
    cargo.arg("--target-dir").arg(workspace::target().join("benches"));
    cargo.args(["--bin", program, "--"]).args(arguments);
    exec::attached(&mut cargo, "the measurement", BUILD_LIMIT)
}

/// Valgrind counts the instructions; where it is missing, nothing is measured.
fn ensure_valgrind() -> Result {
    find_program("valgrind").map(drop).context(missing(Manager::find()))
}

/// What to type.
fn missing(manager: Option<Manager>) -> String {
    let how = match manager {
        Some(Manager::Apt) => "type: sudo apt-get install --no-install-recommends valgrind",
        Some(Manager::Dnf) => "type: sudo dnf install valgrind",
        Some(Manager::Pacman) => "type: sudo pacman -S --needed valgrind",
        Some(Manager::Brew) => "type: brew install valgrind (on Linux; there is none for current macOS)",
        None => "install it by hand",
    };
    format!("valgrind, which counts instructions, is missing; {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        verb(&words).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for (line, word) in [
            ("disk", "disk"),
            ("ring --fast", "--rounds"),
            ("kick --rounds", "alone"),
            ("profile ours-raw", "alone"),
        ] {
            assert!(said(line).contains(word), "{line}: {}", said(line));
        }
    }

    #[test]
    fn a_missing_valgrind_is_named_with_the_command() {
        assert!(missing(Some(Manager::Apt)).ends_with("apt-get install --no-install-recommends valgrind"));
        for manager in [Manager::Apt, Manager::Dnf, Manager::Pacman, Manager::Brew] {
            assert!(missing(Some(manager)).contains("install") || manager == Manager::Pacman, "{manager:?}");
        }
        assert!(missing(None).contains("by hand"));
    }
}
