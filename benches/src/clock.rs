//! Wall clock: many short rounds, all contestants in each, in changing order.
//!
//! Whatever else the machine does slows a whole round, not one contestant. What the device costs is measured in the same
//! round, by letting it do its work twice ([`Turn::Rehearsed`]), and taken off.

use crate::contestant::Contestant;
use crate::drive::{Bench, Turn};
use crate::row::Row;

/// Requests in a turn of one contestant: some hundred microseconds.
const TURN: u64 = 8192;

/// Nanoseconds per request.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Driver and device.
    pub both: f64,
    /// The driver alone.
    pub driver: f64,
    /// Driver and device, compared with the floor's in the same round: the median of the rounds' ratios.
    pub ratio: f64,
}

struct Runner {
    contestant: Contestant,
    bench: Box<dyn Bench>,
    both: Vec<f64>,
    driver: Vec<f64>,
}

impl Runner {
    fn turn(&mut self, turn: Turn) -> f64 {
        self.bench.run(TURN, turn).as_nanos() as f64 / TURN as f64
    }
}

/// Times all contestants that can do `row`.
pub fn time(row: Row, rounds: usize) -> Vec<(Contestant, Time)> {
    let runner = |contestant: Contestant| {
        let bench = contestant.build(row, row.wish())?;
        Some(Runner { contestant, bench, both: vec![], driver: vec![] })
    };
    let mut runners: Vec<_> = Contestant::ALL.into_iter().filter_map(runner).collect();
    for runner in &mut runners {
        for turn in [Turn::Once, Turn::Rehearsed] {
            runner.turn(turn);
        }
    }
    for round in 0..rounds {
        let count = runners.len();
        for index in 0..count {
            let runner = &mut runners[(index + round) % count];
            // Either may come first.
            let [once, twice] = if round % 2 == 0 {
                [Turn::Once, Turn::Rehearsed].map(|turn| runner.turn(turn))
            } else {
                let [twice, once] = [Turn::Rehearsed, Turn::Once].map(|turn| runner.turn(turn));
                [once, twice]
            };
            runner.both.push(once);
            runner.driver.push(2.0 * once - twice);
        }
    }
    let floor = runners.iter().find(|runner| runner.contestant == Contestant::Floor);
    let floor = floor.expect("the floor can do every row").both.clone();
    let result = |runner: Runner| {
        let ratios = runner.both.iter().zip(&floor).map(|(own, floor)| own / floor).collect();
        let time = Time { both: median(runner.both), driver: median(runner.driver), ratio: median(ratios) };
        (runner.contestant, time)
    };
    runners.into_iter().map(result).collect()
}

/// The middle value.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_slow_round_does_not_move_the_median() {
        assert_eq!(super::median(vec![3.0, 1.0, 900.0, 2.0, 2.5]), 2.5);
    }
}
