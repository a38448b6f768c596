//! The ledger, for people: a line for each target.

use std::fmt::Write;

use super::clauses::{Clause, Level};
use super::ledger::{Ledger, Standing, is_required};

/// The columns, in order.
const STANDINGS: [Standing; 4] =
    [Standing::Shown, Standing::Construction, Standing::NotApplicable, Standing::Open];

/// One line for each target with anything to say for itself, sums, and the names of what is open.
pub fn table(ledger: &Ledger) -> String {
    let mut targets: Vec<&str> = Vec::new();
    for clause in ledger.clauses() {
        if !targets.contains(&clause.target.as_str()) {
            targets.push(&clause.target);
        }
    }
    targets.sort_unstable();
    let begun = |target: &&str| {
        let mut own = ledger.clauses().iter().filter(|clause| clause.target == **target);
        is_required(target) || own.any(|clause| ledger.standing(&clause.id) != Standing::Open)
    };
    let (ours, later): (Vec<&str>, Vec<&str>) = targets.into_iter().partition(begun);
    let mut text = String::new();
    let _ = writeln!(text, "{:14}{:^32}  |{:^32}", "", "MUST, MUST NOT", "SHOULD, SHOULD NOT");
    let heading = ["shown", "constr.", "n/a", "open"];
    line(&mut text, "", &[heading, heading].concat());
    for target in &ours {
        let counts = count(ledger, |clause| clause.target == *target);
        line(&mut text, target, &counts.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let counts = count(ledger, |clause| ours.contains(&clause.target.as_str()));
    line(&mut text, "together", &counts.iter().map(String::as_str).collect::<Vec<_>>());
    let open = ledger.clauses().iter().filter(|clause| {
        clause.level == Level::Should
            && ours.contains(&clause.target.as_str())
            && ledger.standing(&clause.id) == Standing::Open
    });
    let open: Vec<_> = open.map(|clause| clause.id.as_str()).collect();
    if !open.is_empty() {
        let _ = writeln!(text, "SHOULD, open: {}", open.join(", "));
    }
    let rest = ledger.clauses().iter().filter(|clause| later.contains(&clause.target.as_str())).count();
    let _ = writeln!(
        text,
        "constr.: true by construction; n/a: does not bind us (why: conformance/ledger/not-applicable.tsv)"
    );
    let _ = writeln!(text, "not begun: {rest} clauses of {}", later.join(", "));
    text
}

/// How many clauses stand how: MUSTs, then SHOULDs.
fn count(ledger: &Ledger, of: impl Fn(&Clause) -> bool) -> Vec<String> {
    let mut counts = Vec::new();
    for level in [Level::Must, Level::Should] {
        for standing in STANDINGS {
            let those = ledger.clauses().iter().filter(|clause| {
                clause.level == level && of(clause) && ledger.standing(&clause.id) == standing
            });
            counts.push(those.count().to_string());
        }
    }
    counts
}

fn line(text: &mut String, name: &str, columns: &[&str]) {
    let mut line = format!("{name:14}");
    for (at, column) in columns.iter().enumerate() {
        let _ = write!(line, "{}{column:>8}", if at == 4 { "  |" } else { "" });
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::annotation::{self, Found};
    use super::super::clauses;
    use super::*;

    #[test]
    fn levels_and_standings_are_counted_apart() {
        let list = "id\tlevel\ttarget\tsection\na.1\tMUST\tcore\t2.1\na.2\tSHOULD NOT\tcore\t2.1\n\
            a.3\tMUST NOT\tcore\t2\na.4\tMUST\tsound\t5.1\na.5\tMAY\tcore\t2\n";
        let mut found = Found::default();
        annotation::read("t.rs", "// shows: a.1\n#[test]\nfn one() {}\n", |_| false, &mut found);
        let reasons = clauses::reasons("id\treason\na.3\tthere is nothing here\n").unwrap();
        let text = table(&Ledger::new(clauses::parse(list).unwrap(), reasons, found));
        let row = text.lines().find(|line| line.starts_with("core")).unwrap();
        let numbers: Vec<_> = row.split_whitespace().skip(1).filter(|word| *word != "|").collect();
        assert_eq!(numbers, ["1", "0", "1", "0", "0", "0", "0", "1"]);
        assert!(text.contains("SHOULD, open: a.2\n"), "{text}");
        assert!(text.contains("not begun: 1 clauses of sound\n"), "{text}");
    }
}
