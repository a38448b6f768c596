//! What was measured, and medians.

use std::collections::BTreeMap;

use crate::Fault;
use crate::qemu::{Bus, Meter};

/// What a value is of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key {
    /// How the device was reached.
    pub bus: Bus,
    /// What was measured.
    pub meter: Meter,
    /// Who drove it.
    pub who: &'static str,
    /// The row.
    pub row: String,
}

/// One row of one run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sample {
    /// Requests, or packets.
    pub count: f64,
    /// Instructions or seconds, of all of them.
    pub value: f64,
    /// Kicks.
    pub kicks: f64,
    /// In flight at the most.
    pub depth: usize,
}

impl Sample {
    /// Instructions or seconds of one.
    pub fn each(&self) -> f64 {
        self.value / self.count
    }

    /// Per second.
    pub fn rate(&self) -> f64 {
        self.count / self.value
    }
}

/// All samples: of each key one per round.
#[derive(Default)]
pub struct Samples(BTreeMap<Key, Vec<Sample>>);

impl Samples {
    /// Takes what a kernel has said: `row NAME DEPTH COUNT VALUE KICKS` for each row.
    ///
    /// # Errors
    /// It is something else.
    pub fn take(&mut self, lines: &[String], bus: Bus, meter: Meter, who: &'static str) -> Result<(), Fault> {
        let hertz = lines.iter().find_map(|line| line.strip_prefix("hertz ")).ok_or("no clock")?;
        let hertz: f64 = hertz.parse()?;
        let mut some = false;
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let ["row", name, depth, count, value, kicks] = words.as_slice() else { continue };
            let value: f64 = value.parse()?;
            let value = if meter == Meter::Time { value / hertz } else { value };
            let sample =
                Sample { count: count.parse()?, value, kicks: kicks.parse()?, depth: depth.parse()? };
            self.0.entry(Key { bus, meter, who, row: (*name).into() }).or_default().push(sample);
            some = true;
        }
        if some { Ok(()) } else { Err("the kernel has measured nothing".into()) }
    }

    /// The samples of a key, round by round.
    pub fn of(&self, bus: Bus, meter: Meter, who: &'static str, row: &str) -> &[Sample] {
        self.0.get(&Key { bus, meter, who, row: row.into() }).map_or(&[], Vec::as_slice)
    }

    /// The median of what `value` makes of the samples.
    pub fn median(
        &self,
        (bus, meter, who, row): (Bus, Meter, &'static str, &str),
        value: fn(&Sample) -> f64,
    ) -> Option<f64> {
        median(self.of(bus, meter, who, row).iter().map(value))
    }

    /// The median over the rounds of one's rate to the other's.
    pub fn rates(
        &self,
        bus: Bus,
        (who, row): (&'static str, &str),
        (other, its): (&'static str, &str),
    ) -> Option<f64> {
        let rounds = self.of(bus, Meter::Time, who, row).iter().zip(self.of(bus, Meter::Time, other, its));
        median(rounds.map(|(ours, theirs)| ours.rate() / theirs.rate()))
    }

    /// Everything, a line for each sample.
    pub fn tsv(&self) -> String {
        use std::fmt::Write;
        let mut out = String::from("bus\tmeter\twho\trow\tround\tdepth\tcount\tvalue\teach\tkicks\n");
        for (Key { bus, meter, who, row }, samples) in &self.0 {
            for (round, sample) in samples.iter().enumerate() {
                let Sample { count, value, kicks, depth } = sample;
                let _ = writeln!(
                    out,
                    "{}\t{}\t{who}\t{row}\t{round}\t{depth}\t{count}\t{value}\t{:.9}\t{kicks}",
                    bus.word(),
                    meter.word(),
                    sample.each(),
                );
            }
        }
        out
    }
}

/// The middle one; `None` of nothing.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn rounds_are_compared_with_each_other() {
        let mut samples = Samples::default();
        let said =
            |value: u32| vec!["hertz 10".to_owned(), format!("row r 1 100 {value} 5"), "done".to_owned()];
        for (ours, theirs) in [(10, 30), (100, 200), (5, 5)] {
            samples.take(&said(ours), Bus::Pci, Meter::Time, "ours").unwrap();
            samples.take(&said(theirs), Bus::Pci, Meter::Time, "theirs").unwrap();
        }
        assert_eq!(samples.rates(Bus::Pci, ("ours", "r"), ("theirs", "r")), Some(2.0));
        assert_eq!(samples.median((Bus::Pci, Meter::Time, "ours", "r"), Sample::each), Some(0.01));
        assert!(samples.take(&["hertz 1".to_owned()], Bus::Pci, Meter::Time, "ours").is_err());
        assert_eq!(samples.tsv().lines().count(), 7);
    }
}
