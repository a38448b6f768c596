//! `cargo xtask fuzz`: the targets of `fuzz/`, each for so many seconds, from the seeds that are kept beside them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lexopt::prelude::*;

use crate::exec::{self, BUILD_LIMIT, Outcome, QUESTION_LIMIT};
use crate::failure::{Context, Failure, Result, fail};
use crate::report::Report;
use crate::setup::packages::{self, Need};
use crate::workspace::find_program;
use crate::{cli, nightly, setup, workspace};

/// The cargo-fuzz that is fetched where there is none.
const VERSION: &str = "0.13.2";
/// How long the verb fuzzes each target.
const SECONDS: u64 = 60;
/// How long CI does.
pub const CI_SECONDS: u64 = 10;
/// Seconds that one input may take: the devices are made of closures and the clocks are virtual.
const INPUT_SECONDS: u64 = 20;

/// What `fuzz` can be told.
#[derive(Debug, PartialEq)]
struct Options {
    seconds: u64,
    target: Option<String>,
    /// Run this input and no other.
    input: Option<PathBuf>,
}

/// Runs as the command line says, and prints the closing line.
pub fn verb(args: &[OsString]) -> Result {
    let options = parse(args, &workspace::caller_folder()?)?;
    let targets = targets(&folder())?;
    let chosen: Vec<_> = match &options.target {
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => fail!("there is no fuzz target {name:?}; there is {}", targets.join(", ")),
        None => targets,
    };
    let mut report = Report::default();
    match &options.input {
        Some(input) => replay(&chosen.concat(), input, &mut report),
        None => fuzz(&chosen, options.seconds, &mut report),
    }
    report.close()
}

/// Fuzzes every target for so many seconds, and counts.
pub fn run(seconds: u64, report: &mut Report) {
    if let Some(targets) = report.value("targets of fuzz/", || targets(&folder())) {
        fuzz(&targets, seconds, report);
    }
}

fn fuzz(targets: &[String], seconds: u64, report: &mut Report) {
    if report.value("nightly with cargo-fuzz", ensure).is_none() {
        return;
    }
    for target in targets {
        if report.value(&format!("building the fuzz target {target}"), || build(target)).is_none() {
            continue;
        }
        let name = format!("fuzzing {target} for {seconds} s");
        if let Some(runs) = report.value(&name, || fuzz_one(target, seconds)) {
            println!("        {runs} runs");
        }
    }
}

fn replay(target: &str, input: &Path, report: &mut Report) {
    if report.value("nightly with cargo-fuzz", ensure).is_none() {
        return;
    }
    report.check(&format!("{target} with {}", input.display()), || {
        std::fs::metadata(input).context(input.display())?;
        build(target)?;
        let mut cargo = cargo_fuzz("run", &[target]);
        cargo.arg(input);
        let label = format!("replaying {}", input.display());
        let outcome = exec::run(&mut cargo, &label, Duration::from_secs(INPUT_SECONDS + 60))?;
        verdict(target, outcome, Some(input)).map(drop)
    });
}

fn build(target: &str) -> Result {
    let label = format!("building the fuzz target {target}");
    exec::run(&mut cargo_fuzz("build", &[target]), &label, BUILD_LIMIT)?.success(&label).map(drop)
}

/// Answers how many inputs were tried.
fn fuzz_one(target: &str, seconds: u64) -> Result<u64> {
    let seeds = folder().join("seeds").join(target);
    let any_seed = std::fs::read_dir(&seeds).is_ok_and(|mut entries| entries.next().is_some());
    if !any_seed {
        fail!("{} has no seeds; what fuzz/corpus/{target} has found is a start", seeds.display());
    }
    // New finds go to the first folder, which is nobody's but this machine's.
    let corpus = folder().join("corpus").join(target);
    std::fs::create_dir_all(&corpus).context(corpus.display())?;
    let mut cargo = cargo_fuzz("run", &[target]);
    cargo.arg(&corpus).arg(&seeds).arg("--").args(limits(seconds));
    let label = format!("fuzzing {target}");
    let outcome = exec::run(&mut cargo, &label, Duration::from_secs(seconds.saturating_add(300)))?;
    let said = verdict(target, outcome, None)?;
    match executions(&said) {
        Some(runs @ 1..) => Ok(runs),
        _ => fail!("libFuzzer does not say that it tried anything"),
    }
}

