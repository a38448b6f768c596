//! The lists of the ledger: clauses, and reasons why some do not apply. Identifiers and numbers only: no text of the
//! specification is kept here.

use std::collections::BTreeMap;

use crate::failure::{Context, Result, fail};

/// How strongly a clause binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// MUST or MUST NOT.
    Must,
    /// SHOULD or SHOULD NOT.
    Should,
    /// MAY: nothing to show.
    May,
}

/// A clause that binds a driver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clause {
    /// Its stable name.
    pub id: String,
    /// How strongly it binds.
    pub level: Level,
    /// What it is about: `split`, `gpu`, `pci-legacy`.
    pub target: String,
    /// The section of VIRTIO 1.4 that it stands in.
    pub section: String,
}

/// Reads `clauses.tsv`, in its order.
pub fn parse(text: &str) -> Result<Vec<Clause>> {
    let mut seen = BTreeMap::new();
    let mut clauses = Vec::new();
    for (number, line) in rows(text) {
        let place = || format!("clauses.tsv:{number}");
        let [id, level, target, section] = columns(line).context(place())?;
        let level = match level {
            "MUST" | "MUST NOT" => Level::Must,
            "SHOULD" | "SHOULD NOT" => Level::Should,
            "MAY" => Level::May,
            other => fail!("{}: {other:?} is no level", place()),
        };
        if seen.insert(id, number).is_some() {
            fail!("{}: {id} stands there twice", place());
        }
        clauses.push(Clause { id: id.into(), level, target: target.into(), section: section.into() });
    }
    Ok(clauses)
}

/// Reads `not-applicable.tsv`: by clause, why it does not apply.
pub fn reasons(text: &str) -> Result<BTreeMap<String, String>> {
    let mut reasons = BTreeMap::new();
    for (number, line) in rows(text) {
        let place = || format!("not-applicable.tsv:{number}");
        let [id, reason] = columns(line).context(place())?;
        if !is_reason(reason) {
            fail!("{}: {id} has no reason", place());
        }
        if reasons.insert(id.to_owned(), reason.to_owned()).is_some() {
            fail!("{}: {id} stands there twice", place());
        }
    }
    Ok(reasons)
}

/// Whether somebody gave a reason, rather than a word.
pub fn is_reason(text: &str) -> bool {
    text.split_whitespace().count() >= 3
}

/// Lines with their numbers, without the heading and empty ones.
fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().skip(1).map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.is_empty())
}

/// Exactly so many columns, none of them empty.
fn columns<const N: usize>(line: &str) -> Option<[&str; N]> {
    let columns: Vec<_> = line.split('\t').map(str::trim).collect();
    columns.try_into().ok().filter(|columns: &[&str; N]| columns.iter().all(|column| !column.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_read() {
        let clauses =
            parse("id\tlevel\ttarget\tsection\na.1\tMUST NOT\tcore\t2.1\nb.2\tMAY\tgpu\t5.7\n").unwrap();
        let [first, second] = &clauses[..] else { panic!("{clauses:?}") };
        assert_eq!((first.id.as_str(), first.level, first.target.as_str()), ("a.1", Level::Must, "core"));
        assert_eq!((second.level, second.section.as_str()), (Level::May, "5.7"));
    }

    #[test]
    fn lists_that_are_not_in_order_are_refused() {
        for text in ["h\na.1\tMUST\tcore\n", "h\na.1\tSHALL\tcore\t2\n", "h\na\tMAY\tc\t2\na\tMAY\tc\t2\n"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(reasons("id\treason\na.1\tnever accepted here\n").unwrap().len(), 1);
        for text in ["h\na.1\n", "h\na.1\t\n", "h\na.1\tno\n", "h\na.1\tx y z\na.1\tx y z\n"] {
            assert!(reasons(text).is_err(), "{text:?}");
        }
    }
}
