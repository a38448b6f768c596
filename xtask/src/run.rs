//! `cargo xtask run`: from nothing to a terminal on the screen.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::arch::Pair;
use crate::cli::RunOptions;
use crate::devices::Kind;
use crate::exec::{self, QUESTION_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::guest::{self, Guest};
use crate::kernel::{self, Kernel};
use crate::qemu::Display;
use crate::{setup, shell, stream, web, workspace};

/// How the terminal is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Show {
    /// In a window, by the toolkit of that name.
    Window(&'static str),
    /// As a picture, and as a shell on this terminal.
    Shell,
    /// As a picture only, and why, unless that was asked for.
    Picture(Option<&'static str>),
}

/// Runs as the command line says.
pub fn run(args: &[OsString]) -> Result {
    let folder = workspace::caller_folder()?;
    let options = RunOptions::parse(args, &folder)?;
    if let Some(pairs) = &options.list {
        println!("{}", Pair::list(pairs));
        return Ok(());
    }
    if options.timeout.is_zero() {
        // Nothing can be ready in no time: the end is known before anything is built.
        fail!("{}", guest::time_is_up(&options.name(), Duration::ZERO, "READY", b""));
    }
    if options.kvm {
        check_kvm(options.pair)?;
    }
    if options.defmt && !cfg!(feature = "defmt") {
        return run_again_with_decoder(args, &folder);
    }
    let toolchain = setup::ensure(options.pair.arch)?;
    let arch = options.pair.arch;
    let kernel = kernel::build(arch, &kernel::folder(arch), options.defmt, &toolchain)?;
    match show(&options) {
        Show::Picture(why) => {
            headless(&options, &kernel)?;
            if let Some(why) = why {
                eprintln!("only a picture, no window and no shell: {why}");
            }
            Ok(())
        }
        Show::Shell => interactive(&options, &kernel, &Display::None),
        Show::Window(toolkit) => interactive(&options, &kernel, &Display::Window(toolkit)),
    }
}

/// Where the picture goes.
pub fn picture_path(options: &RunOptions) -> PathBuf {
    options
        .screenshot
        .clone()
        .unwrap_or_else(|| workspace::pictures().join(format!("{}.png", options.file_name())))
}

/// Boots, types, takes the picture, powers off; or stays, for the sake of the page that the kernel serves.
fn headless(options: &RunOptions, kernel: &Kernel) -> Result {
    let mut guest = Guest::boot(options, kernel, &Display::None)?;
    picture(&mut guest, options)?;
    match guest.backends.web {
        Some(port) if options.screenshot.is_none() && stream::serves(&guest.serial.received()) => {
            // Fetched once from here: the address is printed when it works.
            let page = web::get(port, "/", guest.left())?;
            if page.status != 200 {
                fail!("{} answers {}", web::url(port), page.status);
            }
            for hint in guest.backends.hints() {
                eprintln!("{hint}");
            }
            println!("{}", web::url(port));
            guest.stay(options.ends.then_some(options.timeout))
        }
        _ => guest.power_off(),
    }
}

/// Boots, types, takes the picture; then the person is on, until the kernel or QEMU ends.
fn interactive(options: &RunOptions, kernel: &Kernel, display: &Display) -> Result {
    let mut guest = Guest::boot(options, kernel, display)?;
    picture(&mut guest, options)?;
    if *display == Display::None {
        let gui = if setup::has_display() { "; QEMU's own windows are not installed" } else { "" };
        eprintln!("no window{gui}. The kernel's shell is below: `help` lists what it can, `off` ends it");
    }
    for hint in guest.backends.hints() {
        eprintln!("{hint}");
    }
    shell::attach(&guest.serial)?;
    guest.wait_end()
}

fn picture(guest: &mut Guest, options: &RunOptions) -> Result {
    guest.wait_ready()?;
    // What the kernel has to say of it stands before the screen's text, so no picture shows it.
    let received = guest.serial.received();
    if let Some(bytes) = stream::plain(&received).lines().find(|line| line.starts_with("rng: ")) {
        println!("{bytes}");
    }
    if let Some(text) = &options.text {
        guest.command(text)?;
    }
    let path = picture_path(options);
    if options.devices.has(Kind::Gpu) {
        guest.screenshot()?.save(&path)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn show(options: &RunOptions) -> Show {
    if options.headless {
        return Show::Picture(None);
    }
    if workspace::in_ci() {
        return Show::Picture(Some("this is CI (the variable CI is set)"));
    }
    let display = setup::has_display();
    if display {
        let toolkits =
            exec::quiet(Command::new(options.pair.arch.qemu()).args(["-display", "help"]), QUESTION_LIMIT)
                .map(|answer| answer.stdout)
                .unwrap_or_default();
        if let Some(toolkit) = toolkit(&toolkits) {
            return Show::Window(toolkit);
        }
    }
    without_window(std::io::stdin().is_terminal() && std::io::stdout().is_terminal(), display)
}

/// What is left where no window can be had.
fn without_window(terminal: bool, display: bool) -> Show {
    match (terminal, display) {
        (true, _) => Show::Shell,
        (false, false) => Show::Picture(Some(
            "there is no display (DISPLAY and WAYLAND_DISPLAY are empty), and input or output is no terminal",
        )),
        (false, true) => {
            Show::Picture(Some("QEMU's own windows are not installed, and input or output is no terminal"))
        }
    }
}

/// The best of the window toolkits that QEMU lists.
fn toolkit(list: &str) -> Option<&'static str> {
    ["cocoa", "gtk", "sdl"].into_iter().find(|name| list.lines().any(|line| line.trim() == *name))
}

fn check_kvm(pair: Pair) -> Result {
    if pair.arch.name() != std::env::consts::ARCH {
        fail!("--accel kvm: this host's processor is {}, not {}", std::env::consts::ARCH, pair.arch.name());
    }
    // What QEMU will do; opening it proves the rights.
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .context("--accel kvm: /dev/kvm")
        .map(drop)
}

/// Runs this same command with the slow-to-build decoder compiled in.
fn run_again_with_decoder(args: &[OsString], folder: &std::path::Path) -> Result {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).args([
        "build",
        "--quiet",
        "--package",
        "xtask",
        "--features",
        "defmt",
    ]);
    let label = "building the defmt decoder";
    exec::run(&mut cargo, label, exec::BUILD_LIMIT)?.success(label)?;
    let status = Command::new("cargo")
        .current_dir(workspace::root())
        .env("XTASK_CALLED_FROM", folder)
        .args(["run", "--quiet", "--package", "xtask", "--features", "defmt", "--", "run"])
        .args(args)
        .status()
        .context("xtask with the defmt decoder")?;
    // It has said itself what was wrong.
    if status.success() { Ok(()) } else { std::process::exit(status.code().unwrap_or(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolkit_that_qemu_has_is_taken() {
        let list = "Available display backend types:\nnone\ngtk\nsdl\nspice-app\ndbus\n";
        assert_eq!(toolkit(list), Some("gtk"));
        assert_eq!(toolkit("none\ndbus\n"), None);
        assert_eq!(toolkit("gtk-less\n"), None);
    }

    #[test]
    fn a_picture_nobody_asked_for_says_why() {
        assert_eq!(show(&RunOptions { headless: true, ..RunOptions::default() }), Show::Picture(None));
        assert_eq!(without_window(true, false), Show::Shell);
        for (display, word) in [(false, "display"), (true, "windows")] {
            let Show::Picture(Some(why)) = without_window(false, display) else { panic!("{display}") };
            assert!(why.contains(word) && why.contains("terminal"), "{why}");
        }
    }

    #[test]
    fn the_default_picture_is_named_after_the_pair() {
        let path = picture_path(&RunOptions::default());
        assert!(path.ends_with("target/demo/aarch64-mmio-legacy.png"), "{}", path.display());
    }
}
