//! The tables: for people on the terminal, and as tab-separated values.

use std::fmt::Write;
use std::time::SystemTime;

use crate::clock::RIVAL;
use crate::contestant::Contestant;
use crate::profile::{self, Count};
use crate::results::{Cell, Results};
use crate::row::Row;

/// How many lines of a profile are shown.
const PROFILE_LINES: usize = 60;

/// All tables and the verdict.
pub fn text(results: &Results, rounds: usize) -> String {
    let mut out = format!(
        "{}: random reads of 4 KiB, qemu-storage-daemon's null-co over vhost-user, {rounds} rounds, load {}\nagain: cargo xtask bench vhost-user --rounds {rounds}\n",
        today(),
        load()
    );
    let iops: Show = |cell, _| {
        let [low, median, high] = cell.time.ratio;
        Some(format!("{:.0} ({median:.3}x, {low:.3}-{high:.3})", cell.time.iops))
    };
    table(
        &mut out,
        &format!("reads per second (median of the rounds' ratios to {RIVAL}, quartiles)"),
        results,
        iops,
    );
    let best: Show =
        |cell, rival| Some(format!("{:.0} ({:.3}x)", cell.time.best, cell.time.best / rival.time.best));
    table(
        &mut out,
        &format!("reads per second in the best tenth of the rounds (times {RIVAL}'s)"),
        results,
        best,
    );
    let instructions: Show = |cell, rival| {
        let (own, rival) = (cell.count.as_ref()?, rival.count.as_ref()?);
        let ratio = own.total() / rival.total();
        Some(format!("{:.1} ({:.1} adding; {ratio:.2}x)", own.total(), own.submit))
    };
    table(
        &mut out,
        &format!("driver instructions per read (times those of {RIVAL}); waiting is left out"),
        results,
        instructions,
    );
    verdict(&mut out, results);
    out
}

type Show = fn(&Cell, &Cell) -> Option<String>;

fn table(out: &mut String, title: &str, results: &Results, show: Show) {
    let _ = write!(out, "\n{title}\n{:12}", "");
    for contestant in Contestant::ALL {
        let _ = write!(out, "  {contestant:>32}");
    }
    out.push('\n');
    for row in Row::all() {
        let texts =
            Contestant::ALL.map(|contestant| show(results.cell(row, contestant), results.cell(row, RIVAL)));
        if texts.iter().all(Option::is_none) {
            continue;
        }
        let _ = write!(out, "{:12}", row.to_string());
        for text in texts {
            let _ = write!(out, "  {:>32}", text.unwrap_or_default());
        }
        out.push('\n');
    }
}

/// Whether a goal is reached, in a word.
fn judge(good: bool) -> &'static str {
    if good { "reached" } else { "MISSED" }
}

fn verdict(out: &mut String, results: &Results) {
    for contestant in Contestant::ALL.into_iter().filter(|contestant| *contestant != RIVAL) {
        let _ = writeln!(
            out,
            "\nverdict: {contestant}, at least as many reads as {RIVAL}, by fewer instructions"
        );
        for row in Row::all() {
            let (own, rival) = (results.cell(row, contestant), results.cell(row, RIVAL));
            let [_, median, _] = own.time.ratio;
            let _ = write!(out, "{:12}  reads {median:.3}x {:7}", row.to_string(), judge(median >= 1.0));
            if let (Some(own), Some(rival)) = (&own.count, &rival.count) {
                let ratio = own.total() / rival.total();
                let _ = write!(out, "  instructions {ratio:.2}x {:7}", judge(ratio < 1.0));
            }
            out.push('\n');
        }
    }
}

/// Everything, a line for each cell.
pub fn tsv(results: &Results) -> String {
    let mut out = String::from(
        "date\trow\tcontestant\tiops\tiops_ratio\tiops_ratio_q1\tiops_ratio_q3\tiops_best\tiops_best_ratio\tinstructions\tadding\tcompleting\tinstructions_ratio\n",
    );
    let date = today();
    for row in Row::all() {
        for contestant in Contestant::ALL {
            let Cell { time, count } = results.cell(row, contestant);
            let [low, median, high] = time.ratio;
            let _ = write!(
                out,
                "{date}\t{row}\t{contestant}\t{:.0}\t{median:.4}\t{low:.4}\t{high:.4}\t{:.0}\t{:.4}",
                time.iops,
                time.best,
                time.best / results.cell(row, RIVAL).time.best
            );
            let _ = match (count, &results.cell(row, RIVAL).count) {
                (Some(own), Some(rival)) => writeln!(
                    out,
                    "\t{:.3}\t{:.3}\t{:.3}\t{:.3}",
                    own.total(),
                    own.submit,
                    own.complete,
                    own.total() / rival.total()
                ),
                _ => writeln!(out, "\t\t\t\t"),
            };
        }
    }
    out
}

/// Where the instructions of one cell are.
///
/// # Errors
/// If this program cannot be read.
pub fn profile(contestant: Contestant, row: Row, count: &Count) -> Result<String, String> {
    let found = profile::places(count)?;
    let (adding, completing) = (count.submit, count.complete);
    let mut out = format!("{contestant} {row}: {adding:.2} adding, {completing:.2} completing\n");
    for places in [&found.functions, &found.lines] {
        out.push('\n');
        for (place, cost) in places.iter().take(PROFILE_LINES) {
            let _ = writeln!(out, "  {cost:8.2}  {place}");
        }
        let rest: f64 = places.iter().skip(PROFILE_LINES).map(|(_, cost)| cost).sum();
        let _ = writeln!(out, "  {rest:8.2}  elsewhere");
    }
    Ok(out)
}

/// How many threads wanted a processor, on average over the last minutes: 2 are ours.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// The date, in UTC.
pub fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (year, month, day) = civil((since.as_secs() / 86_400) as i64);
    format!("{year}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days since 1970-01-01: years that start in March, in eras of 400.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_have_their_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (19_789, (2024, 3, 7)),
            (20_453, (2025, 12, 31)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
    }
}
