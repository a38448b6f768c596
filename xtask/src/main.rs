//! The one entry point: builds, runs and tests everything here. `cargo xtask help` tells how.

#[cfg(not(unix))]
compile_error!("QEMU is driven over Unix sockets here: on Windows, use WSL 2");

mod arch;
mod backends;
mod bench;
mod ci;
mod cli;
mod conformance;
#[cfg(feature = "defmt")]
mod defmt;
mod devices;
mod disk;
mod elf;
mod exec;
mod failure;
mod fuzz;
mod guest;
mod kernel;
mod keys;
mod loom;
mod miri;
mod new_device;
mod nightly;
mod picture;
mod pixels;
mod process;
mod progress;
mod qemu;
mod qmp;
mod report;
mod run;
mod serial;
mod setup;
mod shell;
mod stack;
mod stream;
mod stress;
mod symbols;
mod test;
mod web;
mod workspace;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use arch::Arch;
use failure::{Context, Result, fail};
use test::Part;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[OsString]) -> Result {
    let (verb, rest) = args.split_first().context("a verb is missing; `cargo xtask help` lists them")?;
    let asks_for_help = |arg: &OsString| arg == "--help" || arg == "-h";
    let verb = match rest.split(|arg| arg == "--").next() {
        Some(ours) if ours.iter().any(asks_for_help) => "help",
        _ => verb.to_str().unwrap_or_default(),
    };
    match verb {
        "run" => run::run(rest),
        "test" => test::verb(&Part::parse(rest)?),
        "ci" => nothing_behind(rest).and_then(|()| ci::verb()),
        "miri" => nothing_behind(rest).and_then(|()| miri::verb()),
        "loom" => nothing_behind(rest).and_then(|()| loom::verb()),
        "fuzz" => fuzz::verb(rest),
        "stack" => nothing_behind(rest).and_then(|()| stack::verb()),
        "stress" => stress::verb(rest),
        "bench" => bench::verb(rest),
        "conformance" => conformance::verb(rest),
        "new-device" => new_device::verb(rest),
        "setup" => set_up(rest),
        "help" | "--help" | "-h" => {
            // Whoever reads only the beginning closes the pipe.
            let _ = writeln!(std::io::stdout(), "{}", cli::HELP);
            Ok(())
        }
        other => fail!("there is no verb {other:?}; `cargo xtask help` lists them"),
    }
}

fn set_up(args: &[OsString]) -> Result {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    let archs = match words.as_slice() {
        [] => Arch::ALL.to_vec(),
        ["--arch", name] => vec![Arch::parse(name).context(format!("there is no architecture {name:?}"))?],
        _ => fail!("setup takes --arch ARCH or nothing"),
    };
    for arch in archs {
        setup::ensure(arch)?;
        eprintln!("{}: compiler, linker and QEMU are here", arch.name());
    }
    Ok(())
}

fn nothing_behind(args: &[OsString]) -> Result {
    match args.first() {
        None => Ok(()),
        Some(arg) => fail!("{} is not understood here", arg.display()),
    }
}
