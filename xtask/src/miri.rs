//! `cargo xtask miri`: the host tests of core and test kit under Miri, here, on 32 bits and big-endian, on 32 bits with those
//! of discovery, and big-endian those of old devices; then those of races, over and over with other seeds.

use std::process::Command;
use std::thread;

use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Result, fail};
use crate::report::Report;
use crate::{nightly, test, workspace};

/// Beside the host: 32 bits, and big-endian.
const TARGETS: [&str; 2] = ["i686-unknown-linux-gnu", "s390x-unknown-linux-gnu"];

/// What of core's tests depends on the width of a pointer or on the order of bytes, beside its unit tests: all that moves
/// bytes. The others (futures, scenarios, threads) run here.
const ELSEWHERE: [&str; 13] = [
    "allocation",
    "attachments",
    "borrowed",
    "bounce",
    "lies",
    "lifecycle",
    "model",
    "notify",
    "owned",
    "parts",
    "pool",
    "reset",
    "soundness",
];

/// The front-ends that drive legacy devices, and their tests in which numbers of such a device are in the guest's own order: in a
/// little-endian guest, nobody would notice another.
const FRONT_ENDS: [&str; 3] = ["virtio-blk", "virtio-net", "virtio-console"];
const BYTE_ORDER: [&str; 5] =
    ["byte_order", "device_order", "guests_order", "old_device_with", "size_of_port_0"];

/// The test binary of core whose threads race for one ring, in `virtio-core/tests`.
const RACES: &str = "races";

/// How many seeds the verb tries.
const SEEDS: u32 = 64;
/// How many CI tries.
pub const CI_SEEDS: u32 = 16;

/// Runs them and prints the closing line.
pub fn verb() -> Result {
    let mut report = Report::default();
    run(SEEDS, &mut report);
    report.close()
}

/// Runs and counts them; the races with so many seeds.
pub fn run(seeds: u32, report: &mut Report) {
    if report.value("nightly with Miri", nightly::ensure_miri).is_none() {
        return;
    }
    // Miri runs a test on one CPU. The races, with many seeds at once, take all of them.
    let [here, elsewhere] = side_by_side([
        |report: &mut Report| on(None, report),
        |report: &mut Report| {
            TARGETS.iter().for_each(|target| on(Some(target), report));
            discovery(report);
            byte_order(report);
        },
    ]);
    report.include(here);
    report.include(elsewhere);
    if workspace::root().join("virtio-core/tests").join(format!("{RACES}.rs")).is_file() {
        races(seeds, report);
    }
}

