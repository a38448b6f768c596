//! The tests that need no guest: `cargo test`, as it is and with all features.

use std::process::Command;

use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Result, fail};
use crate::report::Report;
use crate::workspace;

/// Runs and counts them.
pub fn run(report: &mut Report) {
    for more in [&[][..], &["--all-features"]] {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root()).args(["test", "--workspace", "--no-fail-fast"]).args(more);
        count(report, &mut cargo, format!("cargo test --workspace {}", more.join(" ")).trim());
    }
}

/// Runs a `cargo test` and counts the single tests it ran, and the run itself.
pub fn count(report: &mut Report, cargo: &mut Command, name: &str) {
    let mut tests = (0, 0);
    report.check(name, || {
        let outcome = exec::run(cargo, name, BUILD_LIMIT)?;
        tests = results(&outcome.stdout);
        outcome.success(name)?;
        none_is_nothing(tests)
    });
    let (passed, failed) = tests;
    println!("        {passed} tests passed, {failed} failed");
    report.add(passed, failed);
}

fn none_is_nothing((passed, failed): (u32, u32)) -> Result {
    if passed + failed == 0 {
        fail!("no test ran");
    }
    Ok(())
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
