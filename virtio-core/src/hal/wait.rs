//! Bounded waiting (I-BOUND).
//!
//! **I-BOUND (every wait is bounded).** A wait ends when the kernel's clock says so, or, where there is none, after the
//! number of polls the kernel has named.

use core::time::Duration;

use super::{Hal, HalError};

/// How long a device may take to answer. Generous: a slow host must not look like a dead disk.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// When a wait ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Bound);

#[derive(Clone, Copy, Debug)]
enum Bound {
    /// Not started yet: the first poll that finds nothing does it.
    Of(Duration),
    At(Duration),
    Polls(u64),
}

impl Deadline {
    /// Starts a wait of at most `limit`; where there is no clock, of at most [`Hal::spin_budget`] polls.
    ///
    /// # Errors
    /// [`HalError::NoClock`] if the Hal has neither.
    pub fn after<H: Hal + ?Sized>(hal: &H, limit: Duration) -> Result<Self, HalError> {
        match (hal.now(), hal.spin_budget()) {
            (Some(now), _) => Ok(Self(Bound::At(now.saturating_add(limit)))),
            (None, Some(polls)) => Ok(Self(Bound::Polls(polls))),
            (None, None) => Err(HalError::NoClock),
        }
    }

    /// A wait of at most `limit` that starts with the first poll that finds nothing: what is answered at once costs no look at
    /// the clock. For devices that are live, whose Hal had a clock, or a number of polls, when they were brought up; if it has
    /// neither any more, the wait is over with the first poll.
    #[must_use]
    pub(crate) const fn lazily(limit: Duration) -> Self {
        Self(Bound::Of(limit))
    }

    /// Counts one more poll. Answers whether the wait is over; if not, [`Hal::relax`] was called once.
    #[must_use]
    pub fn expired<H: Hal + ?Sized>(&mut self, hal: &H) -> bool {
        if let Bound::Of(limit) = self.0 {
            match Self::after(hal, limit) {
                Ok(started) => *self = started,
                Err(_) => return true,
            }
        }
        let over = match &mut self.0 {
            Bound::Of(_) => false,
            Bound::At(end) => hal.now().is_none_or(|now| now >= *end),
            Bound::Polls(0) => true,
            Bound::Polls(left) => {
                *left = left.saturating_sub(1);
                false
            }
        };
        if !over {
            hal.relax();
        }
        over
    }
}
