//! Wall clock: many short rounds, all contestants in each, in changing order.
//!
//! Whatever else the machine does slows a whole round, not one contestant: ratios are taken within a round, and their median is
//! what counts. Beside it stand the quartiles: a ratio is told from 1 only if they are on one side of it. What else the machine
//! does never makes anybody faster, so the best tenth of the turns is compared, too: what it says on a machine with other work
//! is worth more.

use std::error::Error;

use vhost_user_frontend::Daemon;

use crate::contestant::Contestant;
use crate::drive::Bench;
use crate::row::Row;

/// Reads in a turn of one contestant: some ten milliseconds.
const TURN: u64 = 1024;

/// Who all are compared with.
pub const RIVAL: Contestant = Contestant::VirtioDriver;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// Reads per second: the median of the rounds.
    pub iops: f64,
    /// Reads per second, compared with the rival's in the same round: first quartile, median, third quartile.
    pub ratio: [f64; 3],
    /// Reads per second at least, in the best tenth of the rounds.
    pub best: f64,
}

/// All contestants, connected.
pub struct Clock {
    benches: Vec<(Contestant, Box<dyn Bench>)>,
}

impl Clock {
    /// Connects them all to their disks.
    ///
    /// # Errors
    /// What a contestant says.
    pub fn new(daemon: &Daemon) -> Result<Self, Box<dyn Error>> {
        let connect = |who: Contestant| Ok((who, who.connect(&daemon.socket(who.name()))?));
        let benches = Contestant::ALL.into_iter().map(connect).collect::<Result<_, Box<dyn Error>>>()?;
        Ok(Self { benches })
    }

    /// Times all contestants in `row`.
    pub fn time(&mut self, row: Row, rounds: usize) -> Vec<(Contestant, Time)> {
        let count = self.benches.len();
        let mut iops = vec![Vec::new(); count];
        // The first round warms up.
        for round in 0..=rounds {
            for index in 0..count {
                let index = (index + round) % count;
                let time = self.benches[index].1.run(row, TURN);
                if round > 0 {
                    iops[index].push(TURN as f64 / time.as_secs_f64());
                }
            }
        }
        let rival = self.benches.iter().position(|(who, _)| *who == RIVAL).expect("it is one of all");
        let rival = iops[rival].clone();
        let result = |((who, _), iops): (&(Contestant, _), Vec<f64>)| {
            let ratios: Vec<_> = iops.iter().zip(&rival).map(|(own, rival)| own / rival).collect();
            let [iops, best] = [0.5, 0.9].map(|part| quantile(&iops, part));
            let ratio = [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part));
            (*who, Time { iops, ratio, best })
        };
        self.benches.iter().zip(iops).map(result).collect()
    }
}

/// The value below which so large a part of them lies.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * part) as usize]
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn one_slow_round_does_not_move_the_median() {
        let values = [3.0, 1.0, 900.0, 2.0, 2.5];
        assert_eq!([0.25, 0.5, 0.75, 0.9].map(|part| quantile(&values, part)), [2.0, 2.5, 3.0, 900.0]);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
    }
}
