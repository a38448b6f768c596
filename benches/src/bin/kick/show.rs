//! The table, for people and as tab-separated values.

use std::fmt::Write;

use crate::trap::Accesses;

/// The transport that the ratio is about.
pub const PCI: &str = "pci, mapped";
/// The one whose registers are reached through configuration space.
pub const WINDOW: &str = "pci, window in configuration space";

/// What something costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Registers in BARs or MMIO windows, whoever accessed them.
    pub registers: Accesses,
    /// Registers of configuration space.
    pub config: usize,
}

impl Cost {
    /// The cost of each, of so many alike.
    ///
    /// # Errors
    /// If they were not alike.
    pub fn each(registers: Accesses, config: usize, count: usize) -> Result<Self, String> {
        let Accesses { reads, writes } = registers;
        if [reads, writes, config].iter().any(|sum| sum % count != 0) {
            return Err(format!(
                "{registers:?} and {config} of configuration space, of {count}: not all alike"
            ));
        }
        let registers = Accesses { reads: reads / count, writes: writes / count };
        Ok(Self { registers, config: config / count })
    }

    /// Accesses of any kind.
    pub const fn total(&self) -> usize {
        self.registers.reads + self.registers.writes + self.config
    }
}

/// One transport of one side.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The transport, and what was negotiated.
    pub transport: &'static str,
    /// A kick.
    pub kick: Cost,
    /// An interrupt of a queue.
    pub interrupt: Cost,
}

fn parts(cost: Option<Cost>) -> String {
    let Some(cost) = cost else { return "none".into() };
    let Accesses { reads, writes } = cost.registers;
    let kinds = [(writes, "W"), (reads, "R"), (cost.config, "C")];
    let kinds = kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}"));
    let kinds: Vec<_> = kinds.collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!("{}{kinds}", cost.total())
}

/// Each of ours, beside the incumbent's on the same transport, if it has that.
fn pairs<'r>(ours: &'r [Row], theirs: &'r [Row]) -> impl Iterator<Item = (&'r Row, Option<&'r Row>)> {
    ours.iter().map(|row| (row, theirs.iter().find(|other| other.transport == row.transport)))
}

/// Everything, and the ratio on PCI.
pub fn text(ours: &[Row], theirs: &[Row]) -> String {
    let mut out = String::from(
        "accesses per kick and per interrupt of a queue: W writes and R reads registers, C is of configuration space\n",
    );
    let _ = writeln!(out, "{:36}{:^28}  {:^28}", "", "kick", "interrupt");
    let line = ["ours", "virtio-drivers", "ours", "virtio-drivers"];
    let [a, b, c, d] = line;
    let _ = writeln!(out, "{:36}{a:>12}{b:>16}  {c:>12}{d:>16}", "");
    for (row, other) in pairs(ours, theirs) {
        let _ = writeln!(
            out,
            "{:36}{:>12}{:>16}  {:>12}{:>16}",
            row.transport,
            parts(Some(row.kick)),
            parts(other.map(|row| row.kick)),
            parts(Some(row.interrupt)),
            parts(other.map(|row| row.interrupt)),
        );
    }
    if let Some((ours, Some(theirs))) = pairs(ours, theirs).find(|(row, _)| row.transport == PCI) {
        let _ = writeln!(out, "\na kick on PCI: {} against its {}", ours.kick.total(), theirs.kick.total());
    }
    out
}

/// A line for each transport of each side.
pub fn tsv(ours: &[Row], theirs: &[Row]) -> String {
    let mut out = String::from(
        "transport\twho\tkick_writes\tkick_reads\tkick_config\tinterrupt_writes\tinterrupt_reads\tinterrupt_config\n",
    );
    let named = ours.iter().map(|row| ("ours", row)).chain(theirs.iter().map(|row| ("virtio-drivers", row)));
    for (who, row) in named {
        let _ = write!(out, "{}\t{who}", row.transport);
        for Cost { registers: Accesses { reads, writes }, config } in [row.kick, row.interrupt] {
            let _ = write!(out, "\t{writes}\t{reads}\t{config}");
        }
        out.push('\n');
    }
    out
}

/// Ours is one register write per kick on every transport, and nothing else; through the window, one transaction.
///
/// # Errors
/// The first row in which it is not.
pub fn check(ours: &[Row]) -> Result<(), String> {
    let write = Cost { registers: Accesses { reads: 0, writes: 1 }, config: 0 };
    let transaction = Cost { registers: Accesses::default(), config: 4 };
    let dear = |row: &&Row| row.kick != if row.transport == WINDOW { transaction } else { write };
    match ours.iter().find(dear) {
        Some(row) => Err(format!("{}: a kick of ours takes {}", row.transport, parts(Some(row.kick)))),
        None => Ok(()),
    }
}
