//! What came of it, as a table.

use std::collections::BTreeMap;
use std::time::Duration;

/// What came of one case.
pub(crate) struct Outcome {
    pub(crate) board: &'static str,
    pub(crate) way: &'static str,
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) failure: Option<String>,
}

/// What came of all.
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
    /// How long each machine took to start.
    starts: Vec<Duration>,
    took: Duration,
}

#[derive(Default)]
struct Sum {
    ran: usize,
    failed: usize,
    seconds: f64,
    longest: f64,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        self.ran += 1;
        self.failed += usize::from(outcome.failure.is_some());
        self.seconds += outcome.seconds;
        self.longest = self.longest.max(outcome.seconds);
    }

    fn line(&self, name: &str, boards: &str) {
        let Self { ran, failed, seconds, longest } = self;
        let mean = 1000.0 * seconds / (*ran as f64);
        let longest = 1000.0 * longest;
        println!(
            "bench | {name:<14} | {boards:<23} | {ran:>5} | {failed:>6} | {mean:>8.1} | {longest:>8.1} |"
        );
    }
}

impl Report {
    pub(crate) fn new(mut outcomes: Vec<Outcome>, starts: Vec<Duration>, took: Duration) -> Self {
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        Self { outcomes, starts, took }
    }

    /// Whether all went well, and anything ran at all.
    pub(crate) fn is_good(&self) -> bool {
        !self.outcomes.is_empty() && self.failed() == 0
    }

    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count()
    }

    /// Prints failures, the table and the line that cargo's own harness ends with. `xtask` shows what begins with "bench".
    pub(crate) fn print(&self) {
        for Outcome { name, failure, .. } in &self.outcomes {
            if let Some(failure) = failure {
                println!("bench FAILED {name}: {failure}");
            }
        }
        let mut ways = BTreeMap::<_, (Sum, Vec<&str>)>::new();
        let mut all = Sum::default();
        for outcome in &self.outcomes {
            let (sum, boards) = ways.entry(outcome.way).or_default();
            sum.add(outcome);
            all.add(outcome);
            if !boards.contains(&outcome.board) {
                boards.push(outcome.board);
            }
        }
        println!("bench | transport      | boards                  | cases | failed |  mean ms |  most ms |");
        println!("bench |----------------|-------------------------|-------|--------|----------|----------|");
        for (way, (sum, boards)) in &ways {
            sum.line(way, &boards.join(" "));
        }
        all.line("all", "");
        let failed = self.failed();
        let (machines, cases) = (self.starts.len(), self.outcomes.len());
        let most = self.starts.iter().max().map_or(0.0, Duration::as_secs_f64) * 1000.0;
        let mean = self.starts.iter().sum::<Duration>().as_secs_f64() * 1000.0 / machines.max(1) as f64;
        println!("bench {machines} machines, started in {mean:.0} ms each, {most:.0} ms at the most");
        println!("bench {cases} cases, none skipped, in {:.1} s", self.took.as_secs_f64());
        let word = if self.is_good() { "ok" } else { "FAILED" };
        let passed = self.outcomes.len() - failed;
        println!(
            "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
        );
    }
}
