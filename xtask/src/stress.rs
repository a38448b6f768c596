//! `cargo xtask stress`: driver and device on two threads, over one real ring; a notification that is lost stops both.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use lexopt::prelude::*;

use crate::failure::{Result, fail};
use crate::{cli, exec, workspace};

/// What a night has time for.
const REQUESTS: u64 = 50_000_000;
/// A minute for building, and far more than a request takes: a stopped run ends here at the latest.
const PER_MILLION: Duration = Duration::from_secs(300);
const BUILDING: Duration = Duration::from_secs(600);

/// Runs as the command line says.
pub fn verb(args: &[OsString]) -> Result {
    run(parse(args)?)
}

/// Runs so many requests.
pub fn run(requests: u64) -> Result {
    let manifest = workspace::root().join("benches/Cargo.toml");
    if !manifest.is_file() {
        fail!("{} is missing: the stress test is a program of that package", manifest.display());
    }
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace::root())
        .args(["run", "--release", "--locked", "--manifest-path"])
        .arg(manifest);
    cargo.arg("--target-dir").arg(workspace::target().join("benches"));
    cargo.args(["--bin", "stress", "--", "--requests", &requests.to_string()]);
    exec::attached(&mut cargo, "the stress test", limit(requests))
}

fn limit(requests: u64) -> Duration {
    let millions = u32::try_from(requests.div_ceil(1_000_000)).unwrap_or(u32::MAX);
    PER_MILLION.saturating_mul(millions).saturating_add(BUILDING)
}

fn parse(args: &[OsString]) -> Result<u64> {
    let mut requests = REQUESTS;
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next().map_err(crate::failure::Failure::new)? {
        match arg {
            Long("requests") => requests = cli::number(&mut parser, "--requests")?,
            other => fail!("{}; stress takes --requests N", other.unexpected()),
        }
    }
    if requests == 0 {
        fail!("--requests 0: nothing would be tested");
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<u64> {
        super::parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_number_of_requests_can_be_said() {
        assert_eq!(parse("").unwrap(), REQUESTS);
        assert_eq!(parse("--requests 2000000").unwrap(), 2_000_000);
        for (line, word) in
            [("--requests many", "many"), ("--requests 0", "0"), ("--fast", "--fast"), ("5", "5")]
        {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(word), "{line}: {said}");
        }
    }

    #[test]
    fn more_requests_have_more_time() {
        assert_eq!(limit(1), BUILDING + PER_MILLION);
        assert_eq!(limit(2_000_000), BUILDING + PER_MILLION * 2);
        assert!(limit(u64::MAX) > limit(REQUESTS));
    }
}
