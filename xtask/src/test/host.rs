//! The tests that need no guest: `cargo test`, as it is and with all features.

use std::process::Command;

use crate::exec::{self, BUILD_LIMIT};
use crate::failure::fail;
use crate::report::Report;
use crate::{conformance, workspace};

/// Runs and counts them.
pub fn run(report: &mut Report) {
    for more in [&[][..], &["--all-features"]] {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root()).args(["test", "--workspace", "--no-fail-fast"]).args(more);
        let output = count(report, &mut cargo, format!("cargo test --workspace {}", more.join(" ")).trim());
        if !more.is_empty() {
            report.check("the tests that the ledger names were run", || conformance::check_ran(&output));
        }
    }
}

/// Runs a `cargo test` and counts the single tests it ran; if it came to none, the run itself has failed. Answers what it
/// printed.
pub fn count(report: &mut Report, cargo: &mut Command, name: &str) -> String {
    let (mut tests, mut output) = ((0, 0), String::new());
    let outcome = exec::run(cargo, name, BUILD_LIMIT).and_then(|outcome| {
        tests = results(&outcome.stdout);
        output.clone_from(&outcome.stdout);
        outcome.success(name)
    });
    let (passed, failed) = tests;
    report.add(passed, failed);
    match outcome {
        Ok(_) if passed > 0 => println!("ok      {name}: {passed} tests"),
        Err(_) if failed > 0 => println!("FAILED  {name}: {failed} of {} tests", passed + failed),
        Ok(_) => report.check(name, || fail!("no test ran")),
        Err(failure) => report.check(name, || Err(failure)),
    }
    output
}

/// The sums over all lines of the form `test result: ok. 12 passed; 0 failed; …`.
fn results(output: &str) -> (u32, u32) {
    let number = |line: &str, word: &str| -> u32 {
        let before = line.split(word).next().unwrap_or_default();
        before.split_whitespace().next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    let lines = output.lines().filter(|line| line.starts_with("test result: "));
    lines.fold((0, 0), |(passed, failed), line| {
        (passed + number(line, " passed;"), failed + number(line, " failed;"))
    })
}

#[cfg(test)]
mod tests {
    use super::results;

    #[test]
    fn results_are_summed() {
        let output = "running 3 tests\ntest a ... ok\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(results(output), (15, 2));
        assert_eq!(results("error: could not compile"), (0, 0));
    }
}
