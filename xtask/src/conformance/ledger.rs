//! Clauses, what meets them, and what is wrong with that.

use std::collections::{BTreeMap, BTreeSet};

use super::annotation::{Found, How};
use super::clauses::{Clause, Level};

/// What has to be met in full: no MUST of these is open. Each with its legacy half.
const REQUIRED: [&str; 12] =
    ["core", "admin", "split", "packed", "pci", "mmio", "gpu", "input", "entropy", "blk", "net", "console"];

/// How a clause stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// A test shows it.
    Shown,
    /// The code cannot do otherwise.
    Construction,
    /// It does not concern us.
    NotApplicable,
    /// Nobody knows.
    Open,
}

/// The ledger as the sources have it.
#[derive(Debug)]
pub struct Ledger {
    clauses: Vec<Clause>,
    reasons: BTreeMap<String, String>,
    found: Found,
}

impl Ledger {
    /// Puts the parts together.
    pub fn new(clauses: Vec<Clause>, reasons: BTreeMap<String, String>, found: Found) -> Self {
        Self { clauses, reasons, found }
    }

    /// Every clause, in the order of the list.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// How a clause stands. A test counts for more than a reason in a comment.
    pub fn standing(&self, id: &str) -> Standing {
        let how = self.found.annotations.iter().filter(|one| one.id == id).map(|one| one.how).min();
        match how {
            Some(How::Shown) => Standing::Shown,
            Some(How::Construction) => Standing::Construction,
            None if self.reasons.contains_key(id) => Standing::NotApplicable,
            None => Standing::Open,
        }
    }