/// Runs two parts at the same time.
fn side_by_side(parts: [fn(&mut Report); 2]) -> [Report; 2] {
    thread::scope(|scope| {
        parts
            .map(|part| {
                scope.spawn(move || {
                    let mut report = Report::default();
                    part(&mut report);
                    report
                })
            })
            .map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Core and test kit, here or on another target.
fn on(target: Option<&str>, report: &mut Report) {
    let name = format!("Miri for {}", target.unwrap_or("the host"));
    let mut core = nightly::cargo(&["miri", "test", "-p", "virtio-core"]);
    let mut kit = nightly::cargo(&["miri", "test", "-p", "virtio-testkit"]);
    if let Some(target) = target {
        core.args(["--target", target, "--lib"]).args(ELSEWHERE.iter().flat_map(|name| ["--test", name]));
        kit.args(["--target", target]);
    }
    test::count(report, &mut core, &format!("{name}, core"));
    test::count(report, &mut kit, &format!("{name}, test kit"));
}

/// Sums over what a device tree or a command line says may overflow where addresses have 32 bits.
fn discovery(report: &mut Report) {
    let mut mmio = nightly::cargo(&["miri", "test", "-p", "virtio-mmio", "--features", "dtoolkit"]);
    mmio.args(["--target", TARGETS[0], "--lib", "discover"]);
    test::count(report, &mut mmio, &format!("Miri for {}, discovery", TARGETS[0]));
}

/// Front-ends in a big-endian guest.
fn byte_order(report: &mut Report) {
    let target = TARGETS[1];
    for package in FRONT_ENDS {
        let mut tests = nightly::cargo(&["miri", "test", "-p", package, "--target", target]);
        tests.args(["--lib", "--test", "device", "--"]).args(BYTE_ORDER);
        test::count(report, &mut tests, &format!("Miri for {target}, {package} and old devices"));
    }
}

/// Runs the tests of races with many seeds: each is another interleaving, and other choices of what a weakly ordered load
/// sees. The ignored tests among them are weakened on purpose, and each must fail with one of the seeds.
fn races(seeds: u32, report: &mut Report) {
    let name = format!("Miri on {RACES}, {seeds} seeds");
    report.check(&name, || {
        if tests(&[])?.len() == tests(&["--ignored"])?.len() {
            fail!("there is none that is not ignored");
        }
        match with_seeds(seeds, &[])? {
            Ok(()) => Ok(()),
            Err(said) => {
                eprint!("{said}");
                fail!("{}", blame(&said))
            }
        }
    });
    let weakened = report.value("weakened races, which show that the seeds find something", || {
        let weakened = tests(&["--ignored"])?;
        if weakened.is_empty() { fail!("{RACES} has no ignored test") } else { Ok(weakened) }
    });
    for test in weakened.unwrap_or_default() {
        report.check(
            &format!("Miri on {RACES}, {test} fails with one of {seeds} seeds"),
            || match with_seeds(seeds, &["--ignored", "--exact", &test])? {
                Err(said) if failing_seed(&said).is_some() => Ok(()),
                Err(said) => fail!("{}", blame(&said)),
                Ok(()) => fail!("it passes with every seed: what was weakened is not needed, or not tested"),
            },
        );
    }
}

/// The names of the tests. Asked before they run: seeds run side by side, and their reports talk across each other.
fn tests(choice: &[&str]) -> Result<Vec<String>> {
    let name = format!("listing {RACES}");
    let mut list = races_command();
    let list = exec::run(list.args(["--", "--list"]).args(choice), &name, BUILD_LIMIT)?.success(&name)?;
    Ok(list.stdout.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Runs the tests; if they fail with a seed, what was said.
fn with_seeds(seeds: u32, choice: &[&str]) -> Result<std::result::Result<(), String>> {
    let name = format!("{RACES} with {seeds} seeds");
    let mut miri = races_command();
    miri.env("MIRIFLAGS", format!("-Zmiri-many-seeds=0..{seeds}")).arg("--").args(choice);
    let outcome = exec::run(&mut miri, &name, BUILD_LIMIT)?;
    Ok(if outcome.status.success() { Ok(()) } else { Err(outcome.stdout + &outcome.stderr) })
}

fn blame(said: &str) -> String {
    match failing_seed(said) {
        Some(seed) => format!(
            "seed {seed} fails; to see it again: MIRIFLAGS=-Zmiri-seed={seed} \
             cargo +nightly miri test -p virtio-core --test {RACES}"
        ),
        None => format!("it fails, and with no seed: {}", crate::stream::tail(said.as_bytes())),
    }
}

fn races_command() -> Command {
    nightly::cargo(&["miri", "test", "-p", "virtio-core", "--test", RACES])
}

fn failing_seed(said: &str) -> Option<u32> {
    let seed = said.lines().find_map(|line| line.split_once("FAILING SEED: "))?.1;
    seed.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_that_fails_is_found() {
        assert_eq!(failing_seed("; finished in 0.33s\n\nFAILING SEED: 15\nerror: test failed\n"), Some(15));
        assert_eq!(failing_seed("test result: FAILED"), None);
        assert!(blame("FAILING SEED: 7\n").contains("-Zmiri-seed=7 cargo"));
        assert!(blame("error: could not compile\n").contains("could not compile"));
    }
}
