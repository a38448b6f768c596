//! What a source file says of clauses. Two kinds of comments are understood:
//!
//! ```text
//! // shows: split.desc.1, split.desc.2                        right above a #[test], other comments and attributes between
//! // true by construction: packed.sg.6 — reason in words      wherever it is made true
//! ```
//!
//! A doctest shows a clause by the same comment on a hidden line of its own, `/// # // shows: init.7`, and is known by the
//! first function in it. The bench on QEMU has a list of its own that says which functions are its cases.

use super::clauses;

/// How a place meets a clause.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    /// A test shows it.
    Shown,
    /// The code cannot do otherwise.
    Construction,
}

impl How {
    /// As `shown.tsv` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shown => "test",
            Self::Construction => "construction",
        }
    }
}

/// One clause met in one place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Annotation {
    /// The clause.
    pub id: String,
    /// How it is met.
    pub how: How,
    /// The file, and for a test ` :: ` and its name.
    pub place: String,
}

/// What was found in the sources.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Found {
    /// Clauses that are met.
    pub annotations: Vec<Annotation>,
    /// Comments that do not do what they look like, with file and line.
    pub faults: Vec<String>,
}

const SHOWS: &str = "// shows:";
const CONSTRUCTION: &str = "// true by construction:";

/// Reads one file. `is_case` says whether a function is a test although it is not marked as one.
pub fn read(file: &str, text: &str, is_case: impl Fn(&str) -> bool, found: &mut Found) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let mut fault = |what: &str| found.faults.push(format!("{file}:{}: {what}", at + 1));
        let (ids, how, place) = if let Some(rest) = line.strip_prefix(CONSTRUCTION) {
            let (ids, reason) = rest.split_once('—').unwrap_or((rest, ""));
            if !clauses::is_reason(reason) {
                fault("by construction, but no reason is given behind the ids: ` — why`");
                continue;
            }
            (ids, How::Construction, file.to_owned())
        } else if let Some(ids) = line.strip_prefix(SHOWS) {
            match test_below(lines.get(at + 1..).unwrap_or_default(), &is_case) {
                Ok(name) => (ids, How::Shown, format!("{file} :: {name}")),
                Err(why) => {
                    fault(why);
                    continue;
                }
            }
        } else if let Some(ids) = hidden(line) {
            match doctest_around(&lines, at) {
                Ok(name) => (ids, How::Shown, format!("{file} :: doctest {name}")),
                Err(why) => {
                    fault(why);
                    continue;
                }
            }
        } else {
            continue;
        };
        let mut none = true;
        for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
            none = false;
            found.annotations.push(Annotation { id: id.into(), how, place: place.clone() });
        }
        if none {
            fault("no clause is named");
        }
    }
}

/// The name of the test that the lines begin with, whatever comments and attributes stand before it.
fn test_below<'a>(lines: &[&'a str], is_case: impl Fn(&str) -> bool) -> Result<&'a str, &'static str> {
    const NONE: &str = "shows clauses, but no #[test] follows, and no case of the bench";
    let (mut is_test, mut open) = (false, 0_usize);
    for line in lines {
        // Inside an attribute of several lines.
        if open > 0 || line.starts_with("#[") {
            if open == 0 && line.starts_with("#[ignore") {
                return Err("shows clauses, but the test is ignored");
            }
            is_test |= *line == "#[test]";
            open = (open + line.matches('[').count()).saturating_sub(line.matches(']').count());
        } else if let Some(name) = function(line) {
            return if is_test || is_case(name) { Ok(name) } else { Err(NONE) };
        } else if !line.starts_with("//") {
            return Err(NONE);
        }
    }
    Err(NONE)
}

/// The name of the function that a line declares.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let plain = before
        .split_whitespace()
        .all(|word| matches!(word, "pub" | "pub(crate)" | "async" | "unsafe" | "const"));
    let name = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
    (plain && !name.is_empty()).then_some(name)
}

/// The line of documentation, without the marks of a comment.
fn documentation(line: &str) -> Option<&str> {
    line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).map(str::trim)
}

/// The ids of a comment on a hidden line of documentation.
fn hidden(line: &str) -> Option<&str> {
    documentation(line)?.strip_prefix('#')?.trim_start().strip_prefix(SHOWS)
}

