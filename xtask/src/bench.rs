//! `cargo xtask bench`: measures, beside the peers. The programs are those of `benches/`, a workspace of its own.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use crate::arch::Arch;
use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::setup::{self, packages::Manager};
use crate::workspace::{self, find_program};

const WHAT: &str = "\
cargo xtask bench ring [--rounds N]         the virtqueue: instructions, time and kicks beside a ring by hand and the peers;
                                            table, target/bench/ring.tsv and target/bench/ring.png
cargo xtask bench kick                      register accesses per kick and per interrupt, per transport, beside virtio-drivers;
                                            table and target/bench/kick.tsv; x86_64 Linux only, for it single-steps
cargo xtask bench blk [--rounds N]          reads of a disk in a kernel: guest instructions per request, and requests per second
                                            beside virtio-drivers in the same kernel; table, target/bench/blk.tsv and .png
cargo xtask bench net [--rounds N]          packets to and from a process of the host, likewise; target/bench/net.tsv and .png
cargo xtask bench size                      kernels that read one block: packages, cold build, bytes; target/bench/size.tsv
cargo xtask bench where blk|net WHO ROW     where the instructions of a row of those are; WHO and ROW as in blk.tsv, net.tsv
cargo xtask bench vhost-user [--rounds N]   reads of a disk of qemu-storage-daemon, no guest: reads per second and instructions
                                            beside libblkio's virtio-driver; target/bench/vhost-user.tsv and .png; Linux only
cargo xtask bench vhost-user profile WHO ROW  where the instructions of a row of that are; WHO and ROW as in vhost-user.tsv
cargo xtask bench profile CONTESTANT ROW    where its instructions are, by function and by line
cargo xtask bench names                     contestants and rows";

/// Measures what the command line names.
pub fn verb(args: &[OsString]) -> Result {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    let mut program = "ring";
    let mut package = "benches";
    // What building for the kernels' target takes, if anything.
    let mut environment = Vec::new();
    let arguments = match words.as_slice() {
        [] => {
            println!("{WHAT}");
            return Ok(());
        }
        ["kick"] => {
            program = "kick";
            vec![OsString::from("--out"), workspace::target().join("bench").into()]
        }
        ["blk" | "net", "--rounds", _] | ["blk" | "net" | "size"] | ["where", "blk" | "net", _, _] => {
            program = "guest";
            environment = ensure_guests()?;
            let plain = if words.first() == Some(&"where") { words.len() } else { 1 };
            let (plain, rest) = args.split_at(plain);
            let folder = [OsString::from("--out"), workspace::target().join("bench").into()];
            plain.iter().cloned().chain(folder).chain(rest.iter().cloned()).collect()
        }
        ["vhost-user", "--rounds", _] | ["vhost-user"] | ["vhost-user", "profile", _, _] => {
            (program, package) = ("vhost-user-bench", "benches/vhost-user");
            ensure_valgrind()?;
            let folder = [OsString::from("--out"), workspace::target().join("bench").into()];
            let profile = words.contains(&"profile");
            let own = folder.into_iter().filter(|_| !profile);
            own.chain(args.iter().skip(1).cloned()).collect()
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
    cargo.arg(workspace::root().join(package).join("Cargo.toml"));
    // Beside the other output, not in the tree.
    cargo.arg("--target-dir").arg(workspace::target().join("benches"));
    cargo.args(["--bin", program, "--"]).args(arguments).envs(environment);
    exec::attached(&mut cargo, "the measurement", BUILD_LIMIT)
}

/// QEMU and a compiler for the kernels; what the compiler needs in the environment.
fn ensure_guests() -> Result<Vec<(OsString, OsString)>> {
    let toolchain = setup::ensure(Arch::Aarch64)?;
    let cargo = toolchain.cargo(&workspace::root(), "build", Arch::Aarch64.target());
    let set = |(name, value): (&OsStr, Option<&OsStr>)| Some((name.to_owned(), value?.to_owned()));
    Ok(cargo.get_envs().filter_map(set).collect())
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
            ("blk --fast", "alone"),
            ("size --rounds 3", "alone"),
            ("vhost-user --fast", "alone"),
            ("where disk ours row", "alone"),
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