fn limits(seconds: u64) -> [String; 3] {
    [
        // 0 would be for ever.
        format!("-max_total_time={}", seconds.max(1)),
        format!("-timeout={INPUT_SECONDS}"),
        "-print_final_stats=1".to_owned(),
    ]
}

/// What libFuzzer said, or the failure that an input has shown: where it lies, and how to see it again.
fn verdict(target: &str, outcome: Outcome, replayed: Option<&Path>) -> Result<String> {
    if outcome.status.success() {
        return Ok(outcome.stderr);
    }
    eprintln!("{}", complaint(&outcome.stderr));
    let input = match (artifact(&outcome.stderr), replayed) {
        (_, Some(replayed)) => replayed.display().to_string(),
        (Some(written), None) => written.to_owned(),
        (None, None) => fail!("{}, and no input was written", outcome.status),
    };
    fail!(
        "{}; the input is {input}; to see it again: cargo xtask fuzz {target} {input}",
        cause(&outcome.stderr)
    )
}

/// The file with the input that failed.
fn artifact(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, file)| file.trim())
}

/// What was said from the first complaint on.
fn complaint(said: &str) -> String {
    let lines: Vec<_> = said.lines().collect();
    let first = lines.iter().position(|line| is_complaint(line)).unwrap_or(lines.len().saturating_sub(20));
    lines.get(first..).unwrap_or_default().join("\n")
}

/// The complaint in one line: of a panic, the message stands on the line behind.
fn cause(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !is_complaint(line));
    let first = lines.next().unwrap_or("no complaint was found").trim();
    if first.contains(" panicked at ") {
        return format!("{first} {}", lines.next().unwrap_or_default().trim());
    }
    first.to_owned()
}

fn is_complaint(line: &str) -> bool {
    line.contains(" panicked at ") || line.contains("ERROR: ")
}

/// How many inputs were tried, as the final statistics say.
fn executions(said: &str) -> Option<u64> {
    let value = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    value.trim().parse().ok()
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

/// The names of the targets: one a file.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let entries = std::fs::read_dir(&folder).context(folder.display())?;
    let name = |path: PathBuf| {
        let is_rust = path.extension() == Some(OsStr::new("rs"));
        path.file_stem().filter(|_| is_rust).map(|name| name.to_string_lossy().into_owned())
    };
    let mut names: Vec<_> = entries.filter_map(|entry| name(entry.ok()?.path())).collect();
    names.sort();
    if names.is_empty() {
        fail!("{} has no targets", folder.display());
    }
    Ok(names)
}

/// `cargo fuzz VERB`, for what lies in `fuzz/`.
fn cargo_fuzz(verb: &str, arguments: &[&str]) -> Command {
    let mut cargo = nightly::cargo(&["fuzz", verb, "--fuzz-dir"]);
    cargo.arg(folder()).arg("--target-dir").arg(workspace::target().join("fuzz")).args(arguments);
    cargo.env("PATH", search_path());
    cargo
}

/// Where programs of our own lie, in the build folder.
fn tools() -> PathBuf {
    workspace::target().join("tools")
}

/// The search path, with our own programs behind the user's.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([tools().join("bin")]);
    std::env::join_paths(folders).unwrap_or(path)
}

/// Has nightly, a C++ compiler for libFuzzer, and cargo-fuzz.
fn ensure() -> Result {
    nightly::ensure()?;
    if std::env::var_os("CXX").is_none() && find_program("c++").is_none() {
        packages::install(&[Need::Cxx], "a C++ compiler is missing, and libFuzzer is written in C++")?;
        find_program("c++").context("c++ is still missing after installing it")?;
    }
    if has_cargo_fuzz() {
        return Ok(());
    }
    let line = format!("cargo install cargo-fuzz --locked --version {VERSION}");
    if !setup::agreed(&format!("cargo-fuzz is missing. Build it with cargo, into {}?", tools().display())) {
        fail!("cargo-fuzz is missing; type: {line}");
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).args(line.split(' ').skip(1));
    cargo.arg("--root").arg(tools()).arg("--target-dir").arg(tools().join("build"));
    // A build folder of the caller's choice is for the tree.
    cargo.env_remove("CARGO_TARGET_DIR");
    let label = "building cargo-fuzz";
    exec::run(&mut cargo, label, BUILD_LIMIT)?.success(label)?;
    if has_cargo_fuzz() { Ok(()) } else { fail!("cargo-fuzz does not run after building it; type: {line}") }
}