/// The name of the doctest that line `at` belongs to: its first function's.
fn doctest_around<'a>(lines: &[&'a str], at: usize) -> Result<&'a str, &'static str> {
    const OUTSIDE: &str = "shows clauses, but is in no doctest";
    // From the start of the comment on, fences open and close in turn.
    let comment = |line: &&&str| documentation(line).is_some();
    let before = lines.get(..at).unwrap_or_default().iter().rev().take_while(comment);
    let fences: Vec<&str> = before.filter_map(|line| documentation(line)?.strip_prefix("```")).collect();
    let Some(kind) = fences.first().filter(|_| fences.len() % 2 == 1) else { return Err(OUTSIDE) };
    if ["ignore", "no_run", "text"].iter().any(|word| kind.split(',').any(|part| part.trim() == *word)) {
        return Err("shows clauses, but the doctest is not run");
    }
    let body = lines.get(at..).unwrap_or_default().iter().take_while(comment);
    let body = body.filter_map(|line| documentation(line)).take_while(|line| !line.starts_with("```"));
    body.map(|line| line.trim_start_matches("# "))
        .find_map(function)
        .ok_or("a doctest without a function has no name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        let mut found = Found::default();
        read("a/b.rs", text, |name| name == "case", &mut found);
        found
    }

    fn places(text: &str) -> Vec<(String, String)> {
        let found = found(text);
        assert_eq!(found.faults, [""; 0]);
        found.annotations.into_iter().map(|one| (one.id, one.place)).collect()
    }

    fn fault(text: &str) -> String {
        let found = found(text);
        assert_eq!(found.annotations, []);
        assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
        found.faults.concat()
    }

    fn pair(id: &str, place: &str) -> (String, String) {
        (id.into(), place.into())
    }

    #[test]
    fn a_test_shows_what_stands_above_it() {
        let text = "/// Words.\n    // shows: x.1, y.2\n// shows: z.3\n#[test]\n#[cfg_attr(\n miri,\n \
            ignore = \"slow\"\n)]\nfn one_two() {\n";
        let at = "a/b.rs :: one_two";
        assert_eq!(places(text), [pair("x.1", at), pair("y.2", at), pair("z.3", at)]);
    }

    #[test]
    fn what_no_test_follows_is_a_fault() {
        for text in [
            "// shows: x.1\nfn helper() {\n",
            "// shows: x.1\n\n#[test]\nfn behind_a_gap() {\n",
            "// shows: x.1\n",
            "// shows: x.1\n#[test]\nmod tests {\n",
        ] {
            assert!(fault(text).contains("no #[test]"), "{text:?}");
        }
        assert!(fault("// shows: x.1\n#[test]\n#[ignore]\nfn a() {\n").contains("ignored"));
        assert!(fault("// shows: \n#[test]\nfn a() {\n").contains("no clause"));
        assert!(fault("// shows: x.1\n").starts_with("a/b.rs:1: "));
    }

    #[test]
    fn a_case_of_the_bench_is_a_test_as_long_as_it_is_one() {
        let text = "// shows: x.1\npub(crate) fn case<W: Way>(machine: &Machine) {\n";
        assert_eq!(places(text), [pair("x.1", "a/b.rs :: case")]);
        assert!(fault(&text.replace("case", "other")).contains("no case"));
    }

    #[test]
    fn construction_takes_a_reason() {
        assert_eq!(
            places("  // true by construction: x.1, y.2 — there is no such call\nlet a = 1;\n"),
            [pair("x.1", "a/b.rs"), pair("y.2", "a/b.rs")]
        );
        for text in ["// true by construction: x.1\n", "// true by construction: x.1 — so\n"] {
            assert!(fault(text).contains("no reason"), "{text:?}");
        }
    }

    #[test]
    fn a_doctest_shows_by_a_hidden_line() {
        let text = "//! Words.\n//! ```\n//! a();\n//! ```\n//! ```compile_fail,E0599\n//! # // shows: x.1\n\
            //! # use a::b;\n//! fn too_early() {\n//! }\n//! ```\n";
        assert_eq!(places(text), [pair("x.1", "a/b.rs :: doctest too_early")]);
        assert!(fault("/// ```\n/// fn a() {}\n/// ```\n/// # // shows: x.1\n").contains("no doctest"));
        assert!(fault("/// ```no_run\n/// # // shows: x.1\n/// fn a() {}\n/// ```\n").contains("not run"));
        assert!(fault("/// ```\n/// # // shows: x.1\n/// a();\n/// ```\n/// fn b()").contains("no name"));
    }

    #[test]
    fn other_comments_say_nothing() {
        assert_eq!(found("// This shows: nothing.\nlet a = \"// shows: x\";\n//! text\n"), Found::default());
    }
}
