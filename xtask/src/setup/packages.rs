//! The system's packages: their names, and installing them where we may.

use std::io::IsTerminal;
use std::process::Command;
use std::time::Duration;

use crate::arch::Arch;
use crate::exec::{self, QUESTION_LIMIT};
use crate::failure::{Result, fail};
use crate::workspace::find_program;

/// Something the system's package manager has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// QEMU for one architecture.
    Qemu(Arch),
    /// QEMU's windows.
    QemuWindow,
    /// QEMU's RISC-V firmware.
    OpenSbi,
    /// A linker for all targets.
    Lld,
    /// A C++ compiler.
    Cxx,
    /// The distribution's own Rust, new enough, with the sources of its library.
    DistributionRust,
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora.
    Dnf,
    /// Arch.
    Pacman,
    /// Homebrew.
    Brew,
}

/// For fetching packages; installing them comes on top.
const FETCH_SECONDS: u32 = 600;
const INSTALL_SECONDS: u32 = 900;
const INSTALL_LIMIT: Duration = Duration::from_secs(INSTALL_SECONDS as u64);

impl Manager {
    /// The one of this system.
    pub fn find() -> Option<Self> {
        let known =
            [(Self::Apt, "apt-get"), (Self::Dnf, "dnf"), (Self::Pacman, "pacman"), (Self::Brew, "brew")];
        known.into_iter().find(|(_, program)| find_program(program).is_some()).map(|(manager, _)| manager)
    }

    /// The packages for `need`, best first: the first that exists is enough. Empty where there is none.
    fn packages(self, need: Need) -> &'static [&'static str] {
        match (self, need) {
            (Self::Apt, Need::Qemu(Arch::Aarch64)) => &["qemu-system-arm"],
            // Newer releases have RISC-V apart from the rest.
            (Self::Apt, Need::Qemu(Arch::Riscv64)) => &["qemu-system-riscv", "qemu-system-misc"],
            (Self::Apt, Need::Qemu(Arch::X86_64)) => &["qemu-system-x86"],
            (Self::Apt, Need::QemuWindow) => &["qemu-system-gui"],
            (Self::Apt, Need::OpenSbi) => &["opensbi"],
            (Self::Apt, Need::DistributionRust) => &["rustc-web cargo-web rust-web-src"],
            (Self::Dnf, Need::Qemu(Arch::Aarch64)) => &["qemu-system-aarch64"],
            (Self::Dnf, Need::Qemu(Arch::Riscv64)) => &["qemu-system-riscv"],
            (Self::Dnf, Need::Qemu(Arch::X86_64)) => &["qemu-system-x86"],
            (Self::Dnf, Need::DistributionRust) => &["rust cargo rust-src"],
            (Self::Pacman, Need::Qemu(Arch::Aarch64)) => &["qemu-system-aarch64"],
            (Self::Pacman, Need::Qemu(Arch::Riscv64)) => &["qemu-system-riscv"],
            (Self::Pacman, Need::Qemu(Arch::X86_64)) => &["qemu-system-x86"],
            (Self::Pacman, Need::QemuWindow) => &["qemu-ui-gtk"],
            (Self::Pacman, Need::DistributionRust) => &["rust rust-src"],
            (Self::Brew, Need::Qemu(_)) => &["qemu"],
            (Self::Brew, Need::DistributionRust) => &["rustup"],
            (_, Need::Lld) => &["lld"],
            (Self::Apt, Need::Cxx) => &["g++"],
            (Self::Dnf, Need::Cxx) => &["gcc-c++"],
            (Self::Pacman | Self::Brew, Need::Cxx) => &["gcc"],
            (Self::Dnf | Self::Brew, Need::QemuWindow) | (_, Need::OpenSbi) => &[],
        }
    }

    /// The line a person types to install `packages`.
    fn command(self, packages: &[&str]) -> String {
        let packages = packages.join(" ");
        match self {
            Self::Apt => format!("sudo apt-get install --no-install-recommends {packages}"),
            Self::Dnf => format!("sudo dnf install {packages}"),
            Self::Pacman => format!("sudo pacman -S --needed {packages}"),
            Self::Brew => format!("brew install {packages}"),
        }
    }
}

