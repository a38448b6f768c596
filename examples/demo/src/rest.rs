//! How the CPU rests: when it has to wake, and how long it has slept.

use core::cell::Cell;
use core::fmt;
use core::time::Duration;

/// Adds up the time spent asleep.
#[derive(Debug, Default)]
pub struct Rest {
    asleep: Cell<Duration>,
    since: Cell<Duration>,
    alarm: Cell<Option<Duration>>,
}

/// So much of this time was slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Asleep.
    pub asleep: Duration,
    /// Altogether.
    pub total: Duration,
}

impl Rest {
    /// Counts from `now` on.
    pub fn new(now: Duration) -> Self {
        Self { asleep: Cell::new(Duration::ZERO), since: Cell::new(now), alarm: Cell::new(None) }
    }

    /// The CPU slept from the one time to the other.
    pub fn slept(&self, from: Duration, to: Duration) {
        self.asleep.set(self.asleep.get().saturating_add(to.saturating_sub(from)));
    }

    /// At this time somebody has something to do.
    pub fn wake_at(&self, alarm: Option<Duration>) {
        self.alarm.set(alarm);
    }

    /// How long it is until then; `None` if there is nothing to wait for. Once it has come, it is over.
    pub fn alarm(&self, now: Duration) -> Option<Duration> {
        let left = self.alarm.get()?.saturating_sub(now);
        if left.is_zero() {
            self.alarm.set(None);
        }
        Some(left)
    }

    /// What was slept since the last call, and how long ago that was.
    pub fn take(&self, now: Duration) -> Share {
        let since = self.since.replace(now);
        Share { asleep: self.asleep.take(), total: now.saturating_sub(since) }
    }
}

/// In percent, with one digit behind the point, rounded down.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = 1000 * self.asleep.as_micros() / self.total.as_micros().max(1);
        write!(
            f,
            "{}.{} % of {}.{:02} s",
            tenths / 10,
            tenths % 10,
            self.total.as_secs(),
            self.total.subsec_millis() / 10
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_alarm_comes_once() {
        let at = Duration::from_millis;
        let rest = Rest::default();
        assert_eq!(rest.alarm(at(1)), None);
        rest.wake_at(Some(at(50)));
        assert_eq!(rest.alarm(at(20)), Some(at(30)));
        assert_eq!(rest.alarm(at(60)), Some(Duration::ZERO));
        assert_eq!(rest.alarm(at(70)), None);
    }

    #[test]
    fn each_share_begins_where_the_last_one_ended() {
        let at = Duration::from_millis;
        let rest = Rest::new(at(1000));
        rest.slept(at(1100), at(1900));
        rest.slept(at(1950), at(2000));
        assert_eq!(rest.take(at(2000)).to_string(), "85.0 % of 1.00 s");
        rest.slept(at(2000), at(3999));
        assert_eq!(rest.take(at(4070)).to_string(), "96.5 % of 2.07 s");
        assert_eq!(rest.take(at(4070)).to_string(), "0.0 % of 0.00 s");
    }
}
