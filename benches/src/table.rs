//! The tables: for people on the terminal, and as tab-separated values.

use std::fmt::Write;

use crate::contestant::Contestant;
use crate::profile;
use crate::results::{Cell, Results};
use crate::row::Row;

/// How much more than the floor ours may cost.
pub const TARGET: f64 = 1.5;

/// Functions to show for the row farthest from the target.
const PROFILE_LINES: usize = 12;

/// All tables and the verdict.
pub fn text(results: &Results) -> String {
    let mut out = String::new();
    let tables: [(&str, Show); 4] = [
        ("driver instructions per request (of which adding; times the floor)", |cell, floor| {
            let ratio = cell.count.total() / floor.count.total();
            format!("{:.1} ({:.1}; {ratio:.2}x)", cell.count.total(), cell.count.submit)
        }),
        ("ns per request, driver and device (median of the rounds' ratios to the floor)", |cell, _| {
            format!("{:.1} ({:.2}x)", cell.time.both, cell.time.ratio)
        }),
        (
            "ns per request, driver alone: rough, for a processor overlaps driver and device (times the floor)",
            |cell, floor| format!("{:.1} ({:.2}x)", cell.time.driver, cell.time.driver / floor.time.driver),
        ),
        ("kicks per request (of a device that left its event index behind)", |cell, _| {
            let behind = cell.left_behind.map_or(String::new(), |kicks| format!(" ({kicks:.6})"));
            format!("{:.4}{behind}", cell.kicks)
        }),
    ];
    for (title, show) in tables {
        table(&mut out, title, results, show);
    }
    verdict(&mut out, results);
    out
}

type Show = fn(&Cell, &Cell) -> String;

fn table(out: &mut String, title: &str, results: &Results, show: Show) {
    let _ = write!(out, "\n{title}\n{:20}", "");
    for contestant in Contestant::ALL {
        let _ = write!(out, "  {contestant:>21}");
    }
    out.push('\n');
    for row in Row::all() {
        let _ = write!(out, "{:20}", row.to_string());
        for contestant in Contestant::ALL {
            let text = match results.cell(row, contestant) {
                Some(cell) => show(cell, results.floor(row)),
                None => "none".to_owned(),
            };
            let _ = write!(out, "  {text:>21}");
        }
        out.push('\n');
    }
    for contestant in Contestant::ALL {
        let mut reasons: Vec<_> = Row::all().into_iter().filter_map(|row| contestant.cannot(row)).collect();
        reasons.dedup();
        reasons.sort_unstable();
        reasons.dedup();
        if !reasons.is_empty() && title.starts_with("driver instructions") {
            let _ = writeln!(out, "none: {contestant} {}", reasons.join(", "));
        }
    }
}

/// Whether a ratio is good enough, in a word.
fn judge(good: bool) -> &'static str {
    if good { "reached" } else { "MISSED" }
}

fn verdict(out: &mut String, results: &Results) {
    for contestant in Contestant::OURS {
        let _ = writeln!(out, "\nverdict: {contestant}, at most {TARGET} times the floor, no kick too many");
        for row in Row::all() {
            let Some(cell) = results.cell(row, contestant) else {
                let _ = writeln!(out, "{:20}  none", row.to_string());
                continue;
            };
            let floor = results.floor(row);
            let count = cell.count.total() / floor.count.total();
            let time = cell.time.ratio;
            let _ = writeln!(
                out,
                "{:20}  instructions {count:.2}x {:7}  time {time:.2}x {:7}  kicks {:.4} {}",
                row.to_string(),
                judge(count <= TARGET),
                judge(time <= TARGET),
                cell.kicks,
                judge(cell.kicks == row.least_kicks() && cell.left_behind == floor.left_behind),
            );
        }
    }
}

/// Where the instructions go in the row in which ours is farthest from the floor, if beyond the target; and the floor's.
///
/// # Errors
/// If this program cannot be read.
pub fn worst(results: &Results) -> Result<String, String> {
    let mut shown = Vec::new();
    let mut out = String::new();
    for contestant in Contestant::OURS {
        let ratio = |row: Row| {
            let cell = results.cell(row, contestant)?;
            Some((row, cell.count.total() / results.floor(row).count.total()))
        };
        let worst = Row::all().into_iter().filter_map(ratio).max_by(|one, other| one.1.total_cmp(&other.1));
        let Some((row, _)) = worst.filter(|(_, ratio)| *ratio > TARGET) else { continue };
        for name in [contestant, Contestant::Floor] {
            let Some(cell) = results.cell(row, name).filter(|_| !shown.contains(&(row, name))) else {
                continue;
            };
            shown.push((row, name));
            let _ =
                writeln!(out, "\n{row}: where {name} spends its instructions (whole: profile {name} {row})");
            places(&mut out, &profile::places(&cell.count)?.functions, PROFILE_LINES);
        }
    }
    Ok(out)
}

/// The first `count` places.
pub fn places(out: &mut String, places: &[(String, f64)], count: usize) {
    for (place, cost) in places.iter().take(count) {
        let _ = writeln!(out, "  {cost:8.2}  {place}");
    }
    let rest: f64 = places.iter().skip(count).map(|(_, cost)| cost).sum();
    if rest > 0.0 {
        let _ = writeln!(out, "  {rest:8.2}  elsewhere");
    }
}

/// Everything, a line for each cell.
pub fn tsv(results: &Results) -> String {
    let mut out = String::from(
        "row\tcontestant\tinstructions\tadding\tcompleting\tinstructions_ratio\tdriver_ns\tdriver_ns_ratio\tboth_ns\tboth_ns_ratio\tkicks\tkicks_left_behind\tnote\n",
    );
    for row in Row::all() {
        let floor = results.floor(row);
        for contestant in Contestant::ALL {
            let _ = write!(out, "{row}\t{contestant}\t");
            let _ = match results.cell(row, contestant) {
                None => writeln!(out, "{}{}", "\t".repeat(10), contestant.cannot(row).unwrap_or_default()),
                Some(Cell { count, time, kicks, left_behind }) => writeln!(
                    out,
                    "{:.3}\t{:.3}\t{:.3}\t{:.3}\t{:.2}\t{:.3}\t{:.2}\t{:.3}\t{kicks:.6}\t{}\t",
                    count.total(),
                    count.submit,
                    count.complete,
                    count.total() / floor.count.total(),
                    time.driver,
                    time.driver / floor.time.driver,
                    time.both,
                    time.ratio,
                    left_behind.map_or(String::new(), |kicks| format!("{kicks:.6}")),
                ),
            };
        }
    }
    out
}