    /// What `shown.tsv` is to contain: a line for each clause in each place.
    pub fn record(&self) -> String {
        let mut text = String::from("id\tby\tplace\n");
        for line in self.lines() {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn lines(&self) -> BTreeSet<String> {
        let line =
            |one: &super::annotation::Annotation| format!("{}\t{}\t{}", one.id, one.how.name(), one.place);
        self.found.annotations.iter().map(line).collect()
    }

    /// Everything that is wrong, one line each; `recorded` is `shown.tsv`.
    pub fn faults(&self, recorded: &str) -> Vec<String> {
        let mut faults = self.found.faults.clone();
        let known: BTreeSet<&str> = self.clauses.iter().map(|clause| clause.id.as_str()).collect();
        for one in self.found.annotations.iter().filter(|one| !known.contains(one.id.as_str())) {
            faults.push(format!("{}: there is no clause {}", one.place, one.id));
        }
        for id in self.reasons.keys() {
            if !known.contains(id.as_str()) {
                faults.push(format!("not-applicable.tsv: there is no clause {id}"));
            } else if self.standing(id) != Standing::NotApplicable {
                faults.push(format!("not-applicable.tsv: {id} is met, and so applies"));
            }
        }
        let recorded: BTreeSet<String> = recorded.lines().skip(1).map(str::to_owned).collect();
        let lines = self.lines();
        let spaced = |line: &String| line.replace('\t', " ");
        faults
            .extend(recorded.difference(&lines).map(|line| format!("recorded, but gone: {}", spaced(line))));
        faults.extend(
            lines.difference(&recorded).map(|line| {
                format!("not recorded yet (`cargo xtask conformance --record`): {}", spaced(line))
            }),
        );
        for clause in self.clauses.iter().filter(|clause| is_required(&clause.target)) {
            if clause.level == Level::Must && self.standing(&clause.id) == Standing::Open {
                faults.push(format!("open: {} (VIRTIO 1.4 §{})", clause.id, clause.section));
            }
        }
        faults
    }
}

/// Whether no MUST of a target may be open.
pub fn is_required(target: &str) -> bool {
    REQUIRED.contains(&target.strip_suffix("-legacy").unwrap_or(target))
}

#[cfg(test)]
mod tests {
    use super::super::annotation::{self, Found};
    use super::super::clauses;
    use super::*;

    const CLAUSES: &str = "id\tlevel\ttarget\tsection\na.1\tMUST\tcore\t2.1\na.2\tSHOULD\tcore\t2.1\n\
        a.3\tMUST NOT\tsplit-legacy\t2.7.2\na.4\tMUST\tsound\t5.1\n";
    const SOURCES: &str = "// shows: a.1\n#[test]\nfn one() {}\n// shows: a.1\n#[test]\nfn two() {}\n";
    const REASONS: &str = "id\treason\na.3\tthere is nothing here\n";

    fn ledger(reasons: &str, source: &str) -> Ledger {
        let mut found = Found::default();
        annotation::read("t.rs", source, |_| false, &mut found);
        Ledger::new(clauses::parse(CLAUSES).unwrap(), clauses::reasons(reasons).unwrap(), found)
    }

    /// The only fault of a source and a list of reasons, compared with what [`SOURCES`] recorded.
    fn fault(reasons: &str, source: &str) -> String {
        let recorded = ledger(REASONS, SOURCES).record();
        let faults = ledger(reasons, source).faults(&recorded);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.concat()
    }

    #[test]
    fn standings_and_a_ledger_that_holds() {
        let ledger = ledger(REASONS, SOURCES);
        let standings = ["a.1", "a.2", "a.3", "a.4"].map(|id| ledger.standing(id));
        let open = Standing::Open;
        assert_eq!(standings, [Standing::Shown, open, Standing::NotApplicable, open]);
        // An open SHOULD, and an open MUST of something that is not built yet, are no faults.
        assert_eq!(ledger.faults(&ledger.record()), [""; 0]);
        assert_eq!(ledger.record(), "id\tby\tplace\na.1\ttest\tt.rs :: one\na.1\ttest\tt.rs :: two\n");
    }

    #[test]
    fn a_test_that_goes_is_missed_although_another_shows_the_same() {
        let without = SOURCES.replace("// shows: a.1\n#[test]\nfn two() {}\n", "");
        assert_eq!(fault(REASONS, &without), "recorded, but gone: a.1 test t.rs :: two");
        // Its comment stays behind.
        let recorded = ledger(REASONS, SOURCES).record();
        let faults = ledger(REASONS, &SOURCES.replace("#[test]\nfn two() {}\n", "")).faults(&recorded);
        assert!(faults.iter().any(|fault| fault.contains("no #[test] follows")), "{faults:?}");
    }

    #[test]
    fn a_test_that_changes_its_name_is_missed() {
        let recorded = ledger(REASONS, SOURCES).record();
        let faults = ledger(REASONS, &SOURCES.replace("two", "three")).faults(&recorded);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults.concat().contains("gone") && faults.concat().contains("not recorded yet"));
    }

    #[test]
    fn a_record_that_is_out_of_date_is_no_record() {
        let more = format!("{SOURCES}// shows: a.2\n#[test]\nfn three() {{}}\n");
        assert!(fault(REASONS, &more).starts_with("not recorded yet"));
    }

    #[test]
    fn ids_that_nobody_knows_are_named() {
        let unknown =
            SOURCES.replace("// shows: a.1\n#[test]\nfn two", "// shows: a.1, b.9\n#[test]\nfn two");
        let recorded = ledger(REASONS, &unknown).record();
        assert_eq!(ledger(REASONS, &unknown).faults(&recorded), ["t.rs :: two: there is no clause b.9"]);
        let reasons = format!("{REASONS}b.8\tthere is nothing here\n");
        assert!(fault(&reasons, SOURCES).contains("no clause b.8"));
    }

    #[test]
    fn what_is_met_applies() {
        let reasons = format!("{REASONS}a.1\tthere is nothing here\n");
        assert!(fault(&reasons, SOURCES).contains("a.1 is met"));
    }

    #[test]
    fn an_open_duty_is_a_fault() {
        assert_eq!(fault("id\treason\n", SOURCES), "open: a.3 (VIRTIO 1.4 §2.7.2)");
        let ledger = ledger(REASONS, "");
        assert!(ledger.faults("").contains(&"open: a.1 (VIRTIO 1.4 §2.1)".to_owned()));
    }
}
