//! Finds what is needed, and fetches what is missing: QEMU, a compiler for the target, a linker.

pub mod packages;
pub mod toolchain;

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use crate::arch::Arch;
use crate::failure::{Context, Result};
use crate::workspace::{self, find_program};
use packages::{Manager, Need};
use toolchain::Toolchain;

/// Has everything ready to build and run kernels of `arch`; returns how to build them.
pub fn ensure(arch: Arch) -> Result<Toolchain> {
    // QEMU first: where nothing may be installed, nothing is fetched in vain.
    ensure_qemu(arch)?;
    toolchain::ensure(arch.target())
}

/// Has QEMU for `arch`, firmware included.
pub fn ensure_qemu(arch: Arch) -> Result {
    if find_program(arch.qemu()).is_none() {
        let mut needs = vec![Need::Qemu(arch)];
        if has_display() && !workspace::in_ci() {
            needs.push(Need::QemuWindow);
        }
        packages::install(&needs, &format!("{} is missing", arch.qemu()))?;
        find_program(arch.qemu()).context(format!("{} is still missing after installing it", arch.qemu()))?;
    }
    // Some distributions have OpenSBI apart from QEMU.
    let firmware = Path::new("/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin");
    if arch == Arch::Riscv64 && Manager::find() == Some(Manager::Apt) && !firmware.exists() {
        packages::install(&[Need::OpenSbi], "QEMU's RISC-V firmware is missing")?;
    }
    Ok(())
}

/// Whether windows can be shown.
pub fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Asks `question` on a terminal; where nobody can answer, the answer is yes.
pub fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() || workspace::in_ci() {
        return true;
    }
    let mut terminal = std::io::stderr();
    let asked = write!(terminal, "{question} [Y/n] ").and_then(|()| terminal.flush());
    let mut answer = String::new();
    asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer)).is_ok_and(|len| len > 0)
        && is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn enter_alone_is_yes() {
        for (answer, yes) in
            [("\n", true), ("Y\n", true), ("yes\n", true), ("n\n", false), ("what?\n", false)]
        {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
