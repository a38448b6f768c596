//! Everything measured, by row and contestant.

use std::error::Error;
use std::path::Path;

use vhost_user_frontend::Daemon;

use crate::clock::{Clock, Time};
use crate::contestant::Contestant;
use crate::profile::{self, Count};
use crate::row::Row;

/// One contestant in one row.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Time.
    pub time: Time,
    /// Instructions, where they are counted.
    pub count: Option<Count>,
}

/// All cells.
#[derive(Debug)]
pub struct Results {
    cells: Vec<(Row, Contestant, Cell)>,
}

impl Results {
    /// Measures everything. `scratch` takes callgrind's files.
    ///
    /// # Errors
    /// What a contestant or valgrind says.
    pub fn measure(daemon: &Daemon, rounds: usize, scratch: &Path) -> Result<Self, Box<dyn Error>> {
        // Time first, while nothing of ours keeps the other CPUs busy.
        let mut clock = Clock::new(daemon)?;
        let mut cells = Vec::new();
        for row in Row::all() {
            eprintln!("timing {row}");
            cells.extend(
                clock.time(row, rounds).into_iter().map(|(who, time)| (row, who, Cell { time, count: None })),
            );
        }
        for (row, contestant, cell) in cells.iter_mut().filter(|(row, ..)| row.is_counted()) {
            eprintln!("counting instructions of {contestant} {row} with callgrind");
            cell.count = Some(profile::count(*contestant, *row, scratch)?);
        }
        Ok(Self { cells })
    }

    /// One cell.
    pub fn cell(&self, row: Row, contestant: Contestant) -> &Cell {
        let found = self.cells.iter().find(|(r, c, _)| (*r, *c) == (row, contestant));
        &found.expect("all were measured").2
    }
}
