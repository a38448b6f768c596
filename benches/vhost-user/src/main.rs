//! Measures our disk driver beside libblkio's `virtio-driver` 0.6, on disks of one qemu-storage-daemon, over vhost-user:
//! `vhost-user-bench --out FOLDER` prints the table and writes `vhost-user.tsv` and `vhost-user.png`.
//!
//! * who is measured: [`contestant`], [`ours`], [`theirs`]; on which disk: [`disk`]
//! * what is measured: [`row`]; in which loop: [`drive`]
//! * how: [`clock`] takes the time, [`profile`] counts instructions, [`results`] collects, [`table`] and [`plot`] show
//!
//! It takes two processors that have nothing else to do; the instructions are the same on any.

#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod contestant;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod drive;
#[cfg(target_os = "linux")]
mod ours;
#[cfg(target_os = "linux")]
mod plot;
#[cfg(target_os = "linux")]
#[path = "../../src/profile.rs"]
mod profile;
#[cfg(target_os = "linux")]
mod results;
#[cfg(target_os = "linux")]
mod row;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod theirs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run(args: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    cli::run(args)
}

#[cfg(not(target_os = "linux"))]
fn run(_: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    Err("vhost-user shares memory by memfd and signals by eventfd, which only Linux has".into())
}
