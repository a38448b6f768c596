//! Whether what the ledger names is run at all: a test may stand in the sources and be switched off.

use std::collections::BTreeSet;

/// Tests of the workspace that were recorded and that this output of `cargo test` does not show to have passed. Examples in
/// the documentation have no name there; the bench and loom have runs of their own.
pub fn missing(recorded: &str, output: &str) -> Vec<String> {
    let passed: BTreeSet<&str> = output.lines().filter_map(passed).collect();
    let apart = |place: &str| {
        place.starts_with("conformance/") || place.contains("/loom_tests") || place.contains(" :: doctest ")
    };
    let places: BTreeSet<&str> = recorded.lines().filter_map(place).filter(|place| !apart(place)).collect();
    let ran = |place: &&str| place.rsplit(" :: ").next().is_some_and(|name| passed.contains(name));
    places.into_iter().filter(|place| !ran(place)).map(str::to_owned).collect()
}

/// Where the test of a line of the record is.
fn place(line: &str) -> Option<&str> {
    match line.split('\t').collect::<Vec<_>>().as_slice() {
        [_, "test", place] => Some(place),
        _ => None,
    }
}

/// The last part of the name of a test that has passed.
fn passed(line: &str) -> Option<&str> {
    let name = line.strip_prefix("test ")?.strip_suffix(" ... ok")?;
    name.split(" - should panic").next()?.rsplit("::").next()
}

#[cfg(test)]
mod tests {
    use super::missing;

    const RECORD: &str = "id\tby\tplace\na.1\ttest\ta/src/b.rs :: one\na.2\ttest\ta/tests/c.rs :: two\n\
        a.3\tconstruction\ta/src/d.rs\na.4\ttest\ta/src/e.rs :: doctest f\na.5\ttest\tconformance/qemu/g.rs :: h\n";

    #[test]
    fn who_has_not_passed_is_named() {
        let all = "running 2 tests\ntest b::tests::one ... ok\ntest two ... ok\n";
        assert!(missing(RECORD, all).is_empty());
        for gone in ["test two ... ignored\n", "test two ... FAILED\n", "test nottwo ... ok\n", ""] {
            let output = all.replace("test two ... ok\n", gone);
            assert_eq!(missing(RECORD, &output), ["a/tests/c.rs :: two"], "{gone}");
        }
    }
}
