//! `cargo xtask conformance`: which clauses of the specification are shown, and by what.
//!
//! `conformance/ledger/clauses.tsv` names every clause that binds a driver. Comments beside tests and code say which of them
//! they show or make true, `not-applicable.tsv` gives reasons for those that do not concern us. The rest is open. What was
//! found when the ledger was last written, clause by clause, stands in `shown.tsv`: a test that goes, or changes its name,
//! takes its line with it, and that is noticed even if another test shows the same clause.

mod annotation;
mod clauses;
mod ledger;
mod ran;
mod sources;
mod table;

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::failure::{Context, Result, fail};
use crate::workspace;
use ledger::Ledger;

/// Where the lists are.
const FOLDER: &str = "conformance/ledger";

/// Prints the table; with `--record` writes down first what is found.
pub fn verb(args: &[OsString]) -> Result {
    match args {
        [] => check(),
        [arg] if arg == "--record" => {
            record()?;
            check()
        }
        _ => fail!("conformance takes --record or nothing"),
    }
}

/// Compares what the sources say with what was recorded, prints the table, and fails on any difference or open duty.
pub fn check() -> Result {
    let root = workspace::root();
    let ledger = read(&root)?;
    print!("{}", table::table(&ledger));
    let recorded = file(&root.join(FOLDER).join("shown.tsv"))?;
    let faults = ledger.faults(&recorded);
    for fault in &faults {
        println!("{fault}");
    }
    if !faults.is_empty() {
        fail!("the ledger does not hold: {} of its rules broken, see above", faults.len());
    }
    Ok(())
}

/// Compares the record with the output of `cargo test` over the workspace: what is named must have been run.
pub fn check_ran(output: &str) -> Result {
    let recorded = file(&workspace::root().join(FOLDER).join("shown.tsv"))?;
    let missing = ran::missing(&recorded, output);
    for place in &missing {
        println!("did not run: {place}");
    }
    if !missing.is_empty() {
        fail!("{} tests that the ledger names did not run", missing.len());
    }
    Ok(())
}

/// Writes down what the sources say.
fn record() -> Result {
    let root = workspace::root();
    let path = root.join(FOLDER).join("shown.tsv");
    fs::write(&path, read(&root)?.record()).context(path.display())
}

fn read(root: &Path) -> Result<Ledger> {
    let folder = root.join(FOLDER);
    let clauses = clauses::parse(&file(&folder.join("clauses.tsv"))?)?;
    let reasons = clauses::reasons(&file(&folder.join("not-applicable.tsv"))?)?;
    Ok(Ledger::new(clauses, reasons, sources::annotations(root)?))
}

fn file(path: &Path) -> Result<String> {
    fs::read_to_string(path).context(path.display())
}