/// Installs what `needs` name, or says why it cannot and what to type.
///
/// `why` says what is missing. Only apt is ever run by us.
pub fn install(needs: &[Need], why: &str) -> Result {
    let Some(manager) = Manager::find() else {
        fail!("{why}, and no known package manager is here: install {needs:?} by hand");
    };
    let first: Vec<_> = needs.iter().filter_map(|&need| manager.packages(need).first().copied()).collect();
    if first.is_empty() {
        return Ok(());
    }
    if manager != Manager::Apt {
        fail!("{why}; install it with: {}", manager.command(&first));
    }
    let Some(root) = become_root() else {
        fail!("{why} and there are no rights to install it; type: {}", manager.command(&chosen(needs)));
    };
    if !super::agreed(&format!("{why}. Install {} with apt?", first.join(" "))) {
        fail!("{why}; install it with: {}", manager.command(&first));
    }
    eprintln!("{why}: installing it with apt");
    if root == Root::Sudo {
        // Asks for the password, if it must, while no progress is drawn over the question.
        exec::attached(Command::new("sudo").arg("-v"), "sudo", INSTALL_LIMIT)?;
    }
    // Old lists are no reason to stop, they only may not know the newest package.
    if let Err(failure) = apt(root, FETCH_SECONDS, &["update"]) {
        eprintln!("apt-get update: {failure}");
    }
    let packages: Vec<_> = chosen(needs).into_iter().flat_map(str::split_whitespace).collect();
    let arguments = |download: bool| -> Vec<&str> {
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        if download {
            arguments.push("--download-only");
        }
        arguments.extend(&packages);
        arguments
    };
    // In two steps: a download may be cut off at any moment, an installation should not.
    apt(root, FETCH_SECONDS, &arguments(true))
        .and_then(|()| apt(root, INSTALL_SECONDS, &arguments(false)))
        .or_else(|failure| fail!("{failure}; type: {}", manager.command(&packages)))
}

/// For each need the best package that apt knows.
fn chosen(needs: &[Need]) -> Vec<&'static str> {
    let choose = |&need: &Need| {
        let candidates = Manager::Apt.packages(need);
        candidates.iter().find(|names| apt_knows(names)).or(candidates.last()).copied()
    };
    needs.iter().filter_map(choose).collect()
}

fn apt_knows(names: &str) -> bool {
    let mut query = Command::new("apt-cache");
    query.args(["show", "--no-all-versions"]).args(names.split_whitespace());
    // The status alone is no proof: names that others provide are "known" too.
    exec::quiet(&mut query, QUESTION_LIMIT)
        .is_ok_and(|answer| answer.status.success() && answer.stdout.contains("Package: "))
}

/// How we get the rights to install.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Already,
    Sudo,
}

fn become_root() -> Option<Root> {
    let id = exec::quiet(Command::new("id").arg("-u"), QUESTION_LIMIT).ok()?;
    if id.stdout.trim() == "0" {
        return Some(Root::Already);
    }
    find_program("sudo")?;
    // On a terminal it can ask for the password, elsewhere it must need none.
    let may = std::io::stdin().is_terminal()
        || exec::quiet(Command::new("sudo").args(["-n", "true"]), QUESTION_LIMIT)
            .is_ok_and(|o| o.status.success());
    may.then_some(Root::Sudo)
}

fn apt(root: Root, seconds: u32, arguments: &[&str]) -> Result {
    // `timeout` is part of every Debian, and as root it may end what we may not.
    let limit = seconds.to_string();
    let mut command = match root {
        Root::Already => Command::new("timeout"),
        Root::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.arg("timeout");
            sudo
        }
    };
    command
        .args(["--kill-after=20", &limit, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"])
        .args([
            "-o",
            "Acquire::Retries=2",
            "-o",
            "Acquire::http::Timeout=30",
            "-o",
            "Acquire::https::Timeout=30",
        ])
        .args(["-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0"])
        .args(arguments);
    let what = format!("apt-get {}", arguments.join(" "));
    let outcome = exec::run(&mut command, &what, Duration::from_secs(u64::from(seconds) + 60))?;
    outcome.success(&what).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANAGERS: [Manager; 4] = [Manager::Apt, Manager::Dnf, Manager::Pacman, Manager::Brew];

    #[test]
    fn every_manager_has_qemu_for_every_architecture() {
        for manager in MANAGERS {
            for arch in Arch::ALL {
                assert!(!manager.packages(Need::Qemu(arch)).is_empty(), "{manager:?} {arch:?}");
            }
        }
    }

    #[test]
    fn every_manager_has_a_cxx_compiler() {
        assert!(MANAGERS.iter().all(|manager| !manager.packages(Need::Cxx).is_empty()));
    }

    #[test]
    fn the_command_can_be_typed() {
        let line = |manager: Manager| manager.command(manager.packages(Need::Qemu(Arch::Aarch64)));
        assert_eq!(line(Manager::Apt), "sudo apt-get install --no-install-recommends qemu-system-arm");
        assert_eq!(line(Manager::Dnf), "sudo dnf install qemu-system-aarch64");
        assert_eq!(line(Manager::Pacman), "sudo pacman -S --needed qemu-system-aarch64");
        assert_eq!(line(Manager::Brew), "brew install qemu");
    }
}
