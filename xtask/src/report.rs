//! Counts what passed and what failed, and says so.

use std::time::Instant;

use crate::failure::{Result, fail};

/// The count so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    /// Runs one check and counts it.
    pub fn check(&mut self, name: &str, check: impl FnOnce() -> Result) {
        self.value(name, check);
    }

    /// Runs one check and counts it; what it returns is there if it passed.
    pub fn value<T>(&mut self, name: &str, check: impl FnOnce() -> Result<T>) -> Option<T> {
        let begin = Instant::now();
        match check() {
            Ok(value) => {
                self.passed += 1;
                println!("ok      {name} ({:.1} s)", begin.elapsed().as_secs_f32());
                Some(value)
            }
            Err(failure) => {
                self.failed += 1;
                println!("FAILED  {name}: {failure}");
                None
            }
        }
    }

    /// Counts a failure that was not looked for by itself: an earlier one stands in the way.
    pub fn not_reached(&mut self, name: &str) {
        self.failed += 1;
        println!("FAILED  {name}: not reached");
    }

    /// Counts tests that another program ran.
    pub fn add(&mut self, passed: u32, failed: u32) {
        self.passed += passed;
        self.failed += failed;
    }

    /// Counts what another report has counted.
    pub fn include(&mut self, other: Self) {
        self.add(other.passed, other.failed);
    }

    /// Prints the closing line; a failure if anything failed, or if nothing ran.
    pub fn close(self) -> Result {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            fail!("{} failed, see above", self.failed);
        }
        if self.passed == 0 {
            fail!("nothing was tested");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_end_in_one() {
        let mut report = Report::default();
        report.check("good", || Ok(()));
        assert_eq!(report.value("worth", || Ok(5)), Some(5));
        report.add(10, 0);
        assert_eq!((report.passed, report.failed), (12, 0));
        let mut other = Report::default();
        other.check("in another lane", || Ok(()));
        report.include(other);
        assert_eq!((report.passed, report.failed), (13, 0));
        report.check("bad", || fail!("it is"));
        report.not_reached("later");
        assert_eq!((report.passed, report.failed), (13, 2));
        assert!(report.close().is_err());
    }

    #[test]
    fn nothing_tested_is_no_success() {
        assert!(Report::default().close().is_err());
    }
}
