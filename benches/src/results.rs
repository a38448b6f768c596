//! Everything measured, by row and contestant.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::clock::{self, Time};
use crate::contestant::Contestant;
use crate::device::Wish;
use crate::drive::Turn;
use crate::profile::{self, Count};
use crate::row::{KICK_REQUESTS, Row};

/// One contestant in one row.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Instructions.
    pub count: Count,
    /// Time.
    pub time: Time,
    /// Kicks per request.
    pub kicks: f64,
    /// The same for a device that leaves its event index behind, where there is one.
    pub left_behind: Option<f64>,
}

/// All cells; `None` where a contestant cannot do the row.
#[derive(Debug)]
pub struct Results {
    cells: Vec<(Row, Contestant, Option<Cell>)>,
}

impl Results {
    /// Measures everything. `scratch` takes callgrind's files.
    ///
    /// # Errors
    /// What valgrind says.
    pub fn measure(rounds: usize, scratch: &Path) -> Result<Self, String> {
        let pairs: Vec<_> = Row::all()
            .into_iter()
            .flat_map(|row| Contestant::ALL.map(|contestant| (row, contestant)))
            .collect();
        // Time first, while nothing of ours keeps the other CPUs busy.
        let mut times = Vec::new();
        for row in Row::all() {
            eprintln!("timing {row}");
            times.extend(
                clock::time(row, rounds).into_iter().map(|(contestant, time)| (row, contestant, time)),
            );
        }
        eprintln!("counting instructions with callgrind");
        let counts = count_all(&pairs, scratch)?;
        let cell = |((row, contestant), count): (&(Row, Contestant), Option<Count>)| {
            let time = times.iter().find(|(r, c, _)| (r, c) == (row, contestant)).map(|(_, _, time)| *time);
            let cell = count.zip(time).zip(kicks(*contestant, *row, row.wish()));
            let cell = cell.map(|((count, time), kicks)| Cell {
                count,
                time,
                kicks,
                left_behind: row.event_idx.then(|| kicks_left_behind(*contestant, *row)).flatten(),
            });
            (*row, *contestant, cell)
        };
        let results = Self { cells: pairs.iter().zip(counts).map(cell).collect() };
        results.check_floor()?;
        Ok(results)
    }

    /// The floor must kick as often as the specification asks, or the harness is wrong.
    fn check_floor(&self) -> Result<(), String> {
        for row in Row::all() {
            let kicks = self.cell(row, Contestant::Floor).map(|cell| cell.kicks);
            if kicks != Some(row.least_kicks()) {
                return Err(format!("{row}: the floor kicks {kicks:?} times, not {}", row.least_kicks()));
            }
        }
        Ok(())
    }

    /// One cell.
    pub fn cell(&self, row: Row, contestant: Contestant) -> Option<&Cell> {
        let found = self.cells.iter().find(|(r, c, _)| (*r, *c) == (row, contestant));
        found.and_then(|(_, _, cell)| cell.as_ref())
    }

    /// The floor's.
    pub fn floor(&self, row: Row) -> &Cell {
        self.cell(row, Contestant::Floor).expect("the floor can do every row")
    }
}

fn kicks_left_behind(contestant: Contestant, row: Row) -> Option<f64> {
    kicks(contestant, row, Wish::LeftBehind)
}

/// Kicks per request.
fn kicks(contestant: Contestant, row: Row, wish: Wish) -> Option<f64> {
    let mut bench = contestant.build(row, wish)?;
    bench.run(KICK_REQUESTS, Turn::Once);
    Some(bench.kicks() as f64 / KICK_REQUESTS as f64)
}

/// Counts on all CPUs: instructions do not mind company.
fn count_all(pairs: &[(Row, Contestant)], scratch: &Path) -> Result<Vec<Option<Count>>, String> {
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![Ok(None); pairs.len()]);
    let work = || {
        while let Some((row, contestant)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if contestant.cannot(*row).is_some() {
                continue;
            }
            let count = profile::count(*contestant, *row, scratch).map(Some);
            let index = pairs.iter().position(|pair| *pair == (*row, *contestant)).expect("it is from there");
            counts.lock().expect("no one panics with it")[index] = count;
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    counts.into_inner().expect("no one panics with it").into_iter().collect()
}