fn has_cargo_fuzz() -> bool {
    let mut cargo = nightly::cargo(&["fuzz", "--version"]);
    exec::quiet(cargo.env("PATH", search_path()), QUESTION_LIMIT)
        .is_ok_and(|outcome| outcome.status.success())
}

/// Reads the options; paths count from `folder`, the one the user called from.
fn parse(args: &[OsString], folder: &Path) -> Result<Options> {
    let mut options = Options { seconds: SECONDS, target: None, input: None };
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next().map_err(Failure::new)? {
        match arg {
            Long("seconds") => options.seconds = cli::number(&mut parser, "--seconds")?,
            Value(name) if options.target.is_none() => {
                options.target = Some(name.string().context("the target's name")?);
            }
            Value(file) if options.input.is_none() => options.input = Some(folder.join(file)),
            other => fail!("{}; fuzz takes --seconds N, a target, and an input for it", other.unexpected()),
        }
    }
    if options.seconds == 0 {
        fail!("--seconds 0: nothing would be tried");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let args: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        super::parse(&args, Path::new("/home/me"))
    }

    #[test]
    fn seconds_target_and_input() {
        assert_eq!(parse("").unwrap(), Options { seconds: 60, target: None, input: None });
        let options = parse("queue --seconds 7 crash-1").unwrap();
        assert_eq!((options.seconds, options.target.as_deref()), (7, Some("queue")));
        assert_eq!(options.input.as_deref(), Some(Path::new("/home/me/crash-1")));
        for (line, word) in [
            ("--seconds", "--seconds"),
            ("--seconds long", "long"),
            ("--seconds 0", "nothing"),
            ("--fast", "--fast"),
            ("a b c", "\"c\""),
        ] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(word), "{line}: {said}");
        }
    }

    const CRASH: &str = "INFO: Seed: 1\n#2 INITED\n\nthread '<unnamed>' (7) panicked at fuzz_targets/queue.rs:9:5:\n\
        payload 3 came back twice\nnote: run with `RUST_BACKTRACE=1`\n==7== ERROR: libFuzzer: deadly signal\n\
        artifact_prefix='/t/fuzz/artifacts/queue/'; Test unit written to /t/fuzz/artifacts/queue/crash-5\n";

    #[test]
    fn a_crash_is_told_with_its_input() {
        assert_eq!(artifact(CRASH), Some("/t/fuzz/artifacts/queue/crash-5"));
        let said = cause(CRASH);
        assert!(said.contains("queue.rs:9:5") && said.ends_with("payload 3 came back twice"), "{said}");
        assert!(complaint(CRASH).starts_with("thread"));
        assert_eq!(artifact("Done 5 runs"), None);
        assert_eq!(
            cause("==7== ERROR: libFuzzer: timeout after 20 seconds\n#0"),
            "==7== ERROR: libFuzzer: timeout after 20 seconds"
        );
    }

    #[test]
    fn executions_are_read_from_the_statistics() {
        let said =
            "Done 1234 runs in 11 second(s)\nstat::number_of_executed_units: 1234\nstat::peak_rss_mb: 50\n";
        assert_eq!(executions(said), Some(1234));
        assert_eq!(executions(CRASH), None);
    }

    #[test]
    fn a_target_is_a_file_with_seeds_beside_it() {
        let targets = targets(&folder()).unwrap();
        assert!(targets.contains(&"queue".to_owned()), "{targets:?}");
        let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        for target in targets {
            assert!(folder().join("seeds").join(&target).is_dir(), "{target} has no seeds");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target} is not in the manifest");
        }
    }
}
