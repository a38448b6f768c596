//! Register accesses per kick and per interrupt: `kick --out FOLDER` prints the table and writes `kick.tsv`.
//!
//! The registers of a made-up device lie in pages that nobody may touch: each access faults, is counted by the fault's
//! handler, let through by a single step, and counted no matter whose code it came from ([`trap`]). So ours and
//! `virtio-drivers` 0.13 run unchanged, over the same pages, and are counted alike. Accesses to configuration space are calls
//! on both sides, and counted as such ([`function`]).
//!
//! What is counted is exact and does not depend on the machine; but only x86_64 Linux can count it like that.

use std::process::ExitCode;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod function;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod incumbent;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod kernel;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod ours;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod show;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod trap;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["--out", folder] => run(std::path::Path::new(folder)),
        _ => Err("usage: kick --out FOLDER".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn run(_: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    Err("register accesses are counted by single-stepping, which this program does on x86_64 Linux only"
        .into())
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn run(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    trap::install()?;
    trap::prove()?;
    let (ours, theirs) = (ours::all()?, incumbent::all()?);
    let tsv = folder.join("kick.tsv");
    std::fs::create_dir_all(folder)?;
    std::fs::write(&tsv, show::tsv(&ours, &theirs))?;
    println!("{}\n{}", show::text(&ours, &theirs), tsv.display());
    show::check(&ours)?;
    Ok(())
}
